"""The linear SVM protocol of VOC07: one SVM a class, its cost cross-validated.

As in VISSL's benchmark (Goyal et al. 2019): of each class and cost an SVM is
trained on two of three stratified folds and judged on the third by
scikit-learn's average precision; the SVM of the best cost is trained on all of
them and judged on the test examples. No TensorFlow.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn import model_selection

from tf_ssl import errors
from tf_ssl.evaluation.svm import average_precision, svm_settings
from tf_ssl.evaluation.svm import fits as svm_fits

# What an ignored target is in training: VISSL's code takes it for a negative.
DIFFICULT = ("negative", "ignored")


class Side(NamedTuple):
  """The examples to train on, or those to test with.

  Attributes:
    features: [N, D] float32, usually a memory map.
    rows: [n] int64, which of them count.
    targets: [n, C] int8, 1 present, 0 absent, -1 ignored.
  """

  features: np.ndarray
  rows: np.ndarray
  targets: np.ndarray


class ClassResults(NamedTuple):
  """What the SVMs of c of C classes reach.

  Attributes:
    classes: [c] int64, the classes that could be measured.
    left_out: from the other classes to the reasons.
    cross_validated: [c, costs] float64, mean over folds of the average
      precision (scikit-learn's), 0..1.
    costs: [c] float64, the chosen ones.
    precision: on the test examples, arrays [c].
    fits: how many SVMs were trained.
    stopped: how many of them reached the limit of iterations.
  """

  classes: np.ndarray
  left_out: Mapping[int, str]
  cross_validated: np.ndarray
  costs: np.ndarray
  precision: average_precision.AveragePrecision
  fits: int
  stopped: int


def evaluate(
  train: Side,
  test: Side,
  settings: svm_settings.SvmSettings,
  *,
  folds: int = 3,
  difficult: str = "negative",
  log: str,
  workers: int = -1,
  title: str = "",
) -> ClassResults:
  """Measures all classes.

  Args:
    train: the examples to train on, in the order that folds are cut in.
    test: the examples to test with, of the same C classes.
    settings: how SVMs are trained.
    folds: of the cross-validation, at least 2.
    difficult: what ignored examples are in training: "negative" or "ignored".
    log: as for `svm_fits.run`.
    workers: the same.
    title: stands before those of the progress bars.

  Raises:
    UsageError: settings out of range, sides that do not fit together, or no
      class that could be measured.
  """
  check(folds, difficult)
  check_sides(train, test)
  left_out = classes_left_out(train, test, folds=folds, difficult=difficult)
  count = train.targets.shape[1]
  classes = [c for c in range(count) if c not in left_out]
  if not classes:
    reasons = sorted(set(left_out.values()))
    raise errors.UsageError(
      f"none of {count} classes can be measured ({'; '.join(reasons)}); "
      "expected classes that training and test images show"
    )
  signed = [signs(train, c, difficult) for c in classes]
  jobs = [
    svm_fits.Job(
      rows[fitted],
      labels[fitted],
      rows[held_out],
      (labels[held_out] > 0).astype(np.int8),
      tuple(settings.costs),
    )
    for rows, labels in signed
    for fitted, held_out in model_selection.StratifiedKFold(folds).split(
      rows, labels
    )
  ]
  shared = {"log": log, "workers": workers}
  validated = svm_fits.run(
    train.features,
    train.features,
    jobs,
    settings,
    title=f"{title}cross-validation",
    **shared,
  )
  steps = np.array(
    [[fit.precision.steps for fit in fits] for fits in validated]
  )
  steps = steps.reshape(len(classes), folds, -1).mean(axis=1)
  costs = [settings.costs[i] for i in np.argmax(steps, axis=1)]
  final = svm_fits.run(
    train.features,
    test.features,
    [
      svm_fits.Job(rows, labels, test.rows, test.targets[:, c], (cost,))
      for c, (rows, labels), cost in zip(classes, signed, costs, strict=True)
    ],
    settings,
    title=f"{title}test",
    **shared,
  )
  fits = [fit for found in (*validated, *final) for fit in found]
  return ClassResults(
    classes=np.array(classes),
    left_out=left_out,
    cross_validated=steps,
    costs=np.array(costs, np.float64),
    precision=average_precision.AveragePrecision(
      *np.array([found[0].precision for found in final]).T
    ),
    fits=len(fits),
    stopped=sum(f.iterations >= settings.max_iterations for f in fits),
  )


def check(folds: int, difficult: str) -> None:
  """Refuses settings that would fail only after all images have been read.

  Raises:
    UsageError: see `evaluate`.
  """
  if folds < 2:
    raise errors.UsageError(f"folds is {folds}; expected at least 2")
  if difficult not in DIFFICULT:
    raise errors.UsageError(
      f"difficult_in_training is {difficult!r}; expected one of "
      f"{', '.join(DIFFICULT)}"
    )


def check_sides(train: Side, test: Side) -> None:
  """Refuses features and labels that do not fit together.

  Raises:
    UsageError: says which.
  """
  for name, side in (("training", train), ("test", test)):
    shapes = [side.features.shape, side.rows.shape, side.targets.shape]
    if list(map(len, shapes)) != [2, 1, 2] or shapes[1][0] != shapes[2][0]:
      raise errors.UsageError(
        f"{name} features, rows and targets have the shapes {shapes[0]}, "
        f"{shapes[1]} and {shapes[2]}; expected [N, D], [n] and [n, C]"
      )
    if not np.isin(side.targets, (-1, 0, 1)).all():
      raise errors.UsageError(
        f"{name} targets hold other values than 1 (present), 0 (absent) and -1 "
        "(ignored)"
      )
  widths = [(s.features.shape[1], s.targets.shape[1]) for s in (train, test)]
  if widths[0] != widths[1]:
    raise errors.UsageError(
      f"training features and targets are {widths[0][0]} and {widths[0][1]} "
      f"wide, those of the test {widths[1][0]} and {widths[1][1]}; expected "
      "the same encoder and the same classes"
    )


def signs(
  side: Side, class_id: int, difficult: str
) -> tuple[np.ndarray, np.ndarray]:
  """The examples that a class's SVM is trained on.

  Args:
    side: of the training.
    class_id: from 0.
    difficult: as for `evaluate`.

  Returns:
    rows [n] int64 and labels [n] int8, 1 or -1.
  """
  targets = side.targets[:, class_id]
  kept = np.ones(len(targets), bool)
  if difficult == "ignored":
    kept = targets >= 0
  return side.rows[kept], np.where(targets[kept] > 0, 1, -1).astype(np.int8)


def classes_left_out(
  train: Side, test: Side, *, folds: int, difficult: str
) -> dict[int, str]:
  """From the classes that cannot be measured to the reasons."""
  left_out = {}
  for c in range(train.targets.shape[1]):
    labels = signs(train, c, difficult)[1]
    for name, sign in (("positive", 1), ("negative", -1)):
      count = np.count_nonzero(labels == sign)
      if count < folds:
        left_out[c] = (
          f"fewer {name} training examples than the {folds} folds"
          if count
          else f"no {name} training example"
        )
        break
    else:
      if not (test.targets[:, c] == 1).any():
        left_out[c] = "no positive test example"
  return left_out


def mean_percent(values: Sequence[float]) -> float:
  """The mean of shares over classes, in percent."""
  return 100 * float(np.mean(values))
