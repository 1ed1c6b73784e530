"""Linear SVMs on few examples of each class, drawn several times."""

import dataclasses
import io
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import figure as figure_lib
from matplotlib.backends import backend_agg

from tf_ssl import errors
from tf_ssl.evaluation import protocol
from tf_ssl.evaluation.svm import (
  annotated_examples,
  linear_svm,
  low_shot,
  svm_settings,
)
from tf_ssl.reporting import statistics

_NAMES = {"eleven_points": "voc07", "area": "area"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowShotSvm:
  """SVMs of k positives a class, with intervals over draws.

  Attributes:
    examples: the images, and how they are framed; split as given, or by one
      seed. Difficult ones are never drawn, as in VISSL's code.
    svm: how an SVM is trained, with the costs of which the best counts.
    ks: numbers of positives of each class.
    draws: how often they are drawn.
    seed: of the draws.
    workers: processes; -1 for as many as cores. The numbers do not depend on
      it.
  """

  examples: annotated_examples.AnnotatedExamples
  svm: svm_settings.SvmSettings = svm_settings.SvmSettings()
  ks: Sequence[int] = low_shot.KS
  draws: int = 5
  seed: int = 0
  workers: int = -1

  def __post_init__(self):
    """Refuses what would fail only after all images have been read."""
    low_shot.check(self.ks, self.draws)
    if self.examples.test is None and len(self.examples.split_seeds) != 1:
      raise errors.UsageError(
        f"split_seeds are {tuple(self.examples.split_seeds)}; expected one: "
        "low-shot intervals are over draws from one split"
      )

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures a model; see `protocol.DownstreamProtocol`."""
    del say  # the results are said by who asks
    examples = self.examples.extract(subject, output_dir)
    (split,) = examples.splits
    found = low_shot.evaluate(
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
    self, examples: annotated_examples.Examples, found: low_shot.LowShot
  ) -> protocol.Outcome:
    over, curves, details = {}, {}, {"classes": []}
    for measure, short in _NAMES.items():
      values = 100 * getattr(found.precision, measure).mean(axis=3)  # over c
      best = np.argmax(values.mean(axis=1), axis=1)  # [K], over draws
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
      pictures={"low_shot.png": _picture(found.ks, curves["eleven_points"])},
      skipped={
        **examples.skipped,
        **{
          f"class {examples.class_names[c]}": reason
          for c, reason in found.left_out.items()
        },
      },
      notes=[
        *examples.notes,
        "the cost of each k is the best one on the test examples, as in "
        "VISSL's code; report.json has the values of all costs",
        *_notes(found),
        *linear_svm.stopped_notes([found], self.svm),
      ],
    )


def _notes(found: low_shot.LowShot) -> list[str]:
  notes = []
  if found.dropped:
    notes.append(
      f"k = {', '.join(map(str, found.dropped))} dropped: a class has fewer "
      "training examples"
    )
  if found.short_of_negatives:
    notes.append(
      f"for k = {', '.join(map(str, found.short_of_negatives))} a class has "
      "fewer negatives than positives times (classes - 1): all were taken"
    )
  return notes


def _table(ks, curves, details) -> protocol.Table:
  rows: list[list[Any]] = []
  for i, k in enumerate(ks):
    row: list[Any] = [k]
    for measure, short in _NAMES.items():
      curve = curves[measure][i]
      row += [curve.mean, curve.low, curve.high, details[short][i]["cost"]]
    rows.append(row)
  columns = ["k"]
  for name in ("VOC07", "area"):
    columns += [name, f"{name}, from", "to", "cost"]
  return protocol.Table(
    "Mean average precision by number of positives, %", columns, rows
  )


def _picture(
  ks: Sequence[int], curve: Sequence[statistics.MeanInterval]
) -> bytes:
  """Mean average precision over k as PNG; the band is the interval."""
  figure = figure_lib.Figure(figsize=(5.2, 3.6), layout="constrained")
  backend_agg.FigureCanvasAgg(figure)
  axes = figure.add_subplot()
  axes.plot(ks, [c.mean for c in curve], "o-", color="#0072B2")
  if curve[0].low is not None:
    axes.fill_between(
      ks,
      [c.low for c in curve],
      [c.high for c in curve],
      color="#0072B2",
      alpha=0.2,
      linewidth=0,
    )
  axes.set_xscale("log", base=2)
  axes.set_xticks(ks, [str(k) for k in ks])
  axes.set_xlabel("positives of each class, k")
  axes.set_ylabel("mean average precision (VOC07), %")
  axes.grid(alpha=0.3)
  axes.spines[["top", "right"]].set_visible(False)
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=150)
  return buffer.getvalue()
