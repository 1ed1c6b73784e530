"""Linear SVMs on frozen features: the VOC07 protocol, for any annotations.

METHODS 7 and VISSL's benchmark (Goyal et al. 2019): images resized to 224,
features of unit length, one linear SVM per class. Its cost is chosen by
scikit-learn's average precision over three stratified folds; the SVM with that
cost is fitted on all training examples. The result is mean average precision on
the test examples without the difficult ones.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import model_selection

from tf_ssl import errors
from tf_ssl.evaluation import protocol, seeds
from tf_ssl.evaluation.svm import annotated_examples, average_precision
from tf_ssl.evaluation.svm import fits as svm_fits

LOG_FILE = "svm-fits.jsonl"
_MEASURES = {  # Field of AveragePrecision -> name of its mean over classes.
  "eleven_points": "voc07_mean_ap_percent",
  "area": "area_mean_ap_percent",
  "steps": "scikit_learn_mean_ap_percent",
}
_CHANCE = "chance_voc07_mean_ap_percent"
_HEADINGS = {
  **dict(
    zip(_MEASURES.values(), ("VOC07", "area", "scikit-learn"), strict=True)
  ),
  _CHANCE: "chance, VOC07",
}


class ClassResults(NamedTuple):
  """Results of the SVMs of c measurable classes.

  Attributes:
    classes: [c] int64, indices of the measurable classes.
    excluded: reasons by index of the other classes.
    cross_validated: [c, costs] float64, scikit-learn's average precision, mean
      over folds, 0..1.
    costs: [c] float64, chosen costs.
    precision: average precision on the test examples, arrays [c].
    fits: number of SVMs fitted.
    stopped: number of SVMs that reached the limit of iterations.
  """

  classes: np.ndarray
  excluded: Mapping[int, str]
  cross_validated: np.ndarray
  costs: np.ndarray
  precision: average_precision.AveragePrecision
  fits: int
  stopped: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearSvm:
  """One-vs-rest linear SVMs on whole images or on boxes.

  Attributes:
    examples: images or boxes, and how they are framed.
    svm: training settings of each SVM, with the grid of costs.
    folds: number of folds of the cross-validation that chooses the cost.
    workers: number of processes; -1 for one per core. Results do not depend on
      it.
  """

  examples: annotated_examples.AnnotatedExamples
  svm: svm_fits.SvmSettings = svm_fits.SvmSettings()
  folds: int = 3
  workers: int = -1

  def __post_init__(self):
    """Checks the settings before any image is read."""
    _check_folds(self.folds)

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures one model; see `protocol.DownstreamProtocol`."""
    examples = self.examples.extract(subject, output_dir)
    found = []
    for split in examples.splits:
      found.append(
        evaluate(
          split.train,
          split.test,
          self.svm,
          folds=self.folds,
          difficult=self.examples.difficult_in_training,
          log=os.path.join(output_dir, LOG_FILE),
          workers=self.workers,
          title=f"{split.name}, " if split.name else "",
        )
      )
      if split.name:
        value = 100 * np.mean(found[-1].precision.eleven_points)
        say(
          f"{split.name}: {value:.2f} % over {len(found[-1].classes)} classes"
        )
    return self._outcome(examples, found)

  def _outcome(
    self,
    examples: annotated_examples.Examples,
    found: Sequence[ClassResults],
  ) -> protocol.Outcome:
    pairs = list(zip(examples.splits, found, strict=True))
    repeated = seeds.Repetitions(
      [split.name for split in examples.splits],
      [_split_results(split, each) for split, each in pairs],
    )
    details: dict[str, Any] = {
      "splits": [
        {
          "name": split.name,
          "training_examples": len(split.train.rows),
          "test_examples": len(split.test.rows),
          **values,
          "classes": _class_details(
            examples.class_names, split, each, self.svm
          ),
        }
        for (split, each), values in zip(pairs, repeated.values, strict=True)
      ]
    }
    tables = [_class_table(examples.class_names, pairs)]
    if len(pairs) > 1:
      details |= repeated.details()
      tables.insert(
        0,
        repeated.table(
          "Mean average precision by split, %",
          _HEADINGS,
          first="split",
          extra={"classes": [len(each.classes) for each in found]},
        ),
      )
    excluded = {
      f"class {examples.class_names[c]}"
      f"{f' in {split.name}' if split.name else ''}": reason
      for split, each in pairs
      for c, reason in each.excluded.items()
    }
    return protocol.Outcome(
      protocol="linear_svm",
      title=(
        "Linear SVM on cropped boxes"
        if self.examples.boxes
        else "Linear SVM on whole images"
      ),
      settings={
        **self.examples.report(),
        **self.svm.report(),
        "cross_validation_folds": self.folds,
        "cost_chosen_by": "scikit-learn's average precision, mean over folds",
      },
      data=examples.data,
      results={
        name: value
        for name, value in repeated.results().items()
        if name != _MEASURES["steps"]
      },
      details=details,
      tables=tables,
      skipped={**examples.skipped, **excluded},
      notes=[*examples.notes, *stopped_notes(found, self.svm)],
    )


def evaluate(
  train: annotated_examples.Side,
  test: annotated_examples.Side,
  settings: svm_fits.SvmSettings,
  *,
  folds: int = 3,
  difficult: str = "negative",
  log: str,
  workers: int = -1,
  title: str = "",
) -> ClassResults:
  """Cross-validates, fits and tests the SVMs of all classes.

  Args:
    train: training examples; folds are cut in their order.
    test: test examples of the same C classes.
    settings: training settings of each SVM.
    folds: number of folds, at least 2.
    difficult: what ignored training targets are: "negative" or "ignored".
    log: path of the file of finished fits.
    workers: number of processes; -1 for one per core.
    title: prefix of the progress bars' titles.

  Raises:
    UsageError: settings are out of range, the sides do not match, or no class
      is measurable.
  """
  _check_folds(folds)
  annotated_examples.check_difficult(difficult)
  classes, excluded = annotated_examples.measurable_classes(
    train, test, folds=folds, difficult=difficult
  )
  signed = [annotated_examples.signs(train, c, difficult) for c in classes]
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
    excluded=excluded,
    cross_validated=steps,
    costs=np.array(costs, np.float64),
    precision=average_precision.AveragePrecision(
      *np.array([found[0].precision for found in final]).T
    ),
    fits=len(fits),
    stopped=sum(f.iterations >= settings.max_iterations for f in fits),
  )


def stopped_notes(
  found: Iterable[Any], settings: svm_fits.SvmSettings
) -> list[str]:
  """A note on the SVMs that reached the limit of iterations, if any.

  Args:
    found: results with `fits` and `stopped`.
    settings: settings with the limit.
  """
  fits, stopped = np.sum([[f.fits, f.stopped] for f in found], axis=0)
  if not stopped:
    return []
  return [
    f"{stopped} of {fits} SVMs stopped at {settings.max_iterations} iterations "
    f"before they reached the tolerance of {settings.tolerance:g}"
  ]


def _check_folds(folds: int) -> None:
  errors.require(folds >= 2, f"folds is {folds}; expected at least 2")


def _split_results(split, each: ClassResults) -> dict[str, float]:
  """Means over classes in percent, and their chance level."""
  chance = average_precision.chance(split.test.targets[:, each.classes])
  return {
    name: 100 * _mean(getattr(each.precision, measure))
    for measure, name in _MEASURES.items()
  } | {_CHANCE: 100 * _mean(chance.eleven_points)}


def _class_details(class_names, split, each, settings) -> list[dict[str, Any]]:
  """JSON values of each class in one split."""
  return [
    {
      "class": class_names[c],
      "training_positives": int((split.train.targets[:, c] == 1).sum()),
      "test_positives": int((split.test.targets[:, c] == 1).sum()),
      "cost": float(each.costs[i]),
      "voc07_ap_percent": 100 * float(each.precision.eleven_points[i]),
      "area_ap_percent": 100 * float(each.precision.area[i]),
      "scikit_learn_ap_percent": 100 * float(each.precision.steps[i]),
      "cross_validated_ap_percent": dict(
        zip(
          map(str, settings.costs),
          (100 * each.cross_validated[i]).tolist(),
          strict=True,
        )
      ),
    }
    for i, c in enumerate(each.classes.tolist())
  ]


def _class_table(class_names, pairs) -> protocol.Table:
  """Means over splits by class, classes with most test examples first."""
  rows = []
  for c, name in enumerate(class_names):
    at = [
      (split, each, each.classes.tolist().index(c))
      for split, each in pairs
      if c in each.classes
    ]
    if at:
      rows.append(
        [
          name,
          _mean((s.train.targets[:, c] == 1).sum() for s, _, _ in at),
          _mean((s.test.targets[:, c] == 1).sum() for s, _, _ in at),
          ", ".join(f"{e.costs[i]:g}" for _, e, i in at),
          100 * _mean(e.precision.eleven_points[i] for _, e, i in at),
          100 * _mean(e.precision.area[i] for _, e, i in at),
        ]
      )
  rows.sort(key=lambda row: -row[2])
  return protocol.Table(
    "Average precision by class, %",
    [
      "class",
      "training positives",
      "test positives",
      "cost",
      "VOC07",
      "area",
    ],
    rows,
  )


def _mean(values) -> float:
  return float(np.mean(list(values)))
