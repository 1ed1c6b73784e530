"""Sanity checks of all protocols, on their examples and on their results.

Before the work, a protocol refuses examples on which any model would get the
same score. After it, sentences in the log and in the report name results that
say nothing about the model.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from tf_ssl import errors

_NAMED = 5  # Classes that a sentence names.
_ROWS = 4096  # Features in memory at once.
# Results of many are 100 % for weak models, too, or do not measure the model.
_OFTEN_FULL = ("top5", "chance")
_START = 10  # Training steps whose losses must not all be 0.


def check_classes(
  train: Mapping[str, int],
  test: Mapping[str, int],
  *,
  sources: Sequence[str] = ("TRAIN_IMAGES", "TEST_IMAGES"),
  unit: str = "images",
  advice: str = "add examples of another class",
) -> list[str]:
  """Refuses classes on which every model has the same score.

  Args:
    train: number of training examples by class name.
    test: number of test examples by class name.
    sources: names of both sets in messages.
    unit: what is counted, such as "images" or "pixels".
    advice: what to change if there are fewer than two classes.

  Returns:
    Sentences about classes that only one of the sets has.

  Raises:
    UsageError: a set is empty, or the training set has fewer than two classes.
  """
  seen, tested = (
    {name: int(count) for name, count in each.items() if count}
    for each in (train, test)
  )
  for source, found in zip(sources, (seen, tested), strict=True):
    errors.require(
      found, f"{source} has no {unit} with a class; expected at least one"
    )
  errors.require(
    len(seen) >= 2,
    f"{sources[0]} has a single class, {_some(seen, unit)}; expected at least "
    f"two; {advice}",
  )
  return one_sided(train, test, unit=unit)


def one_sided(
  train: Mapping[str, int], test: Mapping[str, int], *, unit: str = "images"
) -> list[str]:
  """Sentences about classes that only one of two sets has.

  Args:
    train: number of training examples by class name.
    test: number of test examples by class name.
    unit: what is counted, such as "images" or "objects".
  """
  seen, tested = (
    {name: int(count) for name, count in each.items() if count}
    for each in (train, test)
  )
  sentences = []
  for held, missing, role, other in (
    (tested, seen, "train", "test"),
    (seen, tested, "test", "train"),
  ):
    names = {n: count for n, count in held.items() if n not in missing}
    if names:
      sentences.append(
        f"{len(names)} of {len(seen | tested)} classes have no {role} {unit}: "
        f"{_some(names, f'{other} {unit}')}"
      )
  if len(tested) == 1:
    sentences.append(
      f"all test {unit} have one class, {_some(tested, unit)}: a constant "
      "prediction can be right on all of them"
    )
  return sentences


def check_targets(
  train: np.ndarray, test: np.ndarray, class_names: Sequence[str], source: str
) -> list[str]:
  """Refuses targets of binary classifiers of which none can be measured.

  Args:
    train: [n, C] int, training targets: 1 present, 0 absent, -1 ignored.
    test: [m, C] int, test targets.
    class_names: [C] names of the classes.
    source: name of the annotations, for the error.

  Returns:
    Sentences about classes that all test examples show.

  Raises:
    UsageError: no class has training examples with and without it and test
      examples with and without it.
  """
  measured = (train == 1).any(axis=0) & (train != 1).any(axis=0)
  measured &= (test == 1).any(axis=0)
  trivial = measured & ~(test == 0).any(axis=0)
  errors.require(
    (measured & ~trivial).any(),
    f"{source}: none of the {len(class_names)} classes "
    f"({_listed(class_names)}) has training examples with and without it and "
    f"test examples with and without it, of {len(train)} training and "
    f"{len(test)} test examples; add images, or change the classes",
  )
  names = [class_names[i] for i in np.flatnonzero(trivial)]
  if not names:
    return []
  return [
    f"all test examples show {_listed(names)}: every model has an average "
    f"precision of 100 % for {len(names)} classes"
  ]


def check_loss(
  losses: Sequence[float], *, step: int, steps: int, title: str, remedy: str
) -> None:
  """Refuses a training run that has diverged, or has nothing to learn.

  Args:
    losses: losses of all steps so far; after resuming, of this call.
    step: number of the step of the last loss, from 1.
    steps: number of steps of the run.
    title: name of the run, the start of the error.
    remedy: what to change if a loss is not finite.

  Raises:
    UsageError: the last loss is not finite, or the first 10 are exactly 0.
  """
  errors.require(
    np.isfinite(losses[-1]),
    f"{title}: the loss is {losses[-1]} at step {step} of {steps}: training "
    f"has diverged; {remedy}",
  )
  start = min(_START, steps)
  errors.require(
    len(losses) != start or any(losses),
    f"{title}: the loss is exactly 0 at {start} steps from the start: there is "
    "nothing to learn; check the labels, which need at least two classes",
  )


def of_predictions(
  counts: np.ndarray, class_names: Sequence[str], unit: str = "images"
) -> list[str]:
  """Sentences about predictions that are one constant.

  Args:
    counts: [C, C] int, examples by true class (rows) and predicted class.
    class_names: [C] names of the classes.
    unit: what is counted, such as "images" or "pixels".
  """
  predicted = np.flatnonzero(counts.sum(axis=0))
  if len(predicted) != 1:
    return []
  right = counts[predicted[0], predicted[0]] / counts.sum()
  return [
    f"all test {unit} are predicted as one class, "
    f"{class_names[predicted[0]]!r}: the accuracy of {100 * right:.2f} % is "
    "the share of that class, and no result of the model"
  ]


def of_features(features: Mapping[str, np.ndarray]) -> list[str]:
  """Sentences about sets whose images all have equal features.

  Args:
    features: [N, D] features by role; arrays or memory maps, of which a chunk
      at a time is in memory.
  """
  return [
    f"all {len(values)} {role} examples have the same features, so that no "
    "prediction depends on the image"
    for role, values in features.items()
    if len(values) > 1 and _is_constant(values)
  ]


def of_outcome(
  results: Mapping[str, float], data: Mapping[str, Mapping[str, Any]]
) -> list[str]:
  """Sentences about perfect scores, and test images that were trained on.

  Args:
    results: headline numbers by name, those in percent ending in "_percent".
    data: facts about the images by role, with "sha256" for a fingerprint.
  """
  sentences = []
  prints = [data.get(role, {}).get("sha256") for role in ("train", "test")]
  if prints[0] is not None and prints[0] == prints[1]:
    sentences.append(
      "test and training images have the same names and sizes; expected "
      "different images"
    )
  full = [
    name.removesuffix("_percent").replace("_", " ")
    for name, value in results.items()
    if name.endswith("_percent")
    and value == 100.0
    and not name.startswith(_OFTEN_FULL)
  ]
  if full:
    sentences.append(
      f"{_listed(full)}: exactly 100 %; check that the labels are right and "
      "that no test image is a training image"
    )
  return sentences


def warned(protocol: str, sentences: Iterable[str]) -> list[str]:
  """Logs sentences as warnings of a protocol.

  Args:
    protocol: name of the protocol.
    sentences: sentences from this module.

  Returns:
    The sentences for `protocol.Outcome.notes`.
  """
  notes = [f"{protocol}: {sentence}" for sentence in sentences]
  for note in notes:
    logging.warning("%s", note)
  return notes


def _is_constant(values: np.ndarray) -> bool:
  first = np.asarray(values[0])
  return all(
    (np.asarray(values[start : start + _ROWS]) == first).all()
    for start in range(0, len(values), _ROWS)
  )


def _some(counts: Mapping[str, int], unit: str) -> str:
  """Names and numbers of the largest classes, such as "'dog' (3 images)"."""
  order = sorted(counts, key=lambda name: (-counts[name], name))
  return _listed([f"{name!r} ({counts[name]} {unit})" for name in order])


def _listed(names: Collection[str]) -> str:
  shown = list(names)[:_NAMED]
  return ", ".join(shown) + (", ..." if len(names) > _NAMED else "")
