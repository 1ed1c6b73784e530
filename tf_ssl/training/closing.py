"""What a run ends with: where it has got to, and the lines that say so."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.training import settings as settings_lib


class SameObject(NamedTuple):
  """How well objects of held-out tracks are known again.

  Attributes:
    before: share of pairs, by the untrained encoder.
    after: at the end.
    baseline: by the baseline; None without one, or if it was stopped.
    baseline_name: what it is called.
    steps: of the run, and of the baseline.
    seconds: from one side of a pair to the other.
    num_pairs: how many there are.
    num_tracks: of how many tracks.
  """

  before: float
  after: float
  baseline: float | None
  baseline_name: str
  steps: int
  seconds: float
  num_pairs: int
  num_tracks: int


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
    knn_k: neighbors that vote.
    knn_temperature: of the votes.
    checkpoint: path of the newest checkpoint.
    saved_model: path of the export, None where not finished.
    tensorboard: path of TensorBoard's logs.
    next_command: what to do with it.
    same_object: what held-out tracks say, None without such.
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
  same_object: SameObject | None = None

  @property
  def finished(self) -> bool:
    """Whether the last step is done."""
    return self.step >= self.num_steps


def same_object(
  settings: settings_lib.Pretraining,
  history: Sequence[Mapping],
  baseline: Mapping | None,
) -> SameObject | None:
  """What a run has measured on its held-out tracks.

  Args:
    settings: of the run.
    history: the records of its log.
    baseline: what was measured of the baseline.
  """
  found = [r["same_object"] for r in history if "same_object" in r]
  if len(found) < 2:
    return None
  examples = settings.held_out_tracks.examples
  return SameObject(
    found[0],
    found[-1],
    baseline["same_object"] if baseline else None,
    settings.baseline_name,
    steps=settings.steps,
    seconds=examples.seconds,
    num_pairs=len(examples.tracks),
    num_tracks=len(np.unique(examples.tracks)),
  )


def lines(result: PretrainResult) -> list[str]:
  """What was learned, where it lies, what to do next; one line each."""
  if not result.finished:
    return [
      f"Stopped by {result.stopped_by} after step {result.step} of"
      f" {result.num_steps}; saved {result.checkpoint}. To go on:"
      f" {result.command}"
    ]
  learned = [f"{result.num_steps} steps in {result.model_dir}"]
  if result.same_object is not None or result.knn_after is not None:
    learned = []
  if result.same_object is not None:
    learned.append(_tracks(result.same_object))
  if result.knn_after is not None:
    learned.append(
      f"kNN {result.knn_before:.1%} (untrained) -> {result.knn_after:.1%}"
      f" (trained) on held-out images, k {result.knn_k},"
      f" T {result.knn_temperature}"
    )
  return [
    f"Learned:     {learned[0]}",
    *(f"             {line}" for line in learned[1:]),
    f"Checkpoint:  {result.checkpoint}",
    f"SavedModel:  {result.saved_model}",
    f"TensorBoard: tensorboard --logdir {result.tensorboard}",
    f"Next:        {result.next_command}",
  ]


def _tracks(found: SameObject) -> str:
  line = (
    f"an object of a held-out video is known again after"
    f" {found.seconds:g} s, among {found.num_tracks - 1} others:"
    f" {found.before:.1%} (untrained) -> {found.after:.1%} (trained)"
  )
  if found.baseline is not None:
    line += (
      f"; {found.baseline_name}, {found.steps} steps: {found.baseline:.1%}"
    )
  return f"{line}; {found.num_pairs} pairs"
