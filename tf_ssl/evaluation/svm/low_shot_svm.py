"""Low-shot linear SVMs: k positives of each class, drawn several times.

VISSL's benchmark (Goyal et al. 2019, section 6.3 and the code): for every
class, k positives and (C - 1) k negatives are drawn, and an SVM is fitted for
each cost without cross-validation. The reported cost has the best mean over
classes and draws *on the test examples*. That choice is slightly optimistic;
the report has the values of all costs.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.evaluation import protocol
from tf_ssl.evaluation.svm import (
  annotated_examples,
  average_precision,
  linear_svm,
)
from tf_ssl.evaluation.svm import fits as svm_fits
from tf_ssl.reporting import charts, statistics

KS = (1, 2, 4, 8, 16, 32, 64, 96)  # VISSL's.
_PICTURE = "low_shot.png"
_NAMES = {"eleven_points": "voc07", "area": "area"}


class LowShot(NamedTuple):
  """Results of the SVMs on few examples, of c measurable classes.

  Attributes:
    ks: [K] numbers of positives that every class has.
    dropped: the other numbers of positives.
    classes: [c] int64, indices of the measurable classes.
    excluded: reasons by index of the other classes.
    precision: average precision on the test examples, arrays
      [K, draws, costs, c].
    short_of_negatives: those of `ks` for which some class has fewer than
      (C - 1) k negatives, all of which were used.
    fits: number of SVMs fitted.
    stopped: number of SVMs that reached the limit of iterations.
  """

  ks: tuple[int, ...]
  dropped: tuple[int, ...]
  classes: np.ndarray
  excluded: dict[int, str]
  precision: average_precision.AveragePrecision
  short_of_negatives: tuple[int, ...]
  fits: int
  stopped: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowShotSvm:
  """SVMs on k positives of each class, with intervals over draws.

  Attributes:
    examples: images or boxes, already split or split by one seed. Difficult
      ones are never drawn, as in VISSL's code.
    svm: training settings of each SVM, with the grid of costs.
    ks: numbers of positives of each class.
    draws: number of draws.
    seed: seed of the draws.
    workers: number of processes; -1 for one per core. Results do not depend on
      it.
  """

  examples: annotated_examples.AnnotatedExamples
  svm: svm_fits.SvmSettings = svm_fits.SvmSettings()
  ks: Sequence[int] = KS
  draws: int = 5
  seed: int = 0
  workers: int = -1

  def __post_init__(self):
    """Checks the settings before any image is read."""
    _check(self.ks, self.draws)
    errors.require(
      self.examples.test is not None or len(self.examples.split_seeds) == 1,
      f"split_seeds are {tuple(self.examples.split_seeds)}; expected one: "
      "low-shot intervals are over draws from one split; change SPLIT_SEEDS",
    )

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures one model; see `protocol.DownstreamProtocol`."""
    del say  # The caller prints the results.
    examples = self.examples.extract(subject, output_dir)
    (split,) = examples.splits
    found = evaluate(
      split.train,
      split.test,
      self.svm,
      ks=self.ks,
      draws=self.draws,
      seed=self.seed,
      log=os.path.join(output_dir, linear_svm.LOG_FILE),
      workers=self.workers,
    )
    return self._outcome(examples, found)

  def _outcome(
    self, examples: annotated_examples.Examples, found: LowShot
  ) -> protocol.Outcome:
    over, curves, details = {}, {}, {"classes": []}
    for measure, short in _NAMES.items():
      # Mean over classes: [K, draws, costs].
      values = 100 * getattr(found.precision, measure).mean(axis=3)
      best = np.argmax(values.mean(axis=1), axis=1)  # [K], mean over draws.
      chosen = np.take_along_axis(values, best[:, None, None], axis=2)[..., 0]
      curves[measure] = [statistics.mean_interval(draws) for draws in chosen]
      details[short] = [
        {
          "k": k,
          "cost": float(self.svm.costs[best[i]]),
          "mean_ap_percent_by_draw": chosen[i].tolist(),
          "mean_ap_percent_by_cost": dict(
            zip(
              map(str, self.svm.costs),
              values[i].mean(axis=0).tolist(),
              strict=True,
            )
          ),
        }
        for i, k in enumerate(found.ks)
      ]
      over |= {
        f"{short}_mean_ap_k{k}_percent": curve
        for k, curve in zip(found.ks, curves[measure], strict=True)
      }
    details["classes"] = [examples.class_names[c] for c in found.classes]
    details["intervals_95"] = {name: list(each) for name, each in over.items()}
    excluded = {
      f"class {examples.class_names[c]}": reason
      for c, reason in found.excluded.items()
    }
    return protocol.Outcome(
      protocol="low_shot_svm",
      title="Linear SVM on few examples",
      settings={
        **self.examples.report(),
        **self.svm.report(),
        "difficult_in_training": "ignored",
        "positives_per_class": list(self.ks),
        "negatives_per_class": "positives times (classes - 1)",
        "draws": self.draws,
        "draw_seed": self.seed,
        "cost_chosen_by": "the mean over draws on the test examples (VISSL's)",
      },
      data=examples.data,
      results={name: each.mean for name, each in over.items()},
      details=details,
      tables=[_table(found.ks, curves, details)],
      pictures={_PICTURE: _picture(found.ks, curves["eleven_points"])},
      skipped={**examples.skipped, **excluded},
      notes=[
        *examples.notes,
        "the cost for each k is the best on the test examples, as in VISSL's "
        "code; report.json has the values of all costs",
        *_notes(found),
        *linear_svm.stopped_notes([found], self.svm),
      ],
    )


def evaluate(
  train: annotated_examples.Side,
  test: annotated_examples.Side,
  settings: svm_fits.SvmSettings,
  *,
  ks: Sequence[int] = KS,
  draws: int = 5,
  seed: int = 0,
  log: str,
  workers: int = -1,
) -> LowShot:
  """Fits and tests the SVMs of all classes and k; never draws ignored examples.

  Args:
    train: examples to draw from.
    test: test examples of the same C classes.
    settings: training settings of each SVM.
    ks: numbers of positives of each class; numbers above the smallest class's
      are dropped.
    draws: number of independent draws.
    seed: seed of the draws. A draw depends only on this seed, its number, k and
      class.
    log: path of the file of finished fits.
    workers: number of processes; -1 for one per core.

  Raises:
    UsageError: settings are out of range, the sides do not match, no class is
      measurable, or a class has fewer positives than the smallest k.
  """
  _check(ks, draws)
  classes, excluded = annotated_examples.measurable_classes(
    train, test, folds=1, difficult="ignored"
  )
  signed = {c: annotated_examples.signs(train, c, "ignored") for c in classes}
  most = min(int((labels > 0).sum()) for _, labels in signed.values())
  usable = tuple(sorted({k for k in ks if k <= most}))
  errors.require(
    usable,
    f"ks are {tuple(ks)}, but a class has only {most} training examples; lower "
    "KS, or remove that class",
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
    title="low-shot",
  )
  precision = np.array([[fit.precision for fit in fits] for fits in found])
  precision = precision.reshape(len(usable), draws, len(classes), -1, 3)
  return LowShot(
    ks=usable,
    dropped=tuple(sorted(set(ks) - set(usable))),
    classes=np.array(classes),
    excluded=excluded,
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


def _check(ks: Sequence[int], draws: int) -> None:
  errors.require(
    ks and min(ks) >= 1,
    f"ks are {tuple(ks)}; expected numbers of positives >= 1, such as "
    "(1, 2, 4); change KS",
  )
  errors.require(
    draws >= 1, f"draws is {draws}; expected at least 1; change DRAWS"
  )


def _drawn(
  rows: np.ndarray,
  labels: np.ndarray,
  k: int,
  num_classes: int,
  rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, bool]:
  """Rows and labels of a draw, and whether there were enough negatives."""
  negatives = np.flatnonzero(labels < 0)
  wanted = max(1, (num_classes - 1) * k)
  chosen = np.concatenate(
    [
      rng.choice(np.flatnonzero(labels > 0), k, replace=False),
      rng.choice(negatives, min(wanted, len(negatives)), replace=False),
    ]
  )
  chosen.sort()  # In the order of the file.
  return rows[chosen], labels[chosen], wanted <= len(negatives)


def _notes(found: LowShot) -> list[str]:
  notes = []
  if found.dropped:
    notes.append(
      f"k = {', '.join(map(str, found.dropped))} dropped: a class has fewer "
      "training examples"
    )
  if found.short_of_negatives:
    notes.append(
      f"for k = {', '.join(map(str, found.short_of_negatives))} a class has "
      "fewer negatives than positives times (classes - 1): all were used"
    )
  return notes


def _table(ks, curves, details) -> protocol.Table:
  rows: list[list[Any]] = []
  for i, k in enumerate(ks):
    row: list[Any] = [k]
    for measure, short in _NAMES.items():
      row += [*curves[measure][i], details[short][i]["cost"]]
    rows.append(row)
  columns = ["k"]
  for name in ("VOC07", "area"):
    columns += [name, f"{name}, 95 % low", "95 % high", "cost"]
  return protocol.Table(
    "Mean average precision by number of positives, %", columns, rows
  )


def _picture(
  ks: Sequence[int], curve: Sequence[statistics.MeanInterval]
) -> bytes:
  """Mean average precision over k as PNG, with the interval as a band."""
  with charts.figure(5.2, 3.6) as figure:
    axes = figure.add_subplot()
    axes.plot(ks, [c.mean for c in curve], "o-", color=charts.color(0))
    if curve[0].low is not None:
      axes.fill_between(
        ks,
        [c.low for c in curve],
        [c.high for c in curve],
        color=charts.color(0),
        alpha=0.2,
        linewidth=0,
      )
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.set_xlabel("positives of each class, k")
    axes.set_ylabel("mean average precision (VOC07), %")
    charts.clean(axes)
  return charts.png(figure)
