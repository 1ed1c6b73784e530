"""Rendered invariance sets: no download, true values of the factor.

The instances are those of none of the splits of `synthetic`.
"""

import pathlib

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
  black_background: bool = False,
  cache_dir: str | None = None,
) -> invariance_sets.InvarianceSets:
  """Returns sets for one invariance, rendered on the first call.

  What varies within a set, with evenly spaced values of the factor:

    occlusion: an occluder grows; 1 to 8 eighths of the object are visible.
    viewpoint: the object turns all around; degrees. Rotationally symmetric
      objects, such as bottles and lamps, change little but in texture.
    illumination_direction: the light moves from -110 to 110 degrees around the
      object; 0 is behind the camera.
    illumination_colour: the light changes from blue to red; -0.8 to 0.8, the
      fraction that red gains and blue loses.
    instance: each image shows another instance of the category; no values.
    instance_viewpoint: another instance in each image, turned as in viewpoint.
    background: each image has another background; no values.
    position: the object moves along a line through the image center, -0.25 to
      0.25 image sides; each set has its own direction.
    scale: the diameter of the object's bounding sphere grows from 0.35 to 1
      image sides; ratios of neighbors are equal.

  Args:
    invariance: one of `invariance_sets.INVARIANCES`.
    num_sets: number of sets. The categories, which are the classes, alternate.
    images_per_set: number of images per set; at most 8 for occlusion, which has
      8 levels, and 70 for background.
    image_size: H and W.
    seed: seed of the world; see `synthetic.rendered_folder`.
    black_background: whether the background is black, as in ALOI and COIL. By
      default each set has its own background, which stays the same while the
      object changes and so raises the similarity of the set's images.
    cache_dir: folder to keep the images in; default as in
      `synthetic.rendered_folder`.

  Raises:
    UsageError: an argument is out of range, black_background is set for the
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
  errors.require(
    not (black_background and invariance == "background"),
    "black_background=True: not possible for invariance='background', where"
    " the background varies; change black_background or invariance",
  )
  stills.check_image_size(image_size)
  plan = invariance_plans.plan(invariance, num_sets, images_per_set, seed)
  categories = synthetic.CATEGORIES
  members, sets, shown = [], [], {}
  for number, members_of_set in enumerate(plan):
    category = categories[members_of_set[0].factors.category]
    for i, member in enumerate(members_of_set):
      still = member.factors
      if black_background:
        still = still._replace(background=factors.BLACK)
      shown[f"{category}/{number:06d}_{i:06d}.png"] = still
      members.append(member)
      sets.append(number)
  name = (
    f"{invariance}-{num_sets}sets-{len(plan[0])}x{image_size}px-seed{seed}-"
    f"v{synthetic.RENDERER_VERSION}.{PLAN_VERSION}"
    f"{'-black' if black_background else ''}"
  )

  def render_into(folder: pathlib.Path) -> None:
    world = {"seed": seed, "image_size": image_size}
    title = f"{invariance.replace('_', ' ')} sets"
    workers.render("still", folder, shown, world=world, title=title)

  folder = pathlib.Path(
    synthetic.cached(name, "images", shown, render_into, cache_dir)
  )
  kind = invariance_plans.KINDS[invariance]
  factor_name, unit, period = kind.factor
  return invariance_sets.InvarianceSets(
    source="rendered",
    invariance=invariance,
    images=records.ImageRecords(
      str(folder.absolute()),
      np.array([name.encode() for name in shown]),
      np.array([(folder / name).stat().st_size for name in shown], np.int64),
    ),
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
  )
