"""What a run ends with: where it has got to, and the lines that say so."""

from typing import NamedTuple


class PretrainResult(NamedTuple):
  """Where a run has got to.

  Attributes:
    model_dir: the run's folder.
    command: what started it.
    step: steps done.
    num_steps: steps of the whole run.
    stopped_by: name of the signal that stopped the run, None for none.
    knn_before: kNN accuracy of the untrained encoder, None without labels.
    knn_after: the same at the end.
    knn_k: neighbours that vote.
    knn_temperature: of the votes.
    checkpoint: path of the newest checkpoint.
    saved_model: path of the export, None where not finished.
    tensorboard: path of TensorBoard's logs.
    next_command: what to do with it.
  """

  model_dir: str
  command: str
  step: int
  num_steps: int
  stopped_by: str | None
  knn_before: float | None
  knn_after: float | None
  knn_k: int
  knn_temperature: float
  checkpoint: str
  saved_model: str | None
  tensorboard: str
  next_command: str

  @property
  def finished(self) -> bool:
    """Whether the last step is done."""
    return self.step >= self.num_steps


def lines(result: PretrainResult) -> list[str]:
  """What was learned, where it lies, what to do next; one line each."""
  if not result.finished:
    return [
      f"Stopped by {result.stopped_by} after step {result.step} of"
      f" {result.num_steps}; saved {result.checkpoint}. To go on:"
      f" {result.command}"
    ]
  learned = f"Learned:     {result.num_steps} steps in {result.model_dir}"
  if result.knn_after is not None:
    learned = (
      f"Learned:     kNN {result.knn_before:.1%} (untrained) ->"
      f" {result.knn_after:.1%} (trained) on held-out images,"
      f" k {result.knn_k}, T {result.knn_temperature}"
    )
  return [
    learned,
    f"Checkpoint:  {result.checkpoint}",
    f"SavedModel:  {result.saved_model}",
    f"TensorBoard: tensorboard --logdir {result.tensorboard}",
    f"Next:        {result.next_command}",
  ]
