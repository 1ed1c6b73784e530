"""Locations of encoded images, as all readers return them.

Nothing is decoded here. Per image only path, size, label and box are kept, so a
million images take tens of megabytes.
"""

import hashlib
import os
from typing import Any, NamedTuple

import numpy as np


class Shards(NamedTuple):
  """Images inside files of tf.train.Example or tf.train.SequenceExample.

  A SequenceExample holds several images, an Example one.

  Attributes:
    file: [N] int32, index into `ImageRecords.files` of the file with the
      record.
    offset: [N] int64, offset of the serialized Example in the file, bytes.
    length: [N] int64, length of the serialized Example, bytes.
    image_feature: name of the feature that holds the encoded image.
    row: [N] int64, position of the image in the feature list of its
      SequenceExample; None for Examples.
  """

  file: np.ndarray
  offset: np.ndarray
  length: np.ndarray
  image_feature: str = "image/encoded"
  row: np.ndarray | None = None


class Examples(NamedTuple):
  """Training examples that are not single full images, such as frame pairs.

  An example has P slots, one per view or one for all views. Each slot shows an
  image or a region of it.

  Attributes:
    images: [N, P] int64, index of the image in each slot.
    boxes: [N, P, 4] int32, region of the image, as in `ImageRecords`; None for
      full images.
    groups: [N] int32 from 0, group of each example, such as its video: a batch
      never holds two examples of one group. None if any may share a batch.
    tracks: [N] int64 from 0, track of each example; None if unknown.
    tracks_per_video: [V] int64, number of tracks of each video; None if
      examples do not come from tracks.
    seconds: time between the images of an example, seconds; None if they do not
      come from videos.
  """

  images: np.ndarray
  boxes: np.ndarray | None = None
  groups: np.ndarray | None = None
  tracks: np.ndarray | None = None
  tracks_per_video: np.ndarray | None = None
  seconds: float | None = None


class Objects(NamedTuple):
  """Boxes of objects in N examples, O in all, for croppers.

  Attributes:
    offsets: [N + 1] int64; the objects of example i are the rows offsets[i] up
      to offsets[i + 1].
    boxes: [O, P, 4] float32, ymin, xmin, ymax, xmax, fractions of the image:
      the object in each slot of its example; P = 1 for single images.
    of_regions: whether they are fractions of the region to use instead.
  """

  offsets: np.ndarray
  boxes: np.ndarray
  of_regions: bool = False

  @property
  def num_without(self) -> int:
    """Number of examples without a box."""
    return int((np.diff(self.offsets) == 0).sum())

  def take(self, examples: np.ndarray) -> "Objects":
    """Selects examples, [n] int, in that order."""
    counts = np.diff(self.offsets)[examples]
    offsets = np.append(0, np.cumsum(counts))
    rows = np.arange(offsets[-1])
    rows += np.repeat(self.offsets[:-1][examples] - offsets[:-1], counts)
    return self._replace(offsets=offsets, boxes=self.boxes[rows])


class Masks(NamedTuple):
  """Masks of the objects in N images.

  Attributes:
    files: [N] bytes, absolute path of the mask of each image, which has its
      size; for an image without one, any path relative to the images' root.
    known: [N] bool, whether an image has a mask.
  """

  files: np.ndarray
  known: np.ndarray


class ImageRecords(NamedTuple):
  """N encoded images, in a fixed order.

  Attributes:
    root: folder that `files` are relative to; an absolute path.
    files: [F] bytes, paths relative to `root`. Without `shards`, F = N and file
      i holds image i.
    sizes: [N] int64, size of each encoded image (in shards, of each record),
      bytes.
    labels: [N] int32, class ids, -1 if unknown; None without labels.
    boxes: [N, 4] int32, region to use, pixels: xmin, ymin, xmax, ymax, maxima
      exclusive; xmin = -1 means the full image. None if no image has a box.
    class_names: name of each class id, see `names.of_class`; empty if classes
      have no names.
    shards: location of each image inside `files`; None for one image per file.
    examples: training examples; None if each image is an example.
    objects: boxes of objects in the examples; None if unknown.
    masks: masks of objects in the images; None if unknown.
  """

  root: str
  files: np.ndarray
  sizes: np.ndarray
  labels: np.ndarray | None = None
  boxes: np.ndarray | None = None
  class_names: tuple[str, ...] = ()
  shards: Shards | None = None
  examples: Examples | None = None
  objects: Objects | None = None
  masks: Masks | None = None

  @property
  def num_examples(self) -> int:
    """Number of training examples."""
    return (
      self.num_images if self.examples is None else len(self.examples.images)
    )

  def shown(self, example: int) -> list[tuple[int, np.ndarray | None]]:
    """Each image of an example, with its box or None.

    Args:
      example: index of the example.
    """
    if self.examples is None:
      return [(example, None if self.boxes is None else self.boxes[example])]
    images, boxes = self.examples.images, self.examples.boxes
    if boxes is None:
      return [(int(image), None) for image in images[example]]
    return list(zip(images[example].tolist(), boxes[example], strict=True))

  @property
  def num_images(self) -> int:
    """Number of images, N; `len` of a named tuple counts its fields."""
    return len(self.sizes)

  def name(self, index: int) -> str:
    """Path of an image relative to `root`; in shards `path@offset[#row]`."""
    if self.shards is None:
      return os.fsdecode(self.files[index])
    file = os.fsdecode(self.files[self.shards.file[index]])
    row = "" if self.shards.row is None else f"#{self.shards.row[index]}"
    return f"{file}@{self.shards.offset[index]}{row}"

  def path(self, index: int) -> str:
    """Path of the file that holds image `index`."""
    row = index if self.shards is None else self.shards.file[index]
    return os.path.join(self.root, os.fsdecode(self.files[row]))


def take(records: ImageRecords, images: np.ndarray) -> ImageRecords:
  """Selects images; each becomes an example of its own.

  Args:
    records: records of N images.
    images: [n] int, indices of the selected images, in the new order.
  """
  if records.shards is None:
    located = {"files": records.files[images]}
  else:
    columns = records.shards._asdict()
    del columns["image_feature"]
    chosen = {k: None if v is None else v[images] for k, v in columns.items()}
    located = {"shards": records.shards._replace(**chosen)}
  return records._replace(
    sizes=records.sizes[images],
    labels=None if records.labels is None else records.labels[images],
    boxes=None if records.boxes is None else records.boxes[images],
    examples=None,
    objects=None
    if records.objects is None or records.examples is not None
    else records.objects.take(images),
    masks=None
    if records.masks is None
    else Masks(*(column[images] for column in records.masks)),
    **located,
  )


def masks_as_images(records: ImageRecords) -> ImageRecords:
  """The masks as images with the boxes, objects and examples of their images.

  Images without a mask stand for themselves.

  Args:
    records: images with `masks`, one file each.
  """
  prefix = os.fsencode(os.path.join(records.root, "")).lstrip(b"/")
  files = [
    file.lstrip(b"/") if known else prefix + file
    for file, known in zip(
      records.masks.files.tolist(), records.masks.known.tolist(), strict=True
    )
  ]
  return records._replace(root="/", files=np.array(files), masks=None)


def keep_labels(
  labels: np.ndarray, fraction: float, *, seed: int
) -> np.ndarray:
  """Hides all labels but a random fraction of each class, at least one each.

  Args:
    labels: [N] int32, class ids, -1 if unknown.
    fraction: fraction of each class to keep, 0..1.
    seed: seed of the random choice; compared methods share it.

  Returns:
    [N] int32, -1 where the label is hidden or unknown.
  """
  rng = np.random.default_rng(seed)
  kept = np.full_like(labels, -1)
  for label in np.unique(labels[labels >= 0]):
    members = np.flatnonzero(labels == label)
    count = max(1, round(fraction * len(members)))
    kept[rng.permutation(members)[:count]] = label
  return kept


def digest(records: ImageRecords) -> dict[str, Any]:
  """Identifies a dataset without reading its images.

  Returns:
    `count`, the number of images; `bytes`, their total encoded size; `sha256`,
    a hash of the sorted names and sizes. Moving a folder does not change its
    digest.
  """
  names = [records.name(i) for i in range(records.num_images)]
  sha256 = hashlib.sha256()
  for i in sorted(range(len(names)), key=names.__getitem__):
    sha256.update(
      f"{names[i]}\0{records.sizes[i]}\n".encode("utf-8", "replace")
    )
  return {
    "count": records.num_images,
    "bytes": int(records.sizes.sum()),
    "sha256": sha256.hexdigest(),
  }
