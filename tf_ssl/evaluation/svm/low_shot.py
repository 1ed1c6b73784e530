"""SVMs of few examples: k positives of each class, several draws of them.

As in VISSL's benchmark (Goyal et al. 2019, section 6.3 and the code): of every
class k positives and (C - 1) k negatives are drawn, each class for itself; an
SVM is trained for every cost, without cross-validation; of the costs that one
counts whose mean over classes and draws is best *on the test examples*. That
choice flatters a little: values of all costs are kept.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.evaluation.svm import average_precision, svm_settings, voc07
from tf_ssl.evaluation.svm import fits as svm_fits

KS = (1, 2, 4, 8, 16, 32, 64, 96)  # VISSL's


class LowShot(NamedTuple):
  """What few examples reach.

  Attributes:
    ks: [K] the numbers of positives that all classes have.
    dropped: the others.
    classes: [c] int64, the classes that could be measured.
    left_out: from the other classes to the reasons.
    precision: on the test examples, arrays [K, draws, costs, c].
    short_of_negatives: the ks for which a class had fewer than (C - 1) k, and
      all were taken.
    fits: how many SVMs were trained.
    stopped: how many of them reached the limit of iterations.
  """

  ks: tuple[int, ...]
  dropped: tuple[int, ...]
  classes: np.ndarray
  left_out: dict[int, str]
  precision: average_precision.AveragePrecision
  short_of_negatives: tuple[int, ...]
  fits: int
  stopped: int


def evaluate(
  train: voc07.Side,
  test: voc07.Side,
  settings: svm_settings.SvmSettings,
  *,
  ks: Sequence[int] = KS,
  draws: int = 5,
  seed: int = 0,
  log: str,
  workers: int = -1,
  title: str = "",
) -> LowShot:
  """Measures all classes with every k. Ignored examples are never drawn.

  Args:
    train: the examples to draw from.
    test: the examples to test with, of the same C classes.
    settings: how SVMs are trained.
    ks: how many positives of each class; those that a class has too few for are
      dropped.
    draws: how often they are drawn, independently of each other.
    seed: of the draws. A draw depends on seed, its number, k and class alone.
    log: as for `svm_fits.run`.
    workers: the same.
    title: stands before that of the progress bar.

  Raises:
    UsageError: settings out of range, sides that do not fit together, no class
      that could be measured, or one that has fewer positives than the smallest
      k.
  """
  check(ks, draws)
  voc07.check_sides(train, test)
  left_out = voc07.classes_left_out(train, test, folds=1, difficult="ignored")
  count = train.targets.shape[1]
  classes = [c for c in range(count) if c not in left_out]
  if not classes:
    raise errors.UsageError(
      f"none of {count} classes can be measured "
      f"({'; '.join(sorted(set(left_out.values())))}); expected classes that "
      "training and test images show"
    )
  signed = {c: voc07.signs(train, c, "ignored") for c in classes}
  most = min(int((labels > 0).sum()) for _, labels in signed.values())
  usable = tuple(sorted({k for k in ks if k <= most}))
  if not usable:
    raise errors.UsageError(
      f"ks are {tuple(ks)}, and a class has only {most} training examples; "
      "lower ks, or leave that class out"
    )
  jobs, short = [], set()
  for k in usable:
    for draw in range(draws):
      for c in classes:
        rng = np.random.default_rng([seed, draw, k, c])
        rows, labels, enough = _drawn(*signed[c], k, len(classes), rng)
        if not enough:
          short.add(k)
        jobs.append(
          svm_fits.Job(
            rows, labels, test.rows, test.targets[:, c], tuple(settings.costs)
          )
        )
  found = svm_fits.run(
    train.features,
    test.features,
    jobs,
    settings,
    log=log,
    workers=workers,
    title=f"{title}low-shot",
  )
  precision = np.array([[fit.precision for fit in fits] for fits in found])
  precision = precision.reshape(len(usable), draws, len(classes), -1, 3)
  return LowShot(
    ks=usable,
    dropped=tuple(sorted(set(ks) - set(usable))),
    classes=np.array(classes),
    left_out=left_out,
    precision=average_precision.AveragePrecision(
      *np.moveaxis(precision, (4, 2), (0, 4))
    ),
    short_of_negatives=tuple(sorted(short)),
    fits=sum(map(len, found)),
    stopped=sum(
      fit.iterations >= settings.max_iterations
      for fits in found
      for fit in fits
    ),
  )


def check(ks: Sequence[int], draws: int) -> None:
  """Refuses settings that would fail only after all images have been read.

  Raises:
    UsageError: see `evaluate`.
  """
  if not ks or any(k < 1 for k in ks):
    raise errors.UsageError(
      f"ks are {tuple(ks)}; expected numbers of positives from 1, such as "
      "(1, 2, 4)"
    )
  if draws < 1:
    raise errors.UsageError(f"draws is {draws}; expected at least 1")


def _drawn(
  rows: np.ndarray,
  labels: np.ndarray,
  k: int,
  num_classes: int,
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, bool]:
  """Rows and labels of a draw; whether there were enough negatives."""
  negatives = np.flatnonzero(labels < 0)
  wanted = max(1, (num_classes - 1) * k)
  chosen = np.concatenate(
    [
      rng.choice(np.flatnonzero(labels > 0), k, replace=False),
      rng.choice(negatives, min(wanted, len(negatives)), replace=False),
    ]
  )
  chosen.sort()  # in the order of the file
  return rows[chosen], labels[chosen], wanted <= len(negatives)
