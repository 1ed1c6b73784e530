"""Measures the invariances of models: extracts features and scores them."""

import concurrent.futures
import contextlib
import itertools
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.features import store
from tf_ssl.invariance import (
  background,
  cross_fitted,
  decoding,
  firing,
  given_features,
  image_sets,
  matched,
  measurement,
  own_pictures,
  strengths,
  summary,
  whole,
  written_sets,
)
from tf_ssl.invariance import chance as chance_lib
from tf_ssl.invariance import curve as curve_lib
from tf_ssl.invariance import intervals as intervals_lib
from tf_ssl.invariance import score as score_lib
from tf_ssl.models import image_model
from tf_ssl.ops import threads

FEATURES_FOLDER = "features"


def measure(
  models: Sequence[image_model.ImageModel | given_features.GivenFeatures],
  settings: measurement.Measurement,
  output_dir: str,
  *,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> measurement.Results:
  """Measures all models on all sets.

  Each image is read once for all models. Features are stored in
  `output_dir`/features: after an interruption the same call resumes, and a call
  with other settings of the score reuses them.

  Args:
    models: models, and features that were computed elsewhere, with different
      names.
    settings: sets and settings of the measurement.
    output_dir: path of the folder; created where missing.
    command: command line, for the report.
    say: takes a line about each model and each score.

  Returns:
    The results; features are memory maps.

  Raises:
    UsageError: a model has fewer units than K; features are not finite or all
      constant; too many images are unreadable; there is one class and no firing
      fraction; no set has 3 images; or the folder cannot be written.
  """
  check_widths(models, settings.top_k)
  labels = settings.labels
  for label, data in zip(labels, settings.sets, strict=True):
    with _named(label, data):
      _check_sets(data, settings)
  os.makedirs(output_dir, exist_ok=True)
  for model in models:
    say(model.description.text())
  results, backgrounds, of_all = [], {}, None
  if settings.pictures is not None:
    of_all = _features_of_pictures(models, settings, output_dir)
    _say_speed(of_all, say)
  for number, (label, data) in enumerate(
    zip(labels, settings.sets, strict=True)
  ):
    # Numbered, as names may differ in replaced characters only.
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
        os.path.join(output_dir, FEATURES_FOLDER),
        name,
        title,
        backgrounds,
        of_all and settings.pictures.part(of_all, number),
      )
    if of_all is None:
      _say_speed(result, say)
    results.append(result)
    for line in summary.lines(result, settings):
      say(line)
  descriptions = [model.description for model in models]
  return measurement.Results(settings, descriptions, results, command)


def check_folder(output_dir: str) -> None:
  """Raises UsageError if `output_dir` cannot be created or written."""
  path = pathlib.Path(output_dir).absolute()
  there = next(folder for folder in (path, *path.parents) if folder.exists())
  problem = "is not writable" if there.is_dir() else "is not a folder"
  errors.require(
    there.is_dir() and os.access(there, os.W_OK),
    f"output_dir={output_dir!r}: {there} {problem}; change output_dir to a "
    "folder that can be written",
  )


def check_widths(
  models: Sequence[image_model.ImageModel], top_k: Sequence[int]
) -> None:
  """Raises UsageError if a model has fewer units than K."""
  for model in models:
    errors.require(
      model.description.width >= max(top_k),
      f"model {model.name!r} has {model.description.width} units, fewer than "
      f"top_k={max(top_k)}; lower top_k, or read another layer",
    )


@contextlib.contextmanager
def _named(label: str, data: invariance_sets.InvarianceSets) -> Iterator[None]:
  """Puts the name of the sets before an error."""
  try:
    yield
  except errors.UsageError as error:
    raise errors.UsageError(f"{label} ({data.source}): {error}") from error


def _check_sets(
  data: invariance_sets.InvarianceSets, settings: measurement.Measurement
) -> None:
  """Refuses sets that cannot be measured, before any image is read."""
  groups = image_sets.group(
    data.sets, data.classes, len(data.sets), min_images=_min_images(data)
  )
  firing.rule(
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
  name: str,
  title: str,
  backgrounds: dict[tuple[str, int], store.Features],
  features: store.Features | None,
) -> measurement.SetsResult:
  """Extracts features and measures all models on one list of sets.

  `backgrounds` are the features of backgrounds that earlier sets have in
  common, by folder and size of the images; new ones are added. `features` are
  those of the images if they are there already.
  """
  image_size = settings.image_size or data.image_size
  if features is None:
    features = given_features.extract(
      models,
      data.images,
      os.path.join(folder, name),
      prefix=written_sets.prefix(label),
      image_size=image_size,
      label=title,
      framing="whole",  # Images and crops are resized without more cropping.
      batch_size=settings.batch_size,
      max_skipped_fraction=settings.max_skipped_fraction,
    )
  behind = None
  if data.backgrounds is not None:
    key = (data.backgrounds.root, image_size)
    if key not in backgrounds:
      prefix = written_sets.background_prefix(len(backgrounds))
      backgrounds[key] = given_features.extract(
        models,
        data.backgrounds,
        os.path.join(folder, prefix),
        prefix=prefix,
        image_size=image_size,
        label="backgrounds",
        batch_size=settings.batch_size,
        max_skipped_fraction=0,
      )
    behind = backgrounds[key].by_model
  least = min(model.description.width for model in models)
  found, drawn = {}, {}
  for model in models:
    try:
      found[model.name], drawn[model.name] = _model_score(
        np.asarray(features.by_model[model.name])
        if data.levels is not None
        else features.by_model[model.name],
        data,
        features.index,
        settings,
        least,
        None if behind is None else behind.get(model.name),
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
    differences=_differences(
      found, drawn, settings, {m.name: m.description for m in models}
    ),
    images_per_second=features.images_per_second,
  )


def _features_of_pictures(
  models: Sequence[image_model.ImageModel],
  settings: measurement.Measurement,
  output_dir: str,
) -> store.Features:
  """Features of all versions of the user's own pictures."""
  pictures = settings.pictures
  return given_features.extract(
    models,
    pictures.records,
    os.path.join(output_dir, FEATURES_FOLDER, own_pictures.FOLDER),
    prefix=own_pictures.FOLDER,
    image_size=pictures.image_size,
    label=f"{pictures.num_versions} versions of each picture",
    max_skipped_fraction=settings.max_skipped_fraction,
    versions=pictures.versions(),
  )


def _say_speed(
  features: store.Features | measurement.SetsResult, say: Callable[[str], None]
) -> None:
  rate = features.images_per_second
  if rate is not None:
    say(f"{len(features.index)} images, {rate:.0f} per second")


def _min_images(data: invariance_sets.InvarianceSets) -> int:
  """Smallest number of images of a set: a picture and one version."""
  return image_sets.MIN_IMAGES if data.levels is None else 2


def _model_score(
  features: np.ndarray,
  data: invariance_sets.InvarianceSets,
  index: np.ndarray,
  settings: measurement.Measurement,
  subset_units: int,
  backgrounds: np.ndarray | None = None,
) -> tuple[measurement.ModelScore, dict[int, np.ndarray] | None]:
  """Scores a model; the second value are replicates of its matched score."""
  sets, classes = data.sets[index], data.classes[index]
  how = {
    "top_k": tuple(settings.top_k),
    "variant": settings.variant,
    "firing_fraction": settings.firing_fraction,
    "min_images": _min_images(data),
  }
  score = score_lib.representation_invariance_score(
    features, sets, classes, **how
  )
  resampling = {"resamples": settings.resamples, "seed": settings.seed}
  confidence = settings.confidence
  compared = matched.at(score, subset_units)
  values = decoding.targets(data)
  intervals = matched_intervals = drawn = None
  if len(score.sets.ids) > 1:
    drawn = intervals_lib.replicates(score, **resampling)
    intervals = intervals_lib.of_replicates(score, drawn, confidence=confidence)
    if compared is not score:
      drawn = intervals_lib.replicates(compared, **resampling)
    matched_intervals = intervals_lib.of_replicates(
      compared, drawn, confidence=confidence
    )
  chance = chance_lib.chance_score(
    features,
    sets,
    classes,
    **how,
    permutations=settings.permutations,
    seed=settings.seed,
    subset_units=subset_units,
  )
  curve, chance_curve = (), ()
  ranges = measurement.curve_ranges(data)
  if ranges:
    del how["min_images"]
    how |= {"ranges": ranges, "period": data.factor_period}
    factor = data.factor[index]
    curve = curve_lib.invariance_curve(features, sets, classes, factor, **how)
    # Each image gets the set, class and value of another one: each range keeps
    # its number of images of each set.
    deal = np.random.default_rng(settings.seed).permutation(len(index))
    chance_curve = curve_lib.invariance_curve(
      features, sets[deal], classes[deal], factor[deal], **how
    )
  resampling["confidence"] = confidence
  # Each on one core; NumPy and SciPy release Python's lock.
  with (
    threads.one_for_blas(),
    concurrent.futures.ThreadPoolExecutor(threads.num_cores()) as pool,
  ):
    decoded = values is not None and pool.submit(
      decoding.decode, features, values[index], sets, **resampling
    )
    of_all = pool.submit(whole.whole, features, score.sets, **resampling)
    fitted = pool.submit(cross_fitted.cross_fitted, score, **resampling)
    behind = backgrounds is not None and pool.submit(
      background.share,
      score,
      features,
      backgrounds,
      data.background_of[index],
      **resampling,
    )
  measured = measurement.ModelScore(
    score=score,
    intervals=intervals,
    chance=chance,
    curve=curve,
    chance_curve=chance_curve,
    matched=compared,
    matched_intervals=matched_intervals,
    cross_fitted=fitted.result(),
    whole=of_all.result(),
    decoded=decoded.result() if decoded else None,
    background=behind.result() if behind else None,
    strengths=()
    if data.levels is None
    else _by_strength(features, data, index, settings),
  )
  return measured, drawn


def _by_strength(
  features: np.ndarray,
  data: invariance_sets.InvarianceSets,
  index: np.ndarray,
  settings: measurement.Measurement,
) -> list[strengths.StrengthPoint]:
  levels = data.levels
  _, first = np.unique(levels, return_index=True)
  return strengths.by_strength(
    features,
    data.sets[index],
    levels[index],
    data.factor[first][1:],
    top_k=settings.top_k,
    variant=settings.variant,
    firing_fraction=settings.firing_fraction,
    resamples=settings.resamples,
    confidence=settings.confidence,
    seed=settings.seed,
  )


def _differences(
  found: dict[str, measurement.ModelScore],
  drawn: dict[str, dict[int, np.ndarray]],
  settings: measurement.Measurement,
  layers: Mapping[str, image_model.Description],
) -> list[measurement.Difference]:
  """Differences of all pairs of models; none with a single set.

  Of several layers of models, only layers of one name are compared.
  """
  return [
    measurement.Difference(
      one,
      other,
      intervals_lib.differences_of_replicates(
        found[one].matched,
        found[other].matched,
        drawn[one],
        drawn[other],
        confidence=settings.confidence,
      ),
    )
    for one, other in itertools.combinations(found, 2)
    if found[one].intervals is not None and _are_compared(layers, one, other)
  ]


def _are_compared(
  models: Mapping[str, image_model.Description], one: str, other: str
) -> bool:
  """Whether two models are compared: not two layers of different depth."""
  layers = [
    models[name].layer for name in (one, other) if models[name].layer_of
  ]
  return len({*layers}) < 2 and not (
    len(layers) == 2 and models[one].layer_of == models[other].layer_of
  )
