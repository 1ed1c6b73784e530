"""Rendered sets of images in which one thing changes: no download, true values.

The world is that of `synthetic`, with instances that none of its splits has.
"""

import pathlib

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.rendering import (
  categories,
  factors,
  folder_cache,
  invariance_plans,
  stills,
  synthetic,
  workers,
)

# Part of every cache's name: count it up whenever a plan changes.
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
  """Sets for one invariance, rendered on the first call and then kept.

  What changes within a set, and the factor's values, evenly spaced:

    occlusion: an occluder grows; 1 to 8 eighths of the object are visible.
    viewpoint: the object turns all around; degrees. Round things, as bottles
      and lamps are, then change little but for their texture.
    illumination_direction: the light goes round, -110 to 110 degrees from
      behind the camera.
    illumination_colour: the light turns from blue to red; red gains the share
      that blue loses, -0.8 to 0.8.
    instance: another thing of the category in each image; no values.
    instance_viewpoint: that, and it is turned as in viewpoint.
    background: what is behind; no values.
    position: the object goes along a line through the middle, -0.25 to 0.25
      image sides; each set has its own line.
    scale: the diameter of the object's bounding sphere, 0.35 to 1 image sides;
      their ratios are even.

  Args:
    invariance: one of `invariance_sets.INVARIANCES`.
    num_sets: how many sets. Categories, which are the classes, take turns.
    images_per_set: how many images each has; 8 at most in occlusion, which has
      no more levels, and 70 in background.
    image_size: H and W.
    seed: of the world; see `synthetic.rendered_folder`.
    black_background: what is behind is black, as in ALOI and COIL, where
      otherwise it is drawn for each set. What stays behind an object that
      changes is something to hold on to, too.
    cache_dir: where images are kept; see `synthetic.rendered_folder`.

  Raises:
    UsageError: if an argument is out of range, black_background is asked for
      where the background changes, or cache_dir cannot be written.
  """
  if invariance not in invariance_plans.KINDS:
    raise errors.UsageError(
      f"invariance={invariance!r}: expected one of "
      f"{', '.join(invariance_plans.KINDS)}; change invariance."
    )
  for name, value in (
    ("num_sets", num_sets),
    ("images_per_set", images_per_set),
  ):
    if not 1 <= value <= 10**6:
      raise errors.UsageError(
        f"{name}={value}: expected 1 to 1000000; change {name}."
      )
  if black_background and invariance == "background":
    raise errors.UsageError(
      "black_background=True: in sets of backgrounds these change; change"
      " black_background or invariance."
    )
  stills.check_image_size(image_size)
  plan = invariance_plans.plan(invariance, num_sets, images_per_set, seed)
  members, sets, files = [], [], {}
  for number, shown in enumerate(plan):
    category = categories.CATEGORIES[shown[0].factors.category]
    for i, member in enumerate(shown):
      shows = member.factors
      if black_background:
        shows = shows._replace(background=factors.BLACK)
      files[f"{category}/{number:06d}_{i:06d}.png"] = shows
      members.append(member)
      sets.append(number)
  name = (
    f"{invariance}-{num_sets}sets-{len(plan[0])}x{image_size}px-seed{seed}-"
    f"v{synthetic.RENDERER_VERSION}.{PLAN_VERSION}"
    f"{'-black' if black_background else ''}"
  )
  folder = pathlib.Path(
    folder_cache.folder(
      pathlib.Path(cache_dir or synthetic.default_cache_dir()) / name,
      "images",
      files,
      lambda folder: workers.render_stills(
        folder,
        files,
        seed=seed,
        image_size=image_size,
        label=f"{invariance.replace('_', ' ')} sets",
      ),
    )
  )
  used = min(num_sets, len(categories.CATEGORIES))
  factor_name, unit, period = invariance_plans.KINDS[invariance].factor
  return invariance_sets.InvarianceSets(
    source="rendered",
    invariance=invariance,
    images=records.ImageRecords(
      str(folder.absolute()),
      np.array([name.encode() for name in files]),
      np.array([(folder / name).stat().st_size for name in files], np.int64),
    ),
    sets=np.array(sets, np.int32),
    classes=np.array([m.factors.category for m in members], np.int32),
    set_names=tuple(
      f"{categories.CATEGORIES[i % len(categories.CATEGORIES)]} {i}"
      for i in range(num_sets)
    ),
    class_names=categories.CATEGORIES[:used],
    factor=np.array([member.value for member in members], np.float64),
    factor_name=factor_name,
    factor_unit=unit,
    factor_period=period,
    image_size=image_size,
    skipped={},
  )
