"""Linear SVMs on frozen features: the VOC07 protocol, for any annotations.

METHODS 7: images resized to 224, features of unit length, for each class a
linear SVM whose cost is cross-validated, mean average precision on test images
without those that are difficult.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_ssl.evaluation import protocol
from tf_ssl.evaluation.svm import (
  annotated_examples,
  average_precision,
  svm_settings,
  voc07,
)
from tf_ssl.reporting import statistics

LOG_FILE = "svm-fits.jsonl"
_MEASURES = {  # of AveragePrecision -> the name of its mean over classes
  "eleven_points": "voc07_mean_ap_percent",
  "area": "area_mean_ap_percent",
  "steps": "scikit_learn_mean_ap_percent",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearSvm:
  """One-vs-rest linear SVMs of whole images or of boxes.

  Attributes:
    examples: the images, and how they are framed.
    svm: how an SVM is trained, with the costs to choose from.
    folds: of the cross-validation that chooses the cost.
    workers: processes; -1 for as many as cores. The numbers do not depend on
      it.
  """

  examples: annotated_examples.AnnotatedExamples
  svm: svm_settings.SvmSettings = svm_settings.SvmSettings()
  folds: int = 3
  workers: int = -1

  def __post_init__(self):
    """Refuses what would fail only after all images have been read."""
    voc07.check(self.folds, self.examples.difficult_in_training)

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures a model; see `protocol.DownstreamProtocol`."""
    examples = self.examples.extract(subject, output_dir)
    found = []
    for split in examples.splits:
      found.append(
        voc07.evaluate(
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
        value = voc07.mean_percent(found[-1].precision.eleven_points)
        say(
          f"{split.name}: {value:.2f} % over {len(found[-1].classes)} classes"
        )
    return self._outcome(examples, found)

  def _outcome(
    self,
    examples: annotated_examples.Examples,
    found: Sequence[voc07.ClassResults],
  ) -> protocol.Outcome:
    names = [split.name for split in examples.splits]
    by_split = {
      name: [voc07.mean_percent(getattr(f.precision, m)) for f in found]
      for m, name in _MEASURES.items()
    }
    chance = [
      average_precision.chance(split.test.targets[:, each.classes])
      for split, each in zip(examples.splits, found, strict=True)
    ]
    by_split["chance_voc07_mean_ap_percent"] = [
      voc07.mean_percent(c.eleven_points) for c in chance
    ]
    over = {
      name: statistics.mean_interval(values)
      for name, values in by_split.items()
    }
    several = len(found) > 1
    details: dict[str, Any] = {
      "splits": [
        {
          "name": split.name,
          "training_examples": len(split.train.rows),
          "test_examples": len(split.test.rows),
          **{name: values[i] for name, values in by_split.items()},
          "classes": _classes(examples.class_names, split, each, self.svm),
        }
        for i, (split, each) in enumerate(
          zip(examples.splits, found, strict=True)
        )
      ]
    }
    tables = [_class_table(examples, found)]
    if several:
      details["intervals_95"] = {name: list(o) for name, o in over.items()}
      tables.insert(0, _split_table(names, found, by_split, over))
    return protocol.Outcome(
      protocol="linear_svm",
      title=(
        "Linear SVM on boxes cut out"
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
        name: value.mean
        for name, value in over.items()
        if name != _MEASURES["steps"]
      },
      details=details,
      tables=tables,
      skipped={**examples.skipped, **_left_out(examples, found)},
      notes=[*examples.notes, *stopped_notes(found, self.svm)],
    )


def stopped_notes(found: Sequence[Any], settings: svm_settings.SvmSettings):
  """Says how many SVMs have stopped early, where some have.

  Args:
    found: each with `fits` and `stopped`.
    settings: with the limit of iterations.
  """
  stopped, fits = sum(f.stopped for f in found), sum(f.fits for f in found)
  if not stopped:
    return []
  return [
    f"{stopped} of {fits} SVMs stopped at {settings.max_iterations} iterations "
    f"before the tolerance of {settings.tolerance:g} was reached"
  ]


def _left_out(examples, found) -> dict[str, str]:
  return {
    f"class {examples.class_names[c]}"
    f"{f' in {split.name}' if split.name else ''}": reason
    for split, each in zip(examples.splits, found, strict=True)
    for c, reason in each.left_out.items()
  }


def _classes(class_names, split, each, settings) -> list[dict[str, Any]]:
  """All that is known of each class in one split."""
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


def _split_table(names, found, by_split, over) -> protocol.Table:
  rows: list[list[Any]] = [
    [name, len(each.classes), *(values[i] for values in by_split.values())]
    for i, (name, each) in enumerate(zip(names, found, strict=True))
  ]
  for row, end in (("mean", "mean"), ("interval from", "low"), ("to", "high")):
    rows.append([row, None, *(getattr(o, end) for o in over.values())])
  return protocol.Table(
    "Mean average precision by split, %",
    ["split", "classes", "VOC07", "area", "scikit-learn", "chance, VOC07"],
    rows,
  )


def _class_table(examples, found) -> protocol.Table:
  """Classes, those with most test examples first; means over the splits."""
  rows = []
  for c, name in enumerate(examples.class_names):
    at = [
      (split, each, each.classes.tolist().index(c))
      for split, each in zip(examples.splits, found, strict=True)
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
