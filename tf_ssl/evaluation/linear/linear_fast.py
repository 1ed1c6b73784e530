"""A linear probe in seconds: logistic regression on features kept on disk."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_ssl.evaluation import (
  classification,
  labeled_sets,
  predictions,
  protocol,
  sanity,
  seeds,
)
from tf_ssl.evaluation.linear import logistic
from tf_ssl.ops import progress

_FOLDER = "linear_fast"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearFast(labeled_sets.FeatureProtocol):
  """L-BFGS on features of center crops, without augmentation [ours].

  The penalty is chosen on held-out training images; then all training images
  are fitted with it. Features are standardized to mean 0, deviation 1.

  Attributes:
    inverse_penalties: grid of scikit-learn's C, numbers > 0.
    validation_fraction: fraction of each class of `train` to hold out, between
      0 and 1.
    seeds: seeds of the choice of held-out images, one choice and fit each.
    max_iterations: largest number of L-BFGS iterations of a fit.
    tolerance: largest component of the gradient at which a fit stops.
  """

  inverse_penalties: Sequence[float] = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
  validation_fraction: float = 0.2
  seeds: Sequence[int] = (0, 1, 2)
  max_iterations: int = 500
  tolerance: float = 1e-5

  def __post_init__(self):
    """Checks the settings before any image is read."""
    protocol.check_numbers(
      "inverse_penalties", "INVERSE_PENALTIES", self.inverse_penalties
    )
    seeds.check(self.seeds)

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures one model; see `protocol.DownstreamProtocol`."""
    sets = labeled_sets.match(self.train, self.test)
    held_out = {
      seed: labeled_sets.hold_out(
        sets.train, self.validation_fraction, seed=seed
      )
      for seed in self.seeds
    }
    features = self.features(subject, sets, output_dir)
    key = {**self._settings(), **sets.key(subject.frozen.description)}
    count = (len(self.inverse_penalties) + 1) * len(self.seeds)
    with (
      seeds.open_results(os.path.join(output_dir, _FOLDER), key, say) as kept,
      progress.bar("Linear probe", total=count, unit="fit") as bar,
    ):
      fitted = [
        kept.result(
          f"seed-{seed}",
          functools.partial(
            self._fitted, features, out, len(sets.class_names), bar
          ),
        )
        for seed, out in held_out.items()
      ]
    predicted = [
      predictions.Predictions(np.array(each["best"]), np.array(each["rank"]))
      for each in fitted
    ]
    for seed, each, found in zip(self.seeds, fitted, predicted, strict=True):
      say(
        f"seed {seed}: C {each['inverse_penalty']:g}, top-1 "
        f"{found.accuracy():.1%}"
      )
    return self._outcome(sets, features, fitted, predicted)

  def _fitted(self, features, held_out, num_classes, bar, working):
    """Chooses the penalty and fits once; JSON values."""
    del working  # A fit takes seconds.
    train, test = features["train"], features["test"]
    fit_rows, validation = labeled_sets.held_out_rows(train, held_out)
    fit = functools.partial(
      logistic.fit,
      train.values,
      train.labels,
      num_classes=num_classes,
      max_iterations=self.max_iterations,
      tolerance=self.tolerance,
    )
    tried, best = [], None
    for one in fit(fit_rows, inverse_penalties=self.inverse_penalties):
      accuracy = one.predict(
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
      if best is None or accuracy > best[0]:  # Ties: the strongest penalty.
        best = accuracy, one.inverse_penalty
      bar.update()
    [final] = fit(np.arange(len(train.labels)), inverse_penalties=[best[1]])
    bar.update()
    found = final.predict(test.values, test.labels)
    return {
      "tried": tried,
      "inverse_penalty": best[1],
      "iterations": final.iterations,
      "gradient": final.gradient,
      "has_converged": final.has_converged,
      "best": found.best.tolist(),
      "rank": found.rank.tolist(),
    }

  def _outcome(self, sets, features, fitted, predicted) -> protocol.Outcome:
    names = [f"seed {seed}" for seed in self.seeds]
    own = protocol.Outcome(
      protocol="linear_fast",
      title="Linear probe, L-BFGS",
      settings=self._settings()
      | {
        "chosen_inverse_penalty": [each["inverse_penalty"] for each in fitted],
        "seeds": list(self.seeds),
      },
      data=sets.data(),
      results={},
      details={
        "fits": {
          name: {k: v for k, v in each.items() if k not in ("best", "rank")}
          for name, each in zip(names, fitted, strict=True)
        }
      },
      tables=[self._table(names, fitted)],
      skipped=features["train"].skipped | features["test"].skipped,
      notes=[
        *self._notes(fitted),
        *sanity.warned(
          "linear_fast",
          sanity.of_features({k: v.values for k, v in features.items()}),
        ),
      ],
    )
    return classification.outcome(
      predicted,
      features["test"].labels,
      sets.class_names,
      names=names,
      own=own,
    )

  def _table(self, names, fitted) -> protocol.Table:
    rows = [
      [
        tried[0]["inverse_penalty"],
        *(each["validation_top1_percent"] for each in tried),
      ]
      for tried in zip(*(each["tried"] for each in fitted), strict=True)
    ]
    return protocol.Table(
      "Validation top-1 by inverse penalty C, %", ["C", *names], rows
    )

  def _notes(self, fitted) -> list[str]:
    notes = []
    if len(fitted) > 1:
      notes.append(
        "a fit is deterministic: seeds only choose the validation images, and "
        "the interval covers only the effect of that choice"
      )
    ends = min(self.inverse_penalties), max(self.inverse_penalties)
    at_an_end = [o for o in fitted if o["inverse_penalty"] in ends]
    if at_an_end and len(self.inverse_penalties) > 2:
      notes.append(
        f"{len(at_an_end)} of {len(fitted)} seeds chose the smallest or the "
        "largest C: others may be better; extend INVERSE_PENALTIES"
      )
    short = [each for each in fitted if not each["has_converged"]]
    if short:
      notes.append(
        f"{len(short)} of {len(fitted)} fits stopped at MAX_ITERATIONS = "
        f"{self.max_iterations} with a largest gradient component of "
        f"{max(each['gradient'] for each in short):.1e}"
      )
    return notes

  def _settings(self) -> dict[str, Any]:
    """Everything that the fits depend on, but seeds and data."""
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
