"""Result of a run, and the lines that sum it up."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class PretrainResult(NamedTuple):
  """Result of a pretraining run, finished or interrupted.

  Attributes:
    model_dir: path of the run's folder.
    command: command that started the run.
    step: number of steps done.
    num_steps: number of steps of the whole run.
    stopped_by: name of the signal that stopped the run; None for none.
    before: first logged value of each metric, such as the `knn_accuracy` of the
      untrained encoder.
    after: last logged value of each metric.
    baseline: metrics of the trained baseline; None where there is none.
    findings: lines of the monitors about the result.
    pictures: paths of the monitors' pictures of the result.
    checkpoint: path of the newest checkpoint.
    saved_model: path of the exported encoder; None for an unfinished run.
    tensorboard: path of TensorBoard's logs.
    next_command: suggested next command; None for none.
  """

  model_dir: str
  command: str
  step: int
  num_steps: int
  stopped_by: str | None
  before: Mapping[str, float]
  after: Mapping[str, float]
  baseline: Mapping[str, float] | None
  findings: Sequence[str]
  pictures: Sequence[str]
  checkpoint: str
  saved_model: str | None
  tensorboard: str
  next_command: str | None

  @property
  def finished(self) -> bool:
    """Whether the last step is done."""
    return self.step >= self.num_steps


def lines(result: PretrainResult) -> list[str]:
  """Lines with findings, paths and the next command."""
  if not result.finished:
    return [
      f"Stopped by {result.stopped_by} after step {result.step} of"
      f" {result.num_steps}; saved {result.checkpoint}. To resume:"
      f" {result.command}"
    ]
  following = result.next_command and f"Next:        {result.next_command}"
  first, *others = result.findings or [
    f"{result.num_steps} steps in {result.model_dir}"
  ]
  return [
    f"Learned:     {first}",
    *(f"             {line}" for line in others),
    *(f"Picture:     {path}" for path in result.pictures),
    f"Checkpoint:  {result.checkpoint}",
    f"SavedModel:  {result.saved_model}",
    f"TensorBoard: tensorboard --logdir {result.tensorboard}",
    *([following] if following else []),
  ]
