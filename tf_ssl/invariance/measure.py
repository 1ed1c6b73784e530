"""Measures what models are invariant to: one call for the whole instrument."""

import contextlib
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.features import store
from tf_ssl.invariance import chance as chance_lib
from tf_ssl.invariance import curve as invariance_curve
from tf_ssl.invariance import firing_rule, image_sets, measurement, summary
from tf_ssl.invariance import intervals as bootstrap
from tf_ssl.invariance import score as invariance
from tf_ssl.models import image_model

FEATURES_FOLDER = "features"


def measure(
  models: Sequence[image_model.ImageModel],
  settings: measurement.Measurement,
  output_dir: str,
  *,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> measurement.Results:
  """Measures all models on all sets.

  Each image is read once for all models. Features are kept under
  `output_dir`/features: the same call goes on where it was stopped, and with
  other settings of the score it computes no feature again.

  Args:
    models: with different names.
    settings: the sets, and how to measure.
    output_dir: made if it is not there.
    command: for the report.
    say: gets one line about each model and about each score.

  Returns:
    The results. Features are memory maps.

  Raises:
    UsageError: too few units for K, features that are NaN or infinite, all
      constant, too many unreadable images, one class and no firing fraction, no
      set of at least 3 images, a folder that cannot be written.
  """
  check_widths(models, settings.top_k)
  labels = settings.labels
  for label, data in zip(labels, settings.sets, strict=True):
    with _named(label, data):
      _check_sets(data, settings)
  for model in models:
    say(model.description.text())
  results = []
  for number, (label, data) in enumerate(
    zip(labels, settings.sets, strict=True)
  ):
    # Numbered, for names that differ only in odd characters.
    name = f"{number:02d}-{re.sub(r'[^-0-9A-Za-z]', '_', label)}"
    title = label.replace("_", " ")
    if len(labels) > 1:
      title = f"{title} ({number + 1} of {len(labels)})"
    with _named(label, data):
      result = _on_sets(
        models,
        settings,
        label,
        data,
        os.path.join(output_dir, FEATURES_FOLDER, name),
        title,
      )
    results.append(result)
    for line in summary.lines(result, settings):
      say(line)
  descriptions = [model.description for model in models]
  return measurement.Results(settings, descriptions, results, command)


def check_folder(output_dir: str) -> None:
  """Raises UsageError where nothing could be written to `output_dir`."""
  path = pathlib.Path(output_dir).absolute()
  there = next(folder for folder in (path, *path.parents) if folder.exists())
  if there.is_dir() and os.access(there, os.W_OK):
    return
  problem = "may not be written to" if there.is_dir() else "is no folder"
  raise errors.UsageError(
    f"output_dir={output_dir!r}: {there} {problem}; choose a folder on a disk "
    "with room that you may write to"
  )


def check_widths(
  models: Sequence[image_model.ImageModel], top_k: Sequence[int]
) -> None:
  """Raises UsageError where a model has fewer units than K."""
  for model in models:
    if model.description.width < max(top_k):
      raise errors.UsageError(
        f"model {model.name!r} has {model.description.width} units, which is "
        f"fewer than top_k={max(top_k)}; lower top_k, or read another layer"
      )


@contextlib.contextmanager
def _named(label: str, data: invariance_sets.InvarianceSets) -> Iterator[None]:
  """Says of which sets an error is."""
  try:
    yield
  except errors.UsageError as error:
    raise errors.UsageError(f"{label} ({data.source}): {error}") from error


def _check_sets(
  data: invariance_sets.InvarianceSets, settings: measurement.Measurement
) -> None:
  """Refuses what could not be measured, before any image is read."""
  groups = image_sets.group(data.sets, data.classes, len(data.sets))
  firing_rule.rule(
    settings.variant,
    settings.firing_fraction,
    num_images=len(data.sets),
    num_classes=len(groups.classes),
  )


def _on_sets(
  models: Sequence[image_model.ImageModel],
  settings: measurement.Measurement,
  label: str,
  data: invariance_sets.InvarianceSets,
  folder: str,
  title: str,
) -> measurement.SetsResult:
  """Extracts features and measures all models on one list of sets."""
  image_size = settings.image_size or data.image_size
  features = store.extract(
    models,
    data.images,
    folder,
    image_size=image_size,
    label=title,
    framing="whole",  # METHODS: images are resized whole, crops likewise
    batch_size=settings.batch_size,
    max_skipped_fraction=settings.max_skipped_fraction,
  )
  found = {}
  for model in models:
    try:
      found[model.name] = _model_score(
        features.by_model[model.name], data, features.index, settings
      )
    except errors.UsageError as error:
      raise errors.UsageError(f"model {model.name!r}: {error}") from error
  return measurement.SetsResult(
    label=label,
    data=data,
    digest=data.digest(),
    image_size=image_size,
    index=features.index,
    unreadable=features.skipped,
    features=features.by_model,
    models=found,
    differences=_differences(found, settings),
  )


def _model_score(
  features: np.ndarray,
  data: invariance_sets.InvarianceSets,
  index: np.ndarray,
  settings: measurement.Measurement,
) -> measurement.ModelScore:
  sets, classes = data.sets[index], data.classes[index]
  how = {
    "top_k": tuple(settings.top_k),
    "variant": settings.variant,
    "firing_fraction": settings.firing_fraction,
  }
  score = invariance.representation_invariance_score(
    features, sets, classes, **how
  )
  intervals = None
  if len(score.sets.ids) > 1:
    intervals = bootstrap.intervals(
      score,
      resamples=settings.resamples,
      confidence=settings.confidence,
      seed=settings.seed,
    )
  chance = chance_lib.chance_score(
    features,
    sets,
    classes,
    **how,
    permutations=settings.permutations,
    seed=settings.seed,
  )
  curve, chance_curve = (), ()
  ranges = measurement.curve_ranges(data)
  if ranges:
    how |= {"ranges": ranges, "period": data.factor_period}
    factor = data.factor[index]
    curve = invariance_curve.invariance_curve(
      features, sets, classes, factor, **how
    )
    # Each image is dealt another's set, class and value: as many images of each
    # set lie within a range as before.
    deal = np.random.default_rng(settings.seed).permutation(len(index))
    chance_curve = invariance_curve.invariance_curve(
      features, sets[deal], classes[deal], factor[deal], **how
    )
  return measurement.ModelScore(score, intervals, chance, curve, chance_curve)


def _differences(
  found: dict[str, measurement.ModelScore], settings: measurement.Measurement
) -> list[measurement.Difference]:
  """All pairs of models; none where there is a single set."""
  return [
    measurement.Difference(
      one,
      other,
      bootstrap.differences(
        found[one].score,
        found[other].score,
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=settings.seed,
      ),
    )
    for one, other in itertools.combinations(found, 2)
    if found[one].intervals is not None
  ]
