"""The settings of a measurement that a command line or a call chooses."""

import dataclasses
import os
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import sets_manifest
from tf_ssl.invariance import measurement, own_pictures
from tf_ssl.models import image_model


def without_sets(
  configured: Callable[..., measurement.Measurement],
  *,
  manifest: str | None = None,
  has_config: bool = False,
  top_k: str | None = None,
  **changes,
) -> measurement.Measurement:
  """Checks the settings of a command line before sets are made or read.

  Args:
    configured: returns the configured settings, with the sets it is given by
      position. Without, it may render or list them.
    manifest: path of a CSV file of sets, see `sets_manifest`. Its name without
      suffix becomes the name of the invariance.
    has_config: whether the user chose a config.
    top_k: numbers of units as text, such as "10,25".
    **changes: fields of `measurement.Measurement`; 0 and None change nothing.

  Returns:
    The settings with a placeholder for the sets.

  Raises:
    UsageError: there are both a config and a manifest, the manifest is missing,
      or values are out of range.
  """
  errors.require(
    manifest is None or not has_config,
    "--manifest and --gin_file both choose the sets; give one of them",
  )
  errors.require(
    manifest is None or os.path.isfile(manifest),
    f"--manifest={manifest}: no such file; expected a CSV file of sets",
  )
  # By position: gin also evaluates a binding that a keyword replaces.
  return dataclasses.replace(
    configured(("placeholder",)), **_given(top_k, changes)
  )


def choose(
  configured: Callable[..., measurement.Measurement],
  *,
  manifest: str | None = None,
  top_k: str | None = None,
  has_config: bool = False,
  **changes,
) -> measurement.Measurement:
  """The settings of a config or of a manifest, with the changes by flags.

  Takes the arguments of `without_sets`.

  Raises:
    UsageError: `without_sets` refuses the settings, or the sets cannot be made
      or read.
  """
  without_sets(
    configured, manifest=manifest, has_config=has_config, top_k=top_k, **changes
  )
  if manifest is None:
    made = configured()
  else:
    stem = os.path.splitext(os.path.basename(manifest))[0]
    sets = sets_manifest.read(manifest, invariance=stem or "sets")
    made = configured([sets])
  return dataclasses.replace(made, **_given(top_k, changes))


def of_pictures(
  configured: Callable[..., measurement.Measurement],
  images: str,
  *,
  has_other_sets: bool = False,
  alterations: str | None = None,
  max_pictures: int = own_pictures.MAX_PICTURES,
  top_k: str | None = None,
  image_size: int = 0,
  **changes,
) -> measurement.Measurement:
  """The settings for a user's own pictures, which are listed.

  Args:
    configured: returns the configured settings, with the sets it is given by
      position.
    images: folder of pictures, or another form of `open_images`.
    has_other_sets: whether the user chose sets, too.
    alterations: names of the alterations, such as "rotation,blur"; None for
      all.
    max_pictures: largest number of pictures; of more, random ones are used.
    top_k: numbers of units as text, such as "10,25".
    image_size: side of the images in pixels; 0 for 128.
    **changes: fields of `measurement.Measurement`; 0 and None change nothing.

  Raises:
    UsageError: there are pictures and other sets, variant "formula", or an
      error of `own_pictures.choose`.
  """
  errors.require(
    not has_other_sets,
    "--images measures altered versions of your own pictures; --manifest and "
    "--gin_file choose other sets: give one of them",
  )
  planned = dataclasses.replace(
    configured(("placeholder",)), **_given(top_k, changes)
  )
  errors.require(
    planned.variant == "code",
    f"variant={planned.variant}: pictures have no classes, and in one class of "
    "all pictures each unit's share of firing images is its firing rate, "
    "whatever it sees; give --variant=code",
  )
  chosen = own_pictures.choose(
    images,
    alterations=None
    if alterations is None
    else [name.strip() for name in alterations.split(",")],
    max_pictures=max_pictures,
    image_size=image_size or planned.image_size or own_pictures.IMAGE_SIZE,
    seed=planned.seed,
  )
  return dataclasses.replace(
    planned,
    sets=chosen.sets(),
    image_size=None,
    firing_fraction=planned.firing_fraction or own_pictures.FIRING_FRACTION,
    pictures=chosen,
  )


def sized_for(
  settings: measurement.Measurement, models: Sequence[image_model.ImageModel]
) -> measurement.Measurement:
  """Makes versions of own pictures of the size that the models require.

  They would be resized once more otherwise. Nothing changes if the models
  require different sizes, or none.

  Args:
    settings: settings from `of_pictures`.
    models: models to measure.
  """
  sizes = {tuple(model.description.image_size or ()) for model in models}
  sides = {side for size in sizes for side in size}
  if len(sides) != 1:
    return settings
  [side] = sides
  pictures = settings.pictures._replace(image_size=side)
  return dataclasses.replace(settings, pictures=pictures, sets=pictures.sets())


def planned(
  configured: Callable[..., measurement.Measurement],
  *,
  images: str | None = None,
  alterations: str | None = None,
  max_pictures: int = own_pictures.MAX_PICTURES,
  manifest: str | None = None,
  has_config: bool = False,
  **choice,
) -> measurement.Measurement:
  """Checks a command line before minutes of work.

  Args:
    configured: returns the configured settings, with the sets it is given by
      position. Without, it may render or list them.
    images: source of the user's own pictures; None for sets.
    alterations: names of the alterations of the pictures; None for all.
    max_pictures: largest number of pictures.
    manifest: path of a CSV file of sets; None for those of the config.
    has_config: whether the user chose a config.
    **choice: further arguments of `of_pictures` and `without_sets`.

  Returns:
    The settings; without `images`, with a placeholder for the sets.

  Raises:
    UsageError: `of_pictures` or `without_sets` refuses the settings.
  """
  if images is None:
    return without_sets(
      configured, manifest=manifest, has_config=has_config, **choice
    )
  return of_pictures(
    configured,
    images,
    has_other_sets=has_config or manifest is not None,
    alterations=alterations,
    max_pictures=max_pictures,
    **choice,
  )


def with_sets(
  plan: measurement.Measurement,
  configured: Callable[..., measurement.Measurement],
  models: Sequence[image_model.ImageModel] = (),
  **choice,
) -> measurement.Measurement:
  """Makes or reads the sets of a plan.

  Args:
    plan: settings from `planned`.
    configured: function that `planned` was given.
    models: models to measure, which may require a size of own pictures.
    **choice: arguments that `planned` was given.

  Raises:
    UsageError: the sets cannot be made or read.
  """
  if plan.pictures is not None:
    return plan if choice.get("image_size") else sized_for(plan, models)
  for name in ("images", "alterations", "max_pictures"):
    choice.pop(name, None)
  return choose(configured, **choice)


def _given(top_k: str | None, changes: dict) -> dict:
  """The fields that flags set."""
  given = {name: value for name, value in changes.items() if value}
  if top_k is not None:
    words = [word.strip() for word in top_k.split(",")]
    errors.require(
      all(word.isdecimal() and int(word) for word in words),
      f"top_k={top_k!r}: expected numbers of units, such as 10,25",
    )
    given["top_k"] = tuple(sorted(set(map(int, words))))
  return given
