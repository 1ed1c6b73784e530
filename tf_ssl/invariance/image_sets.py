"""Images grouped into sets, and sets into classes. NumPy only."""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors

# As in the program of Purushwalkam & Gupta 2020. Smaller sets say little about
# the factor that changes within a set.
MIN_IMAGES = 3


class ImageSets(NamedTuple):
  """N images in S sets of at least `min_images`, and the sets in C classes.

  A set has the transformed versions of one thing: T(z) of Purushwalkam & Gupta
  2020.

  Attributes:
    membership: [N] int32, index of each image's set; S for images of skipped
      sets.
    ids: [S], names of the sets as the caller gave them, ascending.
    sizes: [S] int64, number of images in each set.
    set_classes: [S] int64, index of each set's class in `classes`.
    classes: [C], names of the classes, ascending, with those whose sets were
      all skipped.
    num_skipped: number of sets skipped for having too few images.
    classes_are_sets: whether no classes were given, so that each set is one.
    min_images: smallest number of images of a set that is not skipped.
  """

  membership: np.ndarray
  ids: np.ndarray
  sizes: np.ndarray
  set_classes: np.ndarray
  classes: np.ndarray
  num_skipped: int
  classes_are_sets: bool
  min_images: int = MIN_IMAGES

  @property
  def sets_of_class(self) -> np.ndarray:
    """[C] int64, number of sets of each class; 0 if all were skipped."""
    return np.bincount(self.set_classes, minlength=len(self.classes))


def group(
  sets: np.ndarray,
  classes: np.ndarray | None,
  num_images: int,
  *,
  rows: np.ndarray | None = None,
  min_images: int = MIN_IMAGES,
) -> ImageSets:
  """Groups images by set and sets by class.

  Args:
    sets: [N], number or name of each image's set.
    classes: [N], number or name of each image's class, one for all images of a
      set; None makes each set a class.
    num_images: number of images, N.
    rows: [n] int, images to group; N is n in the result then.
    min_images: smallest number of images of a set, at least 2; smaller sets
      are skipped.

  Raises:
    UsageError: lengths differ, a set has two classes, or no set is large
      enough.
  """
  names = _names("sets", sets, num_images, rows)
  ids, of_row, sizes = np.unique(names, return_inverse=True, return_counts=True)
  if classes is None:
    class_ids, set_classes = ids, np.arange(len(ids))
  else:
    class_ids, class_of_row = np.unique(
      _names("classes", classes, num_images, rows), return_inverse=True
    )
    set_classes = np.empty(len(ids), np.int64)
    set_classes[of_row] = class_of_row
    mixed = np.flatnonzero(set_classes[of_row] != class_of_row)
    if len(mixed):
      row = mixed[0]
      one = class_ids[class_of_row[row]]
      other = class_ids[set_classes[of_row[row]]]
      raise errors.UsageError(
        f"set {names[row]} has images of class {one} and of class {other}; "
        "give all images of a set one class"
      )
  kept = sizes >= min_images
  errors.require(
    kept.any(),
    f"all {len(ids)} sets have fewer than {min_images} images (the largest has "
    f"{sizes.max(initial=0)}); an invariance is measured within sets of at "
    f"least {min_images}: give larger sets, or check the set ids",
  )
  number = np.where(kept, np.cumsum(kept) - 1, np.count_nonzero(kept))
  return ImageSets(
    membership=number[of_row].astype(np.int32),
    ids=ids[kept],
    sizes=sizes[kept],
    set_classes=set_classes[kept],
    classes=class_ids,
    num_skipped=int(np.count_nonzero(~kept)),
    classes_are_sets=classes is None,
    min_images=min_images,
  )


def _names(
  what: str, names: np.ndarray, num_images: int, rows: np.ndarray | None
) -> np.ndarray:
  names = np.asarray(names)
  errors.require(
    names.shape == (num_images,),
    f"{what} have shape {names.shape} and there are {num_images} rows of "
    f"features; expected one value of {what} for each row",
  )
  errors.require(
    names.dtype.kind != "f" or np.isfinite(names).all(),
    f"{what} contain NaN or infinity; expected a name or number for each image",
  )
  return names if rows is None else names[rows]
