"""Results of a measurement as JSON and CSV files."""

import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from tf_ssl.invariance import further, measurement, summary
from tf_ssl.ops import names, workdir
from tf_ssl.reporting import schema, tables

CSV_FILE = "invariance.csv"
CLASSES_FILE = "per_class.csv"
STRENGTHS_FILE = "strengths.csv"
UNITS_FILE = "per_unit.csv"
_UNITS = 100  # Most invariant units of each model in per_unit.csv.
_NAMES = 50  # Skipped images that the JSON names for each reason.


def write(results: measurement.Results, output_dir: str) -> None:
  """Writes the four files, five for own pictures, each in one step."""
  files = {
    schema.INVARIANCE_FILE: tables.json_text(as_json(results)),
    CSV_FILE: tables.csv_text(score_rows(results)),
    CLASSES_FILE: tables.csv_text(_class_rows(results)),
    UNITS_FILE: tables.csv_text(_unit_rows(results)),
  }
  by_strength = strength_rows(results)
  if by_strength:
    files[STRENGTHS_FILE] = tables.csv_text(by_strength)
  for name, content in files.items():
    workdir.write_text(os.path.join(output_dir, name), content)


def score_rows(results: measurement.Results) -> list[dict[str, Any]]:
  """One row for each model, list of sets and K.

  `low`, `high` and `bias` are None for a single set.
  """
  rows = []
  for result in results.sets:
    for model, found in result.models.items():
      score = found.score
      for k, value in score.scores.items():
        interval = found.intervals[k] if found.intervals else None
        rows.append(
          {
            "model": model,
            "invariance": result.label,
            "source": result.data.source,
            "k": k,
            "score": value,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "bias": interval.bias if interval else None,
            "chance": found.chance.scores[k],
            "chance_deviation": found.chance.deviations[k],
            "images": len(result.index),
            "unreadable_images": len(result.unreadable),
            "sets": len(score.sets.ids),
            "skipped_sets": score.sets.num_skipped,
            "classes": len(score.sets.classes),
            "classes_without_sets": int(
              np.count_nonzero(score.sets.sets_of_class == 0)
            ),
            "units": len(score.rates),
            "constant_units": len(score.constant_units),
            "silent_units": len(score.silent_units),
            "firing_fraction": score.firing_fraction,
            "variant": score.variant,
            "image_size": result.image_size,
            "dataset_sha256": result.digest,
            **_further(found, k),
          }
        )
  return rows


def strength_rows(results: measurement.Results) -> list[dict[str, Any]]:
  """One row for each model, alteration, strength and K."""
  return [
    {
      "model": model,
      "alteration": result.label,
      "strength": point.strength,
      "unit": result.data.factor_unit,
      "k": k,
      "score": value,
      "low": point.intervals[k].low,
      "high": point.intervals[k].high,
      "chance": point.chance[k],
      "pictures": point.num_pictures,
    }
    for result in results.sets
    for model, found in result.models.items()
    for point in found.strengths
    for k, value in point.scores.items()
  ]


def _further(found: measurement.ModelScore, k: int) -> dict[str, Any]:
  """Columns of the scores beside the paper's; None where undefined."""
  interval = found.matched_intervals[k] if found.matched_intervals else None
  fitted, whole, decoded = found.cross_fitted, found.whole, found.decoded
  background = found.background[k] if found.background else None
  return {
    "matched_units": found.matched.subset_units or len(found.score.rates),
    "matched": found.matched.scores[k],
    "matched_low": interval.low if interval else None,
    "matched_high": interval.high if interval else None,
    "matched_chance": found.chance.matched[k],
    "cross_fitted": fitted.scores[k] if fitted else None,
    "cross_fitted_low": fitted.intervals[k].low if fitted else None,
    "cross_fitted_high": fitted.intervals[k].high if fitted else None,
    "cross_fitted_chance": fitted.chance[k] if fitted else None,
    "correlation": whole.correlation if whole else None,
    "correlation_low": whole.correlation_low if whole else None,
    "correlation_high": whole.correlation_high if whole else None,
    "median_correlation": whole.median_correlation if whole else None,
    "reidentified": whole.reidentified.estimate if whole else None,
    "reidentified_low": whole.reidentified.low if whole else None,
    "reidentified_high": whole.reidentified.high if whole else None,
    "reidentified_chance": whole.chance if whole else None,
    "decoded_r2": decoded.r2 if decoded else None,
    "decoded_r2_low": decoded.low if decoded else None,
    "decoded_r2_high": decoded.high if decoded else None,
    "decoded_r2_permuted": decoded.permuted if decoded else None,
    "verdict": further.verdict(found, k),
    "background_share": background.estimate if background else None,
    "background_share_low": background.low if background else None,
    "background_share_high": background.high if background else None,
  }


def as_json(results: measurement.Results) -> dict[str, Any]:
  """JSON values of everything but the tables by class and by unit."""
  settings = results.settings
  return {
    "format": schema.FORMAT,
    "command": results.command,
    "settings": {
      "top_k": list(settings.top_k),
      "variant": settings.variant,
      "firing_fraction": settings.firing_fraction,
      "resamples": settings.resamples,
      "confidence": settings.confidence,
      "permutations": settings.permutations,
      "seed": settings.seed,
    },
    "models": [model._asdict() for model in results.models],
    "sets": [_sets_json(result, settings) for result in results.sets],
    "scores": score_rows(results),
    "curves": list(_curves_json(results)),
    "strengths": strength_rows(results),
    "differences": [
      {
        "invariance": result.label,
        "model": difference.model,
        "other": difference.other,
        "k": k,
        "difference": interval.estimate,
        "low": interval.low,
        "high": interval.high,
      }
      for result in results.sets
      for difference in result.differences
      for k, interval in difference.intervals.items()
    ],
  }


def most_invariant_units(found: measurement.ModelScore) -> np.ndarray:
  """[D] int, units by their largest invariance for any class, descending.

  That value enters a score: a unit that fires on all images of one class is
  useless for the others. Ties are ordered by the mean over classes.
  """
  best = found.score.unit_invariance.max(axis=0)
  return np.lexsort([-found.score.unit_invariance.mean(axis=0), -best])


def _sets_json(
  result: measurement.SetsResult, settings: measurement.Measurement
) -> dict[str, Any]:
  data = result.data
  return {
    "invariance": result.label,
    "source": data.source,
    "root": data.images.root,
    "images": data.images.num_images,
    "cropped": data.cropped,
    "factor": data.factor_name,
    "factor_unit": data.factor_unit,
    "sha256": result.digest,
    "at_ceiling": summary.at_ceiling(result, min(settings.top_k)),
    "exclusions": summary.exclusions(result),
    "skipped": {
      reason: {"count": len(who), "names": [*map(names.escaped, who[:_NAMES])]}
      for reason, who in data.skipped.items()
    },
    "unreadable": {
      "count": len(result.unreadable),
      "reasons": {
        names.escaped(name): reason
        for name, reason in list(result.unreadable.items())[:_NAMES]
      },
    },
  }


def _curves_json(results: measurement.Results) -> Iterable[dict[str, Any]]:
  for result in results.sets:
    for model, found in result.models.items():
      for point, by_chance in zip(found.curve, found.chance_curve, strict=True):
        yield {
          "invariance": result.label,
          "model": model,
          # JSON has no infinity.
          "within": None if math.isinf(point.within) else point.within,
          "images": point.num_images,
          "scores": point.score.scores if point.score else None,
          "chance": by_chance.score.scores if by_chance.score else None,
          "reason": point.reason,
        }


def _class_rows(results: measurement.Results) -> list[dict[str, Any]]:
  rows = []
  for result in results.sets:
    for model, found in result.models.items():
      score = found.score
      for c, number in enumerate(score.sets.classes):
        if not score.sets.sets_of_class[c]:
          continue
        row = {
          "model": model,
          "invariance": result.label,
          "class": result.data.class_names[number],
          "sets": int(score.sets.sets_of_class[c]),
        }
        for k, values in score.class_scores.items():
          row[f"score_top{k}"] = float(values[c])
        most = max(score.scores)
        row["top_units"] = " ".join(map(str, score.top_units[c, :most]))
        rows.append(row)
  return rows


def _unit_rows(results: measurement.Results) -> list[dict[str, Any]]:
  rows = []
  for result in results.sets:
    for model, found in result.models.items():
      score = found.score
      means = score.unit_invariance[score.sets.sets_of_class > 0].mean(axis=0)
      chosen = np.bincount(
        score.top_units[score.top_units >= 0], minlength=len(means)
      )
      for unit in most_invariant_units(found)[:_UNITS]:
        best = int(score.unit_invariance[:, unit].argmax())
        rows.append(
          {
            "model": model,
            "invariance": result.label,
            "unit": int(unit),
            "unit_invariance": float(score.unit_invariance[best, unit]),
            "for_class": result.data.class_names[score.sets.classes[best]],
            "mean_over_classes": float(means[unit]),
            "classes_that_chose_it": int(chosen[unit]),
            "fires_above": float(score.thresholds[0, unit]),
            "fires_below": float(score.thresholds[1, unit]),
            "firing_rate": float(score.rates[unit]),
          }
        )
  return rows
