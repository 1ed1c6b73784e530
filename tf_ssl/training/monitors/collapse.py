"""Tells from a run's numbers that it does not learn, and the likely cause.

Each rule asks for several measurements before it speaks: a warning at a healthy
run costs more than one that comes a little late.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

Record = Mapping[str, float]

# Deviation of the embeddings in units of 1/sqrt(E), the healthy value.
# Untrained ResNets are at 0.1: less than a third of that is not a slow start.
_GONE_STD = 0.03
_GONE_RANK = 1.05  # Of at least 1.
_SOLVED_ACCURACY = 0.98  # Contrastive accuracy that leaves nothing to learn.
_FLAT_GAIN = 0.05  # Share of the distance to a perfect kNN that counts as gain.
_DUPLICATES = 0.5  # Share of the queue.
_CHANCE = 0.98  # Of the loss of guessing.
_PATIENCE = 2  # Measurements in a row, the untrained model's not counted.


class Verdict(NamedTuple):
  """A reason to stop and change something.

  Attributes:
    cause: its short name, the same whenever the rule speaks.
    message: one line: what was seen, the likely cause, what to change.
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
    history: oldest first; each has `step` and any of `loss`,
      `contrastive_accuracy`, `knn_accuracy`, `embedding_std`, `effective_rank`,
      `queue_duplicates`. Rules without their numbers are silent.
    embedding_size: E, for the healthy deviation; None turns that rule off.
    key_momentum: of the key encoder; None for methods that have none.
    chance_loss: loss of a model that guesses: log(K+1), twice that for a
      symmetric loss that adds both directions; None turns that rule off.
    chance_steps: number of steps at that loss that are too many.

  Returns:
    Every rule that holds now, the likeliest cause first; usually none.
  """
  found = list(_momentum(key_momentum))
  collapse = list(_variance_gone(history, embedding_size))
  found += collapse
  if not collapse:  # Else they would name its consequences as causes.
    found += _queue_of_duplicates(history)
    found += _batch_norm_leak(history)
    found += _at_chance(history, chance_loss, chance_steps)
  return found


class Judge:
  """Says each verdict once."""

  def __init__(self, say: Callable[[str], None], **context: float | None):
    """Keeps what `verdict` needs to know of the run.

    Args:
      say: prints one line.
      **context: the keyword arguments of `verdict`.
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
      "the key encoder's momentum is 0, so it is the query encoder of the "
      "present step and the keys in the queue come from other networks: "
      "training usually fails (MoCo, section 4.1). Set momentum to 0.99 for "
      "short runs, 0.999 for long ones",
    )
  elif momentum == 1:
    yield Verdict(
      "key momentum is 1",
      "the key encoder's momentum is 1, so it keeps its random weights for "
      "ever and the query encoder learns to imitate them. Set momentum to 0.99 "
      "for short runs, 0.999 for long ones",
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
      "embedding variance is gone",
      "collapse: all images get nearly the same embedding (standard deviation "
      f"{last[-1]['embedding_std']:.2g}, healthy {healthy:.2g}"
      + ("" if rank is None else f"; effective rank {rank:.3g}")
      + f") at step {last[-1]['step']}. Likely cause: a learning rate or "
      "weight decay that is too high, or negatives that do not reach the loss. "
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
      f"near-identical twin there at step {last[-1]['step']}, while images "
      "still differ in their embeddings: most negatives are copies. Likely "
      "cause: the same images many times among IMAGES, or a queue that holds "
      "each image more than once. Remove the copies, or lower QUEUE_SIZE",
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
      f"contrastive accuracy is {accuracies[-1]:.1%} while kNN accuracy has "
      f"only gone from {before:.1%} to {last[-1]['knn_accuracy']:.1%} by step "
      f"{last[-1]['step']}: the task is solved without looking at what the "
      "images show. Likely cause: batch-norm statistics tell which key belongs "
      "to which query. Use batch_norm.split with 8 groups on one device "
      "(gin_configs/base/split_batch_norm.gin), shuffling BN on several; else "
      "the views share a shortcut, such as color: use recipe moco_v2",
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
      f"the loss has been at {rows[-1]['loss']:.3f} since step {since}, what "
      f"guessing gives ({chance_loss:.3f}). Likely cause: a learning rate that "
      "is too low or far too high, or views that share nothing. Try "
      "LEARNING_RATE ten times lower and higher, and look at the views in "
      "TensorBoard",
    )


def _last(history: Sequence[Record], name: str) -> list[Record]:
  """The last `_PATIENCE` records of a trained model that have `name`."""
  return [r for r in history if name in r and r["step"] > 0][-_PATIENCE:]
