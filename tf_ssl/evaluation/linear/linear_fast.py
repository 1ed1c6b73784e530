"""A linear probe in seconds: logistic regression on features kept on disk."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tqdm

from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import (
  classification,
  kept_results,
  labeled_sets,
  predictions,
  protocol,
)
from tf_ssl.evaluation.linear import logistic
from tf_ssl.reporting import statistics

_FOLDER = "linear_fast"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearFast:
  """L-BFGS on features of whole images, without augmentation [ours].

  The penalty is chosen on held-out images of the training set; then all of them
  are fitted with it. Features are brought to mean 0 and deviation 1.

  Attributes:
    train: labeled images.
    test: labeled images of the same classes.
    inverse_penalties: scikit-learn's C, what the penalty is chosen from.
    validation_fraction: of each class of `train`, between 0 and 1.
    seeds: of what is held out; one choice and fit each.
    max_iterations: of L-BFGS.
    tolerance: of the largest component of the gradient.
    image_size: pixels a side.
    batch_size: images at once.
    max_skipped_fraction: of the images that may be unreadable.
  """

  train: records_lib.ImageRecords
  test: records_lib.ImageRecords
  inverse_penalties: Sequence[float] = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
  validation_fraction: float = 0.2
  seeds: Sequence[int] = (0, 1, 2)
  max_iterations: int = 500
  tolerance: float = 1e-5
  image_size: int = 224
  batch_size: int = 64
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Refuses what would fail only after all images have been read."""
    protocol.check_numbers(
      "inverse_penalties", "INVERSE_PENALTIES", self.inverse_penalties
    )
    statistics.check_seeds(self.seeds)

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures one model; see `protocol.DownstreamProtocol`."""
    sets = labeled_sets.match(self.train, self.test)
    held_out = [
      labeled_sets.hold_out(sets.train, self.validation_fraction, seed=seed)
      for seed in self.seeds
    ]
    data = sets.data()
    train, test = (
      labeled_sets.features(
        subject,
        images,
        output_dir,
        role,
        image_size=self.image_size,
        batch_size=self.batch_size,
        max_skipped_fraction=self.max_skipped_fraction,
      )
      for role, images in (("train", sets.train), ("test", sets.test))
    )
    kept = kept_results.KeptResults(
      os.path.join(output_dir, _FOLDER),
      {
        **self._settings(),
        "data": {k: v["labels_sha256"] for k, v in data.items()},
        "images": {k: v["sha256"] for k, v in data.items()},
        "model": protocol.identity(subject.frozen.description),
      },
      say,
    )
    fitted = []
    count = (len(self.inverse_penalties) + 1) * len(self.seeds)
    with (
      kept.locked(),
      tqdm.tqdm(total=count, desc="Linear probe", unit="fit") as bar,
    ):
      for seed, out in zip(self.seeds, held_out, strict=True):
        part = f"seed-{seed}"
        found = kept.get(part)
        if found is None:
          found = self._fitted(train, test, out, len(sets.class_names), bar)
          kept.put(part, found)
        fitted.append(found)
    for seed, found in zip(self.seeds, fitted, strict=True):
      say(_line(seed, found))
    return self._outcome(
      sets, data, test.labels, fitted, train.skipped | test.skipped
    )

  def _fitted(self, train, test, held_out, num_classes, bar) -> dict[str, Any]:
    """Chooses and fits once; JSON values."""
    learned, validation = labeled_sets.held_out_rows(train, held_out)
    options = {
      "num_classes": num_classes,
      "max_iterations": self.max_iterations,
      "tolerance": self.tolerance,
    }
    tried, best = [], None
    for one in logistic.fit(
      train.values,
      train.labels,
      learned,
      inverse_penalties=self.inverse_penalties,
      **options,
    ):
      accuracy = one.guesses(
        train.values[validation], train.labels[validation]
      ).accuracy()
      tried.append(
        {
          "inverse_penalty": one.inverse_penalty,
          "validation_top1_percent": 100 * accuracy,
          "iterations": one.iterations,
          "has_converged": one.has_converged,
        }
      )
      if best is None or accuracy > best[0]:  # of equal ones the strongest
        best = accuracy, one.inverse_penalty
      bar.update()
    [final] = logistic.fit(
      train.values,
      train.labels,
      np.arange(len(train.labels)),
      inverse_penalties=[best[1]],
      **options,
    )
    bar.update()
    said = final.guesses(test.values, test.labels)
    return {
      "tried": tried,
      "inverse_penalty": best[1],
      "iterations": final.iterations,
      "gradient": final.gradient,
      "has_converged": final.has_converged,
      "best": said.best.tolist(),
      "rank": said.rank.tolist(),
    }

  def _outcome(self, sets, data, labels, fitted, skipped) -> protocol.Outcome:
    found = classification.findings(
      [
        predictions.Guesses(np.array(one["best"]), np.array(one["rank"]))
        for one in fitted
      ],
      labels,
      sets.class_names,
      names=[f"seed {seed}" for seed in self.seeds],
    )
    chosen = [one["inverse_penalty"] for one in fitted]
    return protocol.Outcome(
      protocol="linear_fast",
      title="Linear probe, L-BFGS",
      settings=self._settings()
      | {"chosen_inverse_penalty": chosen, "seeds": list(self.seeds)},
      data=data,
      results=found.results,
      details=found.details
      | {
        "fits": {
          f"seed {seed}": {
            k: v for k, v in one.items() if k not in ("best", "rank")
          }
          for seed, one in zip(self.seeds, fitted, strict=True)
        }
      },
      tables=[self._table(fitted), *found.tables],
      pictures=found.pictures,
      skipped=skipped,
      notes=[*found.notes, *self._notes(fitted)],
    )

  def _table(self, fitted) -> protocol.Table:
    rows = [
      [
        tried[0]["inverse_penalty"],
        *(one["validation_top1_percent"] for one in tried),
      ]
      for tried in zip(*(one["tried"] for one in fitted), strict=True)
    ]
    return protocol.Table(
      "Validation top-1 by inverse penalty C, %",
      ["C", *(f"seed {seed}" for seed in self.seeds)],
      rows,
    )

  def _notes(self, fitted) -> list[str]:
    notes = []
    if len(fitted) > 1:
      notes.append(
        "a fit is not random: seeds decide only which images choose the "
        "penalty, and their interval says no more than what that matters"
      )
    ends = min(self.inverse_penalties), max(self.inverse_penalties)
    at_an_end = [o for o in fitted if o["inverse_penalty"] in ends]
    if at_an_end and len(self.inverse_penalties) > 2:
      notes.append(
        f"{len(at_an_end)} of {len(fitted)} seeds chose the smallest or the "
        "largest C: others may be better; extend INVERSE_PENALTIES"
      )
    short = [one for one in fitted if not one["has_converged"]]
    if short:
      notes.append(
        f"{len(short)} of {len(fitted)} fits were stopped by MAX_ITERATIONS "
        f"= {self.max_iterations}, the largest component of the gradient "
        f"{max(one['gradient'] for one in short):.1e}"
      )
    return notes

  def _settings(self) -> dict[str, Any]:
    """All that the fits depend on, but seeds and data."""
    return {
      "inverse_penalties": sorted(self.inverse_penalties),
      "chosen_by": f"a share of {self.validation_fraction:g} of each training "
      "class; then all training images are fitted",
      "classifier": "multinomial logistic regression, L2 penalty but of biases",
      "optimizer": f"L-BFGS, at most {self.max_iterations} iterations, "
      f"tolerance {self.tolerance:g}",
      "features": "mean 0, standard deviation 1 over the training images",
      "image_size": self.image_size,
      "crop": "the middle, of the image resized by 256/224; no augmentation",
    }


def _line(seed: int, found: dict[str, Any]) -> str:
  top1 = predictions.Guesses(
    np.array(found["best"]), np.array(found["rank"])
  ).accuracy()
  return f"seed {seed}: C {found['inverse_penalty']:g}, top-1 {top1:.1%}"
