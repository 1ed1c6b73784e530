"""The nearest neighbors of some images, before training and after."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation.knn import neighbors
from tf_ssl.input_pipeline import labeled_images, thumbnails
from tf_ssl.ops import workdir
from tf_ssl.training import run_directory
from tf_ssl.training.monitors import base, labeled, neighbor_grid

PICTURE = "nearest_neighbors.png"
_UNTRAINED = "nearest_neighbors_untrained.json"


class Found(NamedTuple):
  """What an encoder finds for the queries that are drawn.

  Attributes:
    queries: [rows] number of each query.
    nearest: [rows, k] numbers of the images nearest to each, nearest first.
    right: fraction of neighbors that have their query's class, over all queries
      and not only these, 0..1; None without classes.
  """

  queries: Sequence[int]
  nearest: Sequence[Sequence[int]]
  right: float | None


class NearestNeighbors(base.Monitor):
  """A picture of what the encoder finds similar, before and after training.

  Draws nearest_neighbors.png in the run's folder, and `nearest_neighbors` in
  TensorBoard: a row for each of some queries, with the images of most similar
  features to the untrained encoder on the left and to the trained one on the
  right. The seed of the run chooses the queries. Logs `neighbors_right`, the
  fraction of neighbors that have their query's class, over all queries and not
  only those drawn; nothing without classes.
  """

  def __init__(
    self,
    *,
    images: labeled.Source = None,
    queries: labeled.Source = None,
    image_size: int | None = None,
    k: int = 5,
    rows: int = 8,
    max_images: int = 500,
    every: int = 0,
  ):
    """Keeps the sources of the images.

    Args:
      images: labeled images to search: an image source, or a function that
        returns one. None for the training images, without classes.
      queries: labeled images whose neighbors are searched; None for `images`,
        each without itself.
      image_size: side of the images, pixels; None for the side of the training
        views.
      k: number of neighbors of each query; fewer where there are fewer images.
      rows: number of queries to draw, of as many classes as there are.
      max_images: largest number of images of a source to use; of more, a random
        part.
      every: number of steps between two measurements.
    """
    self.every = base.check_every(every)
    self._sources = {"LABELLED_IMAGES": images, "HELD_OUT_IMAGES": queries}
    self._image_size = image_size
    self._k = k
    self._rows = rows
    self._max_images = max_images

  def find_data(self) -> None:
    self._sources = {k: base.located(v) for k, v in self._sources.items()}

  def start(self, context: base.Context) -> None:
    """Chooses the images and the queries.

    Raises:
      UsageError: a source is missing, empty or unlabeled.
    """
    super().start(context)
    images, queries = (
      None if source is None else labeled.open_records(source, named_by)
      for named_by, source in self._sources.items()
    )
    if images is None:
      images, queries = context.records._replace(labels=None), None
    self._images = self._open(images)
    self._without_itself = queries is None
    self._queries = self._images if queries is None else self._open(queries)
    if self._images.names is not None:
      own = self._queries.names[:, None]
      self._chance = float(np.mean(own == self._images.names))
    self.picture = os.path.join(context.model_dir, PICTURE)

  def _open(self, records: records_lib.ImageRecords) -> "_Images":
    """Up to `max_images`, all or a random part, in their order."""
    order = np.random.default_rng(self.context.seed).permutation(
      records.num_images
    )
    return _Images(
      records_lib.take(records, np.sort(order[: self._max_images])),
      image_size=self._image_size or self.context.image_size,
      batch_size=self.context.batch_size,
    )

  def measure(self, step: int) -> Mapping[str, float]:
    """Draws the picture; measures `neighbors_right`, 0..1.

    Raises:
      UsageError: no image can be read.
    """
    queries, nearest = self._find()
    right = self._right(queries, nearest)
    rows = self._rows_to_draw(queries)
    found = Found(queries[rows].tolist(), nearest[rows].tolist(), right)
    untrained = os.path.join(self.context.model_dir, _UNTRAINED)
    with workdir.writable(self.context.model_dir, run_directory.ARGUMENT):
      if step == 0:
        # In a file: a run that resumes has no untrained encoder any more.
        workdir.write_text(untrained, json.dumps(found._asdict()) + "\n")
      picture = self._draw(step, workdir.read_json(untrained), found)
      with workdir.replacing_file(self.picture) as path:
        Image.fromarray(picture).save(path, format="png", optimize=True)
    with self.context.writer.as_default(step=step):
      tf.summary.image("nearest_neighbors", picture[None])
    return {} if right is None else {"neighbors_right": right}

  def summary(self, before, after, baseline) -> str | None:
    if "neighbors_right" not in after:
      return None
    return (
      f"images of the same class among the {self._k} nearest:"
      f" {before['neighbors_right']:.1%} (untrained) ->"
      f" {after['neighbors_right']:.1%} (trained); chance {self._chance:.1%}"
    )

  def _find(self) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the queries that can be read [Q], and of neighbors [Q, k]."""
    images, image_numbers = self.context.features(self._images.dataset)
    queries, numbers = images, image_numbers
    if not self._without_itself:
      queries, numbers = self.context.features(self._queries.dataset)
    k = min(self._k, len(images) - self._without_itself)
    searched = neighbors.nearest(images, queries, k=k + self._without_itself)
    nearest = np.concatenate([part.index for part in searched])
    if self._without_itself:
      nearest = np.stack([row[row != i][:k] for i, row in enumerate(nearest)])
    return numbers, image_numbers[nearest]

  def _right(self, queries: np.ndarray, nearest: np.ndarray) -> float | None:
    """Fraction of neighbors of their query's class; None without classes."""
    names = self._images.names
    if names is None:
      return None
    own = self._queries.names[queries, None]
    return float(np.mean(own == names[nearest]))

  def _rows_to_draw(self, queries: np.ndarray) -> np.ndarray:
    """Rows of `queries`: random, of as many classes as there are."""
    order = np.random.default_rng(self.context.seed).permutation(len(queries))
    if self._queries.names is not None:
      names = self._queries.names[queries[order]]
      first = np.sort(np.unique(names, return_index=True)[1])
      order = np.concatenate([order[first], np.delete(order, first)])
    return order[: self._rows]

  def _draw(
    self, step: int, untrained: Mapping | None, found: Found
  ) -> np.ndarray:
    """Draws both times: [H, W, 3] uint8."""
    times = {}
    if untrained:  # A run of an earlier version has none.
      times["untrained encoder"] = Found(**untrained)
    if step > 0:
      times[f"after {step:,} training steps"] = found
    images = self._images.thumbnails(
      np.unique([row for at in times.values() for row in at.nearest])
    )
    shown = self._queries.thumbnails(found.queries)
    blocks = []
    for heading, at in times.items():
      if at.right is not None:
        heading += f": {at.right:.0%} right"
      rows = [
        [self._tile(images, neighbor, query) for neighbor in row]
        for query, row in zip(at.queries, at.nearest, strict=True)
      ]
      blocks.append(neighbor_grid.Block(heading, rows))
    return neighbor_grid.draw(
      [
        neighbor_grid.Tile(shown[query], self._queries.name(query))
        for query in found.queries
      ],
      blocks,
      title="Nearest neighbors before and after training",
      note=self._note(found.right),
    )

  def _tile(self, images, neighbor: int, query: int) -> neighbor_grid.Tile:
    name = self._images.name(neighbor)
    right = name == self._queries.name(query) if name else None
    return neighbor_grid.Tile(images[neighbor], name, right)

  def _note(self, right: float | None) -> str:
    note = (
      f"Each row: an image drawn at random, and the {self._k} images of"
      f" {self._images.records.num_images:,} that look most similar to it to"
      " the encoder."
    )
    if right is None:
      return note
    return (
      f"{note} Green: the same class, which is right; orange: another class."
      " The percentages are of all"
      f" {self._queries.records.num_images:,} images, not only of these rows;"
      f" chance is {self._chance:.0%}."
    )


class _Images:
  """Images to search, or queries.

  Attributes:
    records: records of the N images.
    names: [N] str, name of each image's class; None without classes.
    dataset: dataset of `batches.LabeledImage`, with numbers for labels.
  """

  def __init__(self, records: records_lib.ImageRecords, **batches):
    self.records = records
    self.names = None
    if records.labels is not None:
      names = records.class_names
      self.names = np.array(
        [names[i] if i < len(names) else str(i) for i in records.labels]
      )
    numbers = np.arange(records.num_images, dtype=np.int32)
    self.dataset = labeled_images.labeled_images(
      records._replace(labels=numbers), **batches
    )

  def name(self, number: int) -> str:
    """Name of the class of an image; "" without classes."""
    return "" if self.names is None else str(self.names[number])

  def thumbnails(self, numbers: Sequence[int]) -> Mapping[int, np.ndarray]:
    """Some images by number, [TILE, TILE, 3] uint8."""
    shown = thumbnails.thumbnails(
      self.records, numbers, side=neighbor_grid.TILE, middle=True
    )
    return dict(zip(numbers, shown, strict=True))
