"""Measured invariances in the model cards of exported encoders."""

import os
from collections.abc import Sequence

import tf_ssl
from tf_ssl import errors
from tf_ssl.export import model_card, saved_model
from tf_ssl.invariance import measurement
from tf_ssl.models import image_model


def check(models: Sequence[image_model.ImageModel]) -> None:
  """Raises UsageError if no model is an encoder that tf_ssl exported."""
  errors.require(
    _of_folders([model.description for model in models]),
    "update_cards is set, but no model is a SavedModel that tf_ssl wrote; "
    "expected a folder with a provenance.json, such as runs/a/saved_model",
  )


def update(results: measurement.Results, *, write: bool) -> list[str]:
  """Writes the scores into the model card of each exported encoder.

  Other models have no card. A card's earlier scores are replaced; all else that
  it says stays.

  Args:
    results: results of `measure.measure`.
    write: whether to write; False changes nothing.

  Returns:
    Lines for the user: the cards written, or how to have them written.

  Raises:
    UsageError: a card cannot be read or written.
  """
  found = _of_folders(results.models)
  if not write:
    firsts = [each[0] for each in found.values()]
    models = " and ".join(first.layer_of or first.name for first in firsts)
    hint = "to add the scores to the model card of"
    return [f"{hint} {models}: --update_cards"] if found else []
  return [
    "model card: "
    + model_card.add_invariances(
      folder, _rows(results, models), _about(results, models)
    )
    for folder, models in found.items()
  ]


def _of_folders(
  models: Sequence[image_model.Description],
) -> dict[str, list[image_model.Description]]:
  """The models that are layers of an exported encoder, by its folder."""
  found = {}
  for model in models:
    if saved_model.is_whole(model.path):
      found.setdefault(os.path.realpath(model.path), []).append(model)
  return found


def _rows(
  results: measurement.Results, models: Sequence[image_model.Description]
) -> list[model_card.Invariance]:
  """A row for each list of sets and layer, at the smallest K."""
  k = min(results.settings.top_k)
  rows = []
  for result in results.sets:
    for model in models:
      found = result.models[model.name]
      interval = found.intervals[k] if found.intervals else None
      rows.append(
        model_card.Invariance(
          result.title,
          k,
          found.score.scores[k],
          low=interval.low if interval else None,
          high=interval.high if interval else None,
          chance=found.chance.scores[k],
          source=result.data.source,
          layer=model.layer if len(models) > 1 else "",
        )
      )
  return rows


def _about(
  results: measurement.Results, models: Sequence[image_model.Description]
) -> str:
  """Sentences about the measurement, without paths of this machine."""
  settings = results.settings
  images = sum(len(result.index) for result in results.sets)
  sizes = {result.image_size for result in results.sets}
  sizes = " and ".join(f"{size} px" for size in sorted(sizes))
  widths = {model.width for model in models}
  units = " and ".join(str(width) for width in sorted(widths))
  return (
    f"Measured by tf_ssl {tf_ssl.__version__} on {images:,} images of {sizes}; "
    f"variant `{settings.variant}`; intervals of {settings.confidence:.0%} "
    f"over sets. Scores depend on the number of units ({units} here): compare "
    "models of different width by the matched scores of "
    "`tf-ssl measure_invariance`, in one call."
  )
