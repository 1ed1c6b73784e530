"""Two labeled sets of the same classes, and what a frozen model makes of them.

What cannot be used is refused before the first image is read.
"""

import os
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import protocol, set_identity
from tf_ssl.features import store

_FOLDER = "features"
_NAMED = 5  # classes that an error lists


class LabeledSets(NamedTuple):
  """Images to learn from and images to test on, with one list of classes.

  Attributes:
    train: the images; `labels` are numbers of `class_names`.
    test: the images; `labels` likewise.
    class_names: C names, each of a class with images in both sets.
  """

  train: records_lib.ImageRecords
  test: records_lib.ImageRecords
  class_names: tuple[str, ...]

  def data(self) -> dict[str, dict[str, Any]]:
    """Identifies both sets, for `protocol.Outcome.data`."""
    return {
      role: {
        "folder": records.root,
        **set_identity.identity(records, len(self.class_names)),
      }
      for role, records in (("train", self.train), ("test", self.test))
    }


class Features(NamedTuple):
  """Features of those of N images that could be read.

  Attributes:
    values: [M, D] float32, mapped from the disk.
    labels: [M] int64.
    index: [M] int64, ascending: which of the N images each is.
    skipped: from the names of images left out to the reasons.
  """

  values: np.ndarray
  labels: np.ndarray
  index: np.ndarray
  skipped: dict[str, str]


def match(
  train: records_lib.ImageRecords, test: records_lib.ImageRecords
) -> LabeledSets:
  """Brings the labels of two sets to one list of classes.

  Where classes have names those decide, whatever the numbers.

  Args:
    train: the macro TRAIN_IMAGES, all with labels.
    test: TEST_IMAGES, likewise.

  Raises:
    UsageError: labels are missing, negative or beyond the named classes; one
      set names its classes and the other numbers them; there is a single class;
      a class of one set has no image in the other.
  """
  names = {}
  for macro, records in (("TRAIN_IMAGES", train), ("TEST_IMAGES", test)):
    _check(macro, records)
    names[macro] = _names(records)
  if bool(train.class_names) != bool(test.class_names):
    named, numbered = ("TRAIN", "TEST")[:: 1 if train.class_names else -1]
    raise errors.UsageError(
      f"{named}_IMAGES names its classes and {numbered}_IMAGES numbers them; "
      "expected names in both, or numbers in both"
    )
  known, asked = (set(names[macro].values()) for macro in names)
  if asked - known:
    raise errors.UsageError(
      f"TEST_IMAGES ({test.root}) has {len(asked - known)} classes that "
      f"TRAIN_IMAGES ({train.root}) does not have: {_some(asked - known)}; "
      f"there are {_some(known)}; expected the same classes in both, by name"
    )
  if known - asked:
    raise errors.UsageError(
      f"TEST_IMAGES ({test.root}) has no image of {len(known - asked)} of the "
      f"{len(known)} classes of TRAIN_IMAGES ({train.root}): "
      f"{_some(known - asked)}; add some, or leave these classes out of "
      "TRAIN_IMAGES"
    )
  if len(known) < 2:
    raise errors.UsageError(
      f"TRAIN_IMAGES ({train.root}) has a single class, {_some(known)}; "
      "expected at least two, each a folder of images"
    )
  # By number where they have no names: 2 comes before 10.
  order = sorted(known) if train.class_names else sorted(known, key=int)
  number = {name: i for i, name in enumerate(order)}
  return LabeledSets(
    *(
      records._replace(
        labels=_mapped(records.labels, names[macro], number),
        class_names=tuple(order),
      )
      for macro, records in (("TRAIN_IMAGES", train), ("TEST_IMAGES", test))
    ),
    tuple(order),
  )


def features(
  subject: protocol.Subject,
  records: records_lib.ImageRecords,
  output_dir: str,
  role: str,
  *,
  image_size: int,
  batch_size: int = 64,
  max_skipped_fraction: float = 0.05,
) -> Features:
  """Runs the frozen model over a set, or goes on where that was stopped.

  The short side is resized to `image_size` * 256/224 and the middle cut out.

  Args:
    subject: the model.
    records: of `match`.
    output_dir: features lie below it.
    role: "train" or "test".
    image_size: pixels a side.
    batch_size: images at once.
    max_skipped_fraction: of the images that may be unreadable.

  Raises:
    UsageError: see `store.extract`.
  """
  found = store.extract(
    [subject.frozen],
    records,
    os.path.join(output_dir, _FOLDER, role),
    image_size=image_size,
    framing="middle",
    batch_size=batch_size,
    max_skipped_fraction=max_skipped_fraction,
  )
  return Features(
    found.by_model[subject.frozen.name],
    records.labels[found.index].astype(np.int64),
    np.asarray(found.index),
    found.skipped,
  )


def hold_out(
  train: records_lib.ImageRecords, fraction: float, *, seed: int
) -> np.ndarray:
  """Chooses images of the training set to choose settings by.

  Args:
    train: of `match`.
    fraction: of each class, between 0 and 1; at least one image of each.
    seed: of the choice.

  Returns:
    [N] bool, True where held out.

  Raises:
    UsageError: the fraction is out of range, or a class has no image left.
  """
  if not 0 < fraction < 1:
    raise errors.UsageError(
      f"validation_fraction is {fraction}; expected a number between 0 and 1; "
      "change VALIDATION_FRACTION"
    )
  held_out = records_lib.keep_labels(train.labels, fraction, seed=seed) >= 0
  left = np.bincount(train.labels[~held_out], minlength=len(train.class_names))
  if not left.all():
    name = train.class_names[int(np.argmin(left))]
    raise errors.UsageError(
      f"class {name!r} of TRAIN_IMAGES ({train.root}) has no image left to "
      f"learn from once a share of {fraction:g} is held out; expected at least "
      "2 images of every class; lower VALIDATION_FRACTION or add images"
    )
  return held_out


def held_out_rows(
  train: Features, held_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Rows of the features to learn from, and of those that were held out.

  Args:
    train: of `features`.
    held_out: [N] bool, of `hold_out`.

  Raises:
    UsageError: no image of one side could be read.
  """
  out = held_out[train.index]
  sides = np.flatnonzero(~out), np.flatnonzero(out)
  for what, rows in zip(("to learn from", "held out"), sides, strict=True):
    if not len(rows):
      name, reason = next(iter(train.skipped.items()))
      raise errors.UsageError(
        f"no image of TRAIN_IMAGES that is {what} could be read, the first "
        f"{name!r} ({reason}); mend or remove those, or change "
        "VALIDATION_FRACTION"
      )
  return sides


def _check(macro: str, records: records_lib.ImageRecords) -> None:
  labels = records.labels
  if labels is None:
    raise errors.UsageError(
      f"{macro} ({records.root}) has no labels; expected class folders "
      "(CLASS/image.jpg), a manifest with a column `label`, or labeled records"
    )
  negative = int(np.count_nonzero(labels < 0))
  if negative:
    first = records.name(int(np.argmax(labels < 0)))
    raise errors.UsageError(
      f"{macro} ({records.root}): {negative} of {len(labels)} images have no "
      f"label or a negative one, the first {first!r}; expected a class for "
      "every image"
    )
  check_named(macro, records)


def check_named(macro: str, records: records_lib.ImageRecords) -> None:
  """Refuses labels beyond the classes that have names.

  Args:
    macro: that names the images, for the error.
    records: with labels.

  Raises:
    UsageError: names the first image that has one.
  """
  labels, count = records.labels, len(records.class_names)
  if count and int(labels.max()) >= count:
    first = records.name(int(np.argmax(labels >= count)))
    raise errors.UsageError(
      f"{macro} ({records.root}): the label of {first!r} is "
      f"{int(labels.max(initial=0, where=labels >= count))}, beyond the "
      f"{count} classes that have names; expected labels 0..{count - 1}"
    )


def _names(records: records_lib.ImageRecords) -> dict[int, str]:
  """Name of each class id that an image has."""
  present = np.unique(records.labels).tolist()
  if records.class_names:
    return {i: records.class_names[i] for i in present}
  return {i: str(i) for i in present}


def _mapped(
  labels: np.ndarray, names: dict[int, str], number: dict[str, int]
) -> np.ndarray:
  table = np.zeros(max(names) + 1, np.int32)
  for i, name in names.items():
    table[i] = number[name]
  return table[labels]


def _some(names: set[str]) -> str:
  shown = sorted(names)[:_NAMED]
  more = ", ..." if len(names) > _NAMED else ""
  return ", ".join(map(repr, shown)) + more
