"""A labeled training and test set with the same classes, and their features.

All checks that need no pixels run before the first image is read.
"""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import protocol, sanity
from tf_ssl.features import store
from tf_ssl.models import image_model

_FOLDER = "features"
_NAMED = 5  # Classes that an error lists.


class LabeledSets(NamedTuple):
  """Training and test images with one list of classes.

  Attributes:
    train: training images; `labels` are indices into `class_names`.
    test: test images; `labels` are indices into `class_names`.
    class_names: [C] names of the classes, each with images in both sets.
  """

  train: records_lib.ImageRecords
  test: records_lib.ImageRecords
  class_names: tuple[str, ...]

  def data(self) -> dict[str, dict[str, Any]]:
    """Folder and fingerprint of both sets, for `protocol.Outcome.data`."""
    return {
      role: {
        "folder": records.root,
        **fingerprint(records, len(self.class_names)),
      }
      for role, records in (("train", self.train), ("test", self.test))
    }

  def key(self, description: image_model.Description) -> dict[str, Any]:
    """What results on these images and a model depend on, besides settings.

    Args:
      description: description of the model.
    """
    data = self.data()
    return {
      "data": {role: facts["labels_sha256"] for role, facts in data.items()},
      "images": {role: facts["sha256"] for role, facts in data.items()},
      "model": protocol.model_key(description),
    }


class Features(NamedTuple):
  """Features of the readable images of a set of N images.

  Attributes:
    values: [M, D] float32 features, mapped from disk.
    labels: [M] int64 class ids.
    index: [M] int64, ascending, index of each image in the set.
    skipped: reasons by name of the images that could not be read.
  """

  values: np.ndarray
  labels: np.ndarray
  index: np.ndarray
  skipped: dict[str, str]


def fingerprint(
  records: records_lib.ImageRecords, num_classes: int
) -> dict[str, Any]:
  """Identifies labeled images, in any folder, without reading them.

  Args:
    records: images with labels, negative where unknown.
    num_classes: number of classes C.

  Returns:
    The digest of the images (`records.digest`); "labels_sha256", a hash of the
    class and, if there is one, the region of each image; "classes", C.
  """
  names = [*(records.class_names or map(str, range(num_classes))), None]
  regions = [""] * records.num_images
  if records.boxes is not None:
    regions = [f"\0{box}" for box in records.boxes.tolist()]
  by_name = sorted(
    f"{records.name(i)}\0{names[max(label, -1)]}{regions[i]}\n"
    for i, label in enumerate(records.labels.tolist())
  )
  sha256 = hashlib.sha256()
  for line in by_name:
    sha256.update(line.encode("utf-8", "surrogateescape"))
  return {
    **records_lib.digest(records),
    "labels_sha256": sha256.hexdigest(),
    "classes": num_classes,
  }


def match(
  train: records_lib.ImageRecords,
  test: records_lib.ImageRecords,
  *,
  named_by: tuple[str, str] = ("TRAIN_IMAGES", "TEST_IMAGES"),
) -> LabeledSets:
  """Maps the labels of two sets to one list of classes.

  Classes are matched by name where they have names, by number otherwise.

  Args:
    train: training images, all labeled.
    test: test images, all labeled.
    named_by: macros or flags that the two sets come from, for errors.

  Raises:
    UsageError: labels are missing, negative or beyond the named classes; only
      one of the sets names its classes; there is a single class; or a class has
      images in one set only.
  """
  names = []
  for source, records in zip(named_by, (train, test), strict=True):
    _check(source, records)
    names.append(_names(records))
  if bool(train.class_names) != bool(test.class_names):
    named, numbered = named_by[:: 1 if train.class_names else -1]
    raise errors.UsageError(
      f"{named} names its classes and {numbered} numbers them; "
      "expected names in both, or numbers in both"
    )
  known, asked = (set(each.values()) for each in names)
  sources = [
    f"{source} ({records.root})"
    for source, records in zip(named_by, (train, test), strict=True)
  ]
  if asked - known:
    raise errors.UsageError(
      f"{sources[1]} has {len(asked - known)} classes that {sources[0]} lacks: "
      f"{_some(asked - known)}; {named_by[0]} has {_some(known)}; expected the "
      "same class names in both"
    )
  if known - asked:
    raise errors.UsageError(
      f"{sources[1]} has no images of {len(known - asked)} of the {len(known)} "
      f"classes of {sources[0]}: {_some(known - asked)}; add test images, or "
      f"remove these classes from {named_by[0]}"
    )
  sanity.check_classes(
    _counts(train, names[0]),
    _counts(test, names[1]),
    sources=sources,
    advice="add a folder of images for each other class",
  )
  # Without names by number: 2 comes before 10.
  order = sorted(known) if train.class_names else sorted(known, key=int)
  number = {name: i for i, name in enumerate(order)}
  return LabeledSets(
    *(
      records._replace(
        labels=_mapped(records.labels, each, number),
        class_names=tuple(order),
      )
      for each, records in zip(names, (train, test), strict=True)
    ),
    tuple(order),
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureProtocol:
  """Base of the protocols on features of labeled images.

  Attributes:
    train: labeled training images.
    test: labeled test images of the same classes.
    image_size: side of the crops in pixels.
    batch_size: images per forward pass.
    max_skipped_fraction: largest fraction of the images that may be unreadable.
  """

  train: records_lib.ImageRecords
  test: records_lib.ImageRecords
  image_size: int = 224
  batch_size: int = 64
  max_skipped_fraction: float = 0.05

  def features(
    self,
    subject: protocol.Subject,
    sets: LabeledSets,
    output_dir: str,
    *,
    roles: Sequence[str] = ("train", "test"),
  ) -> dict[str, Features]:
    """Extracts features of center crops, resuming an interrupted call.

    The short side of an image is resized to `image_size` · 256/224 px first.

    Args:
      subject: model to evaluate.
      sets: matched sets of the protocol.
      output_dir: path of the folder below which the features are kept.
      roles: names of the sets to read, in order: "train", "test".

    Returns:
      Features by role.

    Raises:
      UsageError: too many images cannot be read, or the folder cannot be
        written (`features.store.extract`).
    """
    found = {}
    for role in roles:
      records = getattr(sets, role)
      stored = store.extract(
        [subject.frozen],
        records,
        os.path.join(output_dir, _FOLDER, role),
        image_size=self.image_size,
        framing="middle",
        batch_size=self.batch_size,
        max_skipped_fraction=self.max_skipped_fraction,
      )
      found[role] = Features(
        stored.by_model[subject.frozen.name],
        records.labels[stored.index].astype(np.int64),
        np.asarray(stored.index),
        stored.skipped,
      )
    return found


def hold_out(
  train: records_lib.ImageRecords, fraction: float, *, seed: int
) -> np.ndarray:
  """Draws the images of a training set that serve as validation set.

  Args:
    train: training images from `match`.
    fraction: fraction of each class to hold out, between 0 and 1; at least one
      image of each.
    seed: seed of the draw.

  Returns:
    [N] bool, True for held-out images.

  Raises:
    UsageError: the fraction is out of range, or a class has no image left to
      train on.
  """
  errors.require(
    0 < fraction < 1,
    f"validation_fraction is {fraction}; expected a number between 0 and 1; "
    "change VALIDATION_FRACTION",
  )
  held_out = records_lib.keep_labels(train.labels, fraction, seed=seed) >= 0
  left = np.bincount(train.labels[~held_out], minlength=len(train.class_names))
  if not left.all():
    name = train.class_names[int(np.argmin(left))]
    raise errors.UsageError(
      f"class {name!r} of TRAIN_IMAGES ({train.root}) has no image left to "
      f"train on once a fraction of {fraction:g} is held out; expected at "
      "least 2 images of every class; lower VALIDATION_FRACTION or add images"
    )
  return held_out


def held_out_rows(
  train: Features, held_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Splits the rows of the training features.

  Args:
    train: training features.
    held_out: [N] bool from `hold_out`.

  Returns:
    Indices of the rows to train on, and of the held-out rows.

  Raises:
    UsageError: one of the two parts has no readable image.
  """
  out = held_out[train.index]
  parts = np.flatnonzero(~out), np.flatnonzero(out)
  for part, rows in zip(("to train on", "held out"), parts, strict=True):
    if not len(rows):
      name, reason = next(iter(train.skipped.items()))
      raise errors.UsageError(
        f"none of the images of TRAIN_IMAGES {part} can be read, the first "
        f"{name!r} ({reason}); repair or remove these, or change "
        "VALIDATION_FRACTION"
      )
  return parts


def check_named(macro: str, records: records_lib.ImageRecords) -> None:
  """Checks that every label has a class name where classes have names.

  Args:
    macro: name of the gin macro that gives the images.
    records: images with labels.

  Raises:
    UsageError: a label is beyond the class names.
  """
  labels, count = records.labels, len(records.class_names)
  if count and int(labels.max()) >= count:
    first = records.name(int(np.argmax(labels >= count)))
    raise errors.UsageError(
      f"{macro} ({records.root}): the label of {first!r} is "
      f"{int(labels.max(initial=0, where=labels >= count))}, beyond the "
      f"{count} class names; expected labels 0..{count - 1}"
    )


def _check(macro: str, records: records_lib.ImageRecords) -> None:
  labels = records.labels
  if labels is None:
    raise errors.UsageError(
      f"{macro} ({records.root}) has no labels; expected class folders "
      "(CLASS/image.jpg), a manifest with a column `label`, or labeled records"
    )
  errors.require(
    len(labels), f"{macro} ({records.root}) has no images; expected some"
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


def _names(records: records_lib.ImageRecords) -> dict[int, str]:
  """Class name of each label that occurs."""
  present = np.unique(records.labels).tolist()
  if records.class_names:
    return {i: records.class_names[i] for i in present}
  return {i: str(i) for i in present}


def _counts(
  records: records_lib.ImageRecords, names: dict[int, str]
) -> dict[str, int]:
  """Number of images by class name."""
  counts = np.bincount(records.labels)
  return {name: int(counts[i]) for i, name in names.items()}


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
