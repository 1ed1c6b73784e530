"""A user's own pictures as sets: each picture with its altered versions.

There are neither labels nor classes: all pictures are one class, and a unit
fires on `FIRING_FRACTION` of the images. Of sets of n images in which a unit
fires at all, one that fires at random fires on p / (1 - (1 - p)^n) of the
images: that, not p, is the chance level of variant "code".
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.features import store
from tf_ssl.input_pipeline import thumbnails as thumbnails_lib
from tf_ssl.invariance import alterations as alterations_lib

FIRING_FRACTION = 0.05
FOLDER = "pictures"  # Of their features, and of the images that are written.
MAX_PICTURES = 1000
IMAGE_SIZE = 128
# A version may equal its picture, and equal values tie at the threshold: with
# fewer than 40, no unit might fire.
_LEAST_PICTURES = 50
_FEW_PICTURES = 200
_NUM_PHOTOS = 64  # Pictures that the preprocessing of models is checked with.
_CLASS = "all pictures"


class OwnPictures(NamedTuple):
  """Pictures and how to alter them.

  Attributes:
    records: records of the P pictures.
    alterations: alterations to make.
    image_size: side of the versions in pixels.
    seed: seed of the directions of the alterations.
  """

  records: records_lib.ImageRecords
  alterations: Sequence[alterations_lib.Alteration]
  image_size: int
  seed: int

  @property
  def num_versions(self) -> int:
    """Number of versions of a picture, V, with the picture as it is."""
    return alterations_lib.number_of_versions(self.alterations)

  def versions(self) -> store.Versions:
    """How feature extraction makes the versions."""

    def make(whole: np.ndarray, picture: int) -> np.ndarray:
      return alterations_lib.versions(
        whole,
        self.alterations,
        size=self.image_size,
        picture=picture,
        seed=self.seed,
      )

    levels = {one.name: one.strengths for one in self.alterations}
    return store.Versions(
      count=self.num_versions,
      side=alterations_lib.whole_side(self.image_size),
      make=make,
      key=f"v{alterations_lib.VERSION} seed {self.seed} {levels}",
    )

  def columns(self, alteration: int) -> np.ndarray:
    """Places among the V versions of the picture and of an alteration's."""
    before = self.alterations[:alteration]
    first = alterations_lib.number_of_versions(before)
    number = len(self.alterations[alteration].strengths)
    return np.concatenate([[0], np.arange(first, first + number)])

  def sets(self) -> list[invariance_sets.InvarianceSets]:
    """One list of sets for each alteration."""
    return [self._sets(one) for one in self.alterations]

  def _sets(
    self, alteration: alterations_lib.Alteration
  ) -> invariance_sets.InvarianceSets:
    strengths = (alteration.neutral, *alteration.strengths)
    count = self.records.num_images
    picture = np.repeat(np.arange(count), len(strengths))
    targets = []
    for number in range(count):
      common = alterations_lib.drawn(alteration, number, self.seed)
      targets += [alteration.target(one, common) for one in strengths]
    return invariance_sets.InvarianceSets(
      source="own pictures",
      invariance=alteration.name,
      images=records_lib.take(self.records, picture),
      sets=picture.astype(np.int32),
      classes=np.zeros(len(picture), np.int32),
      set_names=tuple(map(self.records.name, range(count))),
      class_names=(_CLASS,),
      factor=np.tile(np.array(strengths), count),
      factor_name=alteration.factor,
      factor_unit=alteration.unit,
      factor_period=None,
      image_size=self.image_size,
      skipped={},
      targets=np.array(targets),
      levels=np.tile(np.arange(len(strengths), dtype=np.int32), count),
    )

  def part(self, features: store.Features, alteration: int) -> store.Features:
    """Features of one alteration's images, from those of all versions.

    Args:
      features: features of all versions, picture by picture.
      alteration: number of the alteration.
    """
    columns = self.columns(alteration)
    rows = np.flatnonzero(np.isin(features.index % self.num_versions, columns))
    picture, version = np.divmod(features.index[rows], self.num_versions)
    return features._replace(
      by_model={
        name: Rows(table, rows) for name, table in features.by_model.items()
      },
      index=picture * len(columns) + np.searchsorted(columns, version),
      images_per_second=None,
    )

  def photos(self) -> np.ndarray:
    """The middle of some pictures: [N, side, side, 3] uint8, N <= 64."""
    count = self.records.num_images
    which = np.linspace(0, count - 1, min(_NUM_PHOTOS, count)).astype(int)
    return np.stack(
      thumbnails_lib.thumbnails(
        self.records, which, side=self.image_size, middle=True
      )
    )

  def thumbnails(
    self, data: invariance_sets.InvarianceSets, which: np.ndarray, *, side: int
  ) -> list[np.ndarray]:
    """Small versions of some images of `sets`: [side, side, 3] uint8 each."""
    names = [one.name for one in self.alterations]
    columns = self.columns(names.index(data.invariance))
    pictures, place = np.unique(data.sets[which], return_inverse=True)
    wholes = thumbnails_lib.thumbnails(
      self.records,
      pictures,
      side=alterations_lib.whole_side(side),
      middle=True,
    )
    found = [
      alterations_lib.versions(
        whole, self.alterations, size=side, picture=int(number), seed=self.seed
      )[columns]
      for whole, number in zip(wholes, pictures, strict=True)
    ]
    levels = data.levels[which]
    return [found[i][level] for i, level in zip(place, levels, strict=True)]


class Rows:
  """Some rows of a table of features, copied only when they are read."""

  def __init__(self, table: np.ndarray, rows: np.ndarray):
    self._table, self._rows = table, rows
    self.shape = (len(rows), *table.shape[1:])

  def __len__(self) -> int:
    return len(self._rows)

  def __array__(self, dtype=None, copy=None) -> np.ndarray:
    del copy  # Rows that are chosen are always copied.
    return np.asarray(self._table[self._rows], dtype)

  def __getitem__(self, key: tuple) -> np.ndarray:
    """Rows, or some units of them: found[rows, units]."""
    rows, *units = key if isinstance(key, tuple) else (key,)
    return self._table[(self._rows[rows], *units)]


def choose(
  source: str,
  *,
  alterations: Sequence[str] | None = None,
  max_pictures: int = MAX_PICTURES,
  image_size: int = IMAGE_SIZE,
  seed: int = 0,
) -> OwnPictures:
  """Lists pictures, or random ones of them if there are many.

  Args:
    source: images in any form of `open_images`, such as a folder.
    alterations: names of the alterations; None for all.
    max_pictures: largest number of pictures.
    image_size: side of the versions in pixels, at least 16.
    seed: seed of the choice and of the alterations.

  Raises:
    UsageError: the source cannot be read, has fewer than 50 pictures, or an
      argument is out of range.
  """
  chosen = alterations_lib.named(alterations)
  errors.require(
    max_pictures >= _LEAST_PICTURES,
    f"pictures={max_pictures}: expected at least {_LEAST_PICTURES}",
  )
  errors.require(
    image_size >= 16, f"image_size is {image_size}; expected at least 16 pixels"
  )
  records = open_images.open_images(source, named_by="--images")
  errors.require(
    records.num_images >= _LEAST_PICTURES,
    f"--images={source}: {records.num_images} pictures; expected at least "
    f"{_LEAST_PICTURES}: intervals are over pictures",
  )
  if records.num_images > max_pictures:
    order = np.random.default_rng(seed).permutation(records.num_images)
    records = records_lib.take(records, np.sort(order[:max_pictures]))
  if records.num_images < _FEW_PICTURES:
    logging.warning(
      "%d pictures: of a picture and its version, a unit fires on about %.0f "
      "in all, so that scores are coarse; give a few hundred pictures",
      records.num_images,
      2 * FIRING_FRACTION * records.num_images,
    )
  return OwnPictures(records, chosen, image_size, seed)
