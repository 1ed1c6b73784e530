"""Rendered invariance sets: no download, true values of the factor.

The instances are those of none of the splits of `synthetic`.
"""

import pathlib
from collections.abc import Collection, Mapping

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.rendering import (
  factors,
  invariance_plans,
  stills,
  synthetic,
  workers,
)

# Part of every cached folder's name. Increase it when a plan changes.
PLAN_VERSION = 1


def rendered_sets(
  invariance: str,
  *,
  num_sets: int = 100,
  images_per_set: int = 24,
  image_size: int = 64,
  seed: int = 0,
  background: str = "changing",
  black_background: bool = False,
  tint_reach: float = 1.0,
  cache_dir: str | None = None,
) -> invariance_sets.InvarianceSets:
  """Returns sets for one invariance, rendered on the first call.

  What varies within a set, with evenly spaced values of the factor:

    occlusion: an occluder grows; 1 to 8 eighths of the object are visible.
    viewpoint: the object turns all around; degrees. Rotationally symmetric
      objects, such as bottles and lamps, change little but in texture.
    illumination_direction: the light moves from -110 to 110 degrees around the
      object; 0 is behind the camera.
    illumination_colour: the light changes from blue to red; -1 to 1, the
      fraction that red gains and blue loses.
    instance: each image shows another instance of the category; no values.
    instance_viewpoint: another instance in each image, turned as in viewpoint.
    background: each image has another background; no values.
    position: the object moves along a line through the image center, -0.25 to
      0.25 image sides; each set has its own direction.
    scale: the diameter of the object's bounding sphere grows from 0.35 to 1
      image sides; ratios of neighbors are equal.
    rotation: the object turns in the image plane, counterclockwise; degrees.

  Args:
    invariance: one of `invariance_sets.INVARIANCES`.
    num_sets: number of sets. The categories, which are the classes, alternate.
    images_per_set: number of images per set; at most 8 for occlusion, which has
      8 levels, and 70 for background.
    image_size: H and W.
    seed: seed of the world; see `synthetic.rendered_folder`.
    background: "changing": each image of a set has another background, so that
      units that see only the background are not invariant. "fixed": each set
      has its own background, which stays while the object changes, so that
      they are. "black": black, as in ALOI and COIL.
    black_background: whether the background is black: the earlier name of
      background="black".
    tint_reach: largest fraction that red gains and blue loses, or the reverse,
      0 to 1, for illumination_colour.
    cache_dir: folder to keep the images in; default as in
      `synthetic.rendered_folder`.

  Raises:
    UsageError: an argument is out of range, the background is black for the
      invariance to background, or cache_dir cannot be written.
  """
  if invariance not in invariance_plans.KINDS:
    raise errors.UsageError(
      f"invariance={invariance!r}: expected one of"
      f" {', '.join(invariance_plans.KINDS)}; change invariance"
    )
  counts = {"num_sets": num_sets, "images_per_set": images_per_set}
  for name, value in counts.items():
    errors.require(
      1 <= value <= 10**6,
      f"{name}={value}: expected 1 to 1000000; change {name}",
    )
  if black_background:
    background = "black"
  errors.require(
    background in invariance_plans.BACKGROUNDS,
    f"background={background!r}: expected one of"
    f" {', '.join(invariance_plans.BACKGROUNDS)}; change background",
  )
  errors.require(
    background != "black" or invariance != "background",
    "background='black': not possible for invariance='background', where the"
    " background varies; change background or invariance",
  )
  errors.require(
    0 < tint_reach <= 1,
    f"tint_reach={tint_reach}: expected more than 0, at most 1; change"
    " tint_reach",
  )
  stills.check_image_size(image_size)
  plan = invariance_plans.plan(
    invariance,
    num_sets,
    images_per_set,
    seed,
    background=background,
    tint_reach=tint_reach,
  )
  categories = synthetic.CATEGORIES
  members, sets, shown = [], [], {}
  for number, members_of_set in enumerate(plan):
    category = categories[members_of_set[0].factors.category]
    for i, member in enumerate(members_of_set):
      shown[f"{category}/{number:06d}_{i:06d}.png"] = member.factors
      members.append(member)
      sets.append(number)
  name = (
    f"{invariance}-{num_sets}sets-{len(plan[0])}x{image_size}px-seed{seed}-"
    f"v{synthetic.RENDERER_VERSION}.{PLAN_VERSION}"
  )
  if invariance != "background" and background != "fixed":
    name += f"-{background}"
  if invariance == "illumination_colour" and tint_reach != 0.8:
    name += f"-tint{tint_reach:g}"  # 0.8 has the name of earlier versions.
  world = {"seed": seed, "image_size": image_size}

  def render_into(folder: pathlib.Path) -> None:
    title = f"{invariance.replace('_', ' ')} sets"
    workers.render("still", folder, shown, world=world, title=title)

  folder = pathlib.Path(
    synthetic.cached(name, "images", shown, render_into, cache_dir)
  )
  behind = np.array([member.factors.background for member in members])
  kind = invariance_plans.KINDS[invariance]
  factor_name, unit, period = kind.factor
  return invariance_sets.InvarianceSets(
    source="rendered",
    invariance=invariance,
    images=_records(folder, shown),
    sets=np.array(sets, np.int32),
    classes=np.array([m.factors.category for m in members], np.int32),
    set_names=tuple(
      f"{categories[i % len(categories)]} {i}" for i in range(num_sets)
    ),
    class_names=categories[: min(num_sets, len(categories))],
    factor=np.array([member.value for member in members], np.float64),
    factor_name=factor_name,
    factor_unit=unit,
    factor_period=period,
    image_size=image_size,
    skipped={},
    targets=np.array([*map(kind.target, members)]) if kind.target else None,
    backgrounds=_backgrounds(world, cache_dir),
    background_of=np.where(behind == factors.BLACK, 0, behind + 1),
  )


def _backgrounds(
  world: Mapping[str, int], cache_dir: str | None
) -> records.ImageRecords:
  """All backgrounds of a world without an object, black first."""
  name = (
    f"backgrounds-{world['image_size']}px-seed{world['seed']}-"
    f"v{synthetic.RENDERER_VERSION}"
  )
  shown = {
    f"{number + 1:02d}.png": number
    for number in (factors.BLACK, *range(factors.BACKGROUNDS))
  }

  def render_into(folder: pathlib.Path) -> None:
    workers.render("background", folder, shown, world=world, processes=1)

  folder = synthetic.cached(name, "images", shown, render_into, cache_dir)
  return _records(pathlib.Path(folder), shown)


def _records(
  folder: pathlib.Path, names: Collection[str]
) -> records.ImageRecords:
  sizes = [(folder / name).stat().st_size for name in names]
  return records.ImageRecords(
    str(folder.absolute()),
    np.array([name.encode() for name in names]),
    np.array(sizes, np.int64),
  )
