"""Warnings about a run that does not learn, with the likely cause.

Each rule waits for several measurements: a false warning about a healthy run
costs more than a late one.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

Record = Mapping[str, float]

# Standard deviation of the embeddings in units of 1/sqrt(E), the healthy value.
# Untrained ResNets have 0.1: less than a third of that is not a slow start.
_GONE_STD = 0.03
_GONE_RANK = 1.05  # Effective rank, at least 1.
_SOLVED_ACCURACY = 0.98  # Contrastive accuracy with nothing left to learn.
_FLAT_GAIN = 0.05  # Fraction of the distance to a perfect kNN.
_DUPLICATES = 0.5  # Fraction of the queue.
_CHANCE = 0.98  # Relative to the loss at chance level.
_PATIENCE = 2  # Measurements in a row, without that of the untrained model.


class Verdict(NamedTuple):
  """A reason to stop and change something.

  Attributes:
    cause: short name of the rule.
    message: one line: the observation, the likely cause, what to change.
  """

  cause: str
  message: str


def verdict(
  history: Sequence[Record],
  *,
  embedding_size: int | None = None,
  key_momentum: float | None = None,
  chance_loss: float | None = None,
  chance_steps: int = 1000,
) -> list[Verdict]:
  """Judges a run by its records.

  Args:
    history: records, oldest first, with `step` and any of `loss`,
      `contrastive_accuracy`, `knn_accuracy`, `embedding_std`, `effective_rank`,
      `queue_duplicates`. Rules without their metrics do not apply.
    embedding_size: width E of the embeddings; None turns that rule off.
    key_momentum: momentum of the key encoder; None for methods without one.
    chance_loss: loss of a model that knows nothing: log(K+1), twice that for a
      symmetric loss that adds both directions; None turns that rule off.
    chance_steps: number of steps at that loss before the rule applies.

  Returns:
    A verdict for each rule that applies now, the likeliest cause first; usually
    none.
  """
  found = list(_momentum(key_momentum))
  collapse = list(_variance_gone(history, embedding_size))
  found += collapse
  if not collapse:  # Its consequences are not causes.
    found += _queue_of_duplicates(history)
    found += _batch_norm_leak(history)
    found += _at_chance(history, chance_loss, chance_steps)
  return found


class Judge:
  """Prints each verdict once."""

  def __init__(self, say: Callable[[str], None], **context: float | None):
    """Keeps the run's numbers.

    Args:
      say: function that prints one line.
      **context: keyword arguments of `verdict`.
    """
    self._say = say
    self._context = context
    self._said = set()

  def __call__(self, history: Sequence[Record]) -> list[Verdict]:
    """Judges the records so far and returns the verdicts that are new."""
    new = [
      found
      for found in verdict(history, **self._context)
      if found.cause not in self._said
    ]
    for found in new:
      self._said.add(found.cause)
      self._say(f"WARNING: {found.message}")
    return new


def _momentum(momentum: float | None) -> Iterator[Verdict]:
  if momentum == 0:
    yield Verdict(
      "key momentum is 0",
      "the key encoder's momentum is 0, so it is a copy of the query encoder, "
      "and the keys in the queue come from other networks: training usually "
      "fails (MoCo, section 4.1). Set momentum to 0.99 for short runs, 0.999 "
      "for long ones",
    )
  elif momentum == 1:
    yield Verdict(
      "key momentum is 1",
      "the key encoder's momentum is 1, so it keeps its random weights and the "
      "query encoder learns to imitate them. Set momentum to 0.99 for short "
      "runs, 0.999 for long ones",
    )


def _variance_gone(
  history: Sequence[Record], embedding_size: int | None
) -> Iterator[Verdict]:
  if embedding_size is None:
    return
  healthy = 1 / math.sqrt(embedding_size)
  last = _last(history, "embedding_std")
  if len(last) == _PATIENCE and all(
    r["embedding_std"] < _GONE_STD * healthy
    or r.get("effective_rank", math.inf) < _GONE_RANK
    for r in last
  ):
    rank = last[-1].get("effective_rank")
    yield Verdict(
      "embedding collapse",
      "collapse: all images get nearly the same embedding (standard deviation "
      f"{last[-1]['embedding_std']:.2g}, healthy {healthy:.2g}"
      + ("" if rank is None else f"; effective rank {rank:.3g}")
      + f") at step {last[-1]['step']}. Likely cause: too high a learning rate "
      "or weight decay, or negatives that do not reach the loss. "
      "Lower LEARNING_RATE first",
    )


def _queue_of_duplicates(history: Sequence[Record]) -> Iterator[Verdict]:
  last = _last(history, "queue_duplicates")
  if len(last) == _PATIENCE and all(
    r["queue_duplicates"] > _DUPLICATES for r in last
  ):
    yield Verdict(
      "queue of duplicates",
      f"{last[-1]['queue_duplicates']:.0%} of the keys in the queue have a "
      f"near-identical twin there at step {last[-1]['step']}, although "
      "embeddings of different images differ: most negatives are copies. "
      "Likely cause: duplicate images in IMAGES, or a queue that holds each "
      "image more than once. Remove the duplicates, or lower QUEUE_SIZE",
    )


def _batch_norm_leak(history: Sequence[Record]) -> Iterator[Verdict]:
  measured = [r for r in history if "knn_accuracy" in r]
  last = _last(history, "knn_accuracy")
  accuracies = [
    r["contrastive_accuracy"] for r in history if "contrastive_accuracy" in r
  ]
  if len(last) < _PATIENCE or len(accuracies) < _PATIENCE:
    return
  before = measured[0]["knn_accuracy"]
  gain = max(r["knn_accuracy"] for r in measured[1:]) - before
  solved = min(accuracies[-_PATIENCE:]) > _SOLVED_ACCURACY
  if solved and gain < _FLAT_GAIN * (1 - before):
    yield Verdict(
      "batch-norm leak",
      f"contrastive accuracy is {accuracies[-1]:.1%}, but kNN accuracy went "
      f"only from {before:.1%} to {last[-1]['knn_accuracy']:.1%} by step "
      f"{last[-1]['step']}: the model solves the task by a shortcut. Likely "
      "cause: batch-norm statistics reveal which key belongs to which query. "
      "Use batch_norm.split with 8 groups on one device "
      "(gin_configs/base/split_batch_norm.gin), or shuffling BN on several. "
      "Otherwise the views share a feature such as color: use recipe moco_v2",
    )


def _at_chance(
  history: Sequence[Record], chance_loss: float | None, chance_steps: int
) -> Iterator[Verdict]:
  rows = [r for r in history if "loss" in r]
  if chance_loss is None or not rows:
    return
  since = rows[-1]["step"]
  for row in reversed(rows):
    if abs(row["loss"] / chance_loss - 1) > 1 - _CHANCE:
      break
    since = row["step"]
  if rows[-1]["step"] - since >= chance_steps:
    yield Verdict(
      "loss at chance level",
      f"the loss has been {rows[-1]['loss']:.3f} since step {since}, that is "
      f"chance level ({chance_loss:.3f}). Likely cause: too low or too high "
      "a learning rate, or views that share nothing. Try a ten times lower and "
      "higher LEARNING_RATE, and look at the views in TensorBoard",
    )


def _last(history: Sequence[Record], name: str) -> list[Record]:
  """The last `_PATIENCE` records with `name`, without that of step 0."""
  return [r for r in history if name in r and r["step"] > 0][-_PATIENCE:]
