"""Where encoded images lie: what every reader returns and the pipeline reads.

Nothing is decoded here, and nothing is held per image but its path, its size
and what is known about it, so that a million images take tens of megabytes.
"""

import hashlib
import os
from typing import Any, NamedTuple

import numpy as np


class Shards(NamedTuple):
  """Images stored inside files of tf.train.Example, several to a file.

  Or of tf.train.SequenceExample, each with several images.

  Attributes:
    file: [N] int32, the row of `ImageRecords.files` that holds the record.
    offset: [N] int64, where the serialized Example begins, in bytes.
    length: [N] int64, its length in bytes.
    image_feature: name of the feature that holds the encoded image.
    row: [N] int64, which entry of the feature list of a SequenceExample the
      image is; None for Examples.
  """

  file: np.ndarray
  offset: np.ndarray
  length: np.ndarray
  image_feature: str = "image/encoded"
  row: np.ndarray | None = None


class Examples(NamedTuple):
  """What is learned from where that is not each image by itself.

  An example has P places, one for each view (or one for all of them), and each
  place shows an image: the two frames of a pair, say.

  Attributes:
    images: [N, P] int64, the image at each place.
    boxes: [N, P, 4] int32, the region of it, as in `ImageRecords`; None for
      whole images.
    groups: [N] int32 from 0, such as the video that an example comes from: no
      batch holds two of one group. None where that does not matter.
    tracks: [N] int64, which track an example is of, from 0; None where that is
      not known.
    tracks_per_video: [V] int64, how many tracks each video has; None where the
      examples are not of tracks.
    seconds: between the images of an example, k as a time; None where they are
      not of videos.
  """

  images: np.ndarray
  boxes: np.ndarray | None = None
  groups: np.ndarray | None = None
  tracks: np.ndarray | None = None
  tracks_per_video: np.ndarray | None = None
  seconds: float | None = None


class ImageRecords(NamedTuple):
  """N encoded images, in a fixed order.

  Attributes:
    root: the folder that `files` are relative to; an absolute path.
    files: [F] bytes, paths relative to `root`. F = N, file i holding image i,
      unless `shards` is given.
    sizes: [N] int64, bytes of each encoded image (of each record, in shards).
    labels: [N] int32, the class id or -1 where unknown; None without labels.
    boxes: [N, 4] int32, the region to use, in pixels: xmin, ymin, xmax, ymax,
      the maximum exclusive; xmin = -1 stands for the whole image. None where
      no image has a box.
    class_names: name of each class id; empty where classes have no names.
    shards: where each image lies inside `files`; None for one image a file.
    examples: what is learned from; None where every image is an example.
  """

  root: str
  files: np.ndarray
  sizes: np.ndarray
  labels: np.ndarray | None = None
  boxes: np.ndarray | None = None
  class_names: tuple[str, ...] = ()
  shards: Shards | None = None
  examples: Examples | None = None

  @property
  def num_examples(self) -> int:
    """How many examples there are to learn from."""
    return (
      self.num_images if self.examples is None else len(self.examples.images)
    )

  def shown(self, example: int) -> list[tuple[int, np.ndarray | None]]:
    """Each image that an example shows, with the box of it or None."""
    if self.examples is None:
      return [(example, None if self.boxes is None else self.boxes[example])]
    images, boxes = self.examples.images, self.examples.boxes
    if boxes is None:
      return [(int(image), None) for image in images[example]]
    return list(zip(images[example].tolist(), boxes[example], strict=True))

  @property
  def num_images(self) -> int:
    """How many images there are; `len` of a named tuple counts its fields."""
    return len(self.sizes)

  def name(self, index: int) -> str:
    """The image's path relative to `root`; in a shard `path@offset[#row]`."""
    if self.shards is None:
      return os.fsdecode(self.files[index])
    file = os.fsdecode(self.files[self.shards.file[index]])
    row = "" if self.shards.row is None else f"#{self.shards.row[index]}"
    return f"{file}@{self.shards.offset[index]}{row}"

  def path(self, index: int) -> str:
    """The path of the file that holds image `index`."""
    row = index if self.shards is None else self.shards.file[index]
    return os.path.join(self.root, os.fsdecode(self.files[row]))


def take(records: ImageRecords, images: np.ndarray) -> ImageRecords:
  """Some of the images, [n] int, in that order; each an example of its own."""
  if records.shards is None:
    where = {"files": records.files[images]}
  else:
    columns = records.shards._asdict()
    del columns["image_feature"]
    chosen = {k: None if v is None else v[images] for k, v in columns.items()}
    where = {"shards": records.shards._replace(**chosen)}
  return records._replace(
    sizes=records.sizes[images],
    labels=None if records.labels is None else records.labels[images],
    boxes=None if records.boxes is None else records.boxes[images],
    examples=None,
    **where,
  )


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
    `count`, the number of images; `bytes`, their total encoded size;
    `sha256`, a hash of the sorted names with the sizes. A folder keeps its
    digest when it is moved.
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
