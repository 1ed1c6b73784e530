"""Which images show the same thing under different conditions."""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors

# As in the program of Purushwalkam & Gupta 2020: smaller sets say too little
# about what changes within a set.
MIN_IMAGES = 3


class ImageSets(NamedTuple):
  """Images divided into sets, and sets into classes.

  A set holds the transformed versions of one thing: T(z) of Purushwalkam &
  Gupta 2020. N images, S sets of at least `MIN_IMAGES`, C classes.

  Attributes:
    membership: [N] int32, the set of each image as an index; S for images of
      the sets that are left out.
    ids: [S], the sets' names in ascending order, as the caller gave them.
    sizes: [S] int64, number of images.
    set_classes: [S] int64, index into `classes`.
    classes: [C], the classes' names in ascending order; also those of which
      every set is left out.
    num_skipped: number of sets left out for having too few images.
    classes_are_sets: no classes were given: every set is its own class.
  """

  membership: np.ndarray
  ids: np.ndarray
  sizes: np.ndarray
  set_classes: np.ndarray
  classes: np.ndarray
  num_skipped: int
  classes_are_sets: bool

  @property
  def sets_of_class(self) -> np.ndarray:
    """[C] int64, how many sets each class has; 0: all were left out."""
    return np.bincount(self.set_classes, minlength=len(self.classes))


def group(
  sets: np.ndarray,
  classes: np.ndarray | None,
  num_images: int,
  *,
  rows: np.ndarray | None = None,
) -> ImageSets:
  """Groups images by set and sets by class.

  Args:
    sets: [N], the name or number of each image's set.
    classes: [N], the name or number of each image's class, the same for all
      images of a set; None: every set is a class.
    num_images: N.
    rows: [n] int, the images to group; then N is n in what is returned.

  Returns:
    The groups.

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
        "all images of a set show the same thing: give them one class"
      )
  kept = sizes >= MIN_IMAGES
  if not kept.any():
    raise errors.UsageError(
      f"all {len(ids)} sets have fewer than {MIN_IMAGES} images (the largest "
      f"has {sizes.max(initial=0)}); an invariance is measured within sets of "
      f"at least {MIN_IMAGES}: give larger sets, or check the set ids"
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
  )


def _names(
  what: str, names: np.ndarray, num_images: int, rows: np.ndarray | None
) -> np.ndarray:
  names = np.asarray(names)
  if names.shape != (num_images,):
    raise errors.UsageError(
      f"{what} have shape {names.shape} and there are {num_images} rows of "
      f"features; expected one value of {what} for each row"
    )
  if names.dtype.kind == "f" and not np.isfinite(names).all():
    raise errors.UsageError(
      f"{what} hold NaN or infinity; expected a name or number for each image"
    )
  return names if rows is None else names[rows]
