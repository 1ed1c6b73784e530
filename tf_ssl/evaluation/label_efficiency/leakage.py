"""Copies of test images among the images that a model learns from."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation.duplicates import encoder_check, search
from tf_ssl.evaluation.duplicates import fingerprints as fingerprints_lib
from tf_ssl.models import image_model

WITHIN, TRAIN = "test", "training"


class Leakage(NamedTuple):
  """Near-duplicates of test images.

  Attributes:
    pairs: {`WITHIN`, `TRAIN` or a name of pretraining images: pairs of images}:
      `first` are test images, `second` those of the other set.
    records: {set: its images}.
    groups: sets of test images that look alike.
    copies: [n] int64, ascending, the test images to leave out: those with a
      near-duplicate in another set, and all but the first of each group.
    unreadable: {set: number of images that could not be read}.
    confirmed_by: what confirmed similar hashes.
    scale: what the similarities of an encoder mean; "" without one.
  """

  pairs: dict[str, search.Pairs]
  records: dict[str, records_lib.ImageRecords]
  groups: list[np.ndarray]
  copies: np.ndarray
  unreadable: dict[str, int]
  confirmed_by: str
  scale: str = ""

  def affected(self, name: str) -> int:
    """Number of test images with a near-duplicate in a set."""
    if name == WITHIN:
      return sum(map(len, self.groups))
    return len(np.unique(self.pairs[name].first))

  def text(self) -> list[str]:
    """One line for each set, after one about the encoder, if any."""
    lines = [self.scale] if self.scale else []
    for name, pairs in self.pairs.items():
      affected = self.affected(name)
      where, facts = f"{name} images", []
      if name == WITHIN:
        where, count = "one another", len(self.groups)
        facts = [f"groups: {count}", f"copies of others: {affected - count}"]
      if self.unreadable[name]:
        facts.append(f"images that cannot be read: {self.unreadable[name]}")
      facts.append(f"pairs by Hamming distance: {_counts(pairs)}")
      lines.append(
        f"{affected} of {self.records[WITHIN].num_images} test images are"
        f" near-duplicates of {where} ({'; '.join(facts)})"
      )
    return lines


def find(
  train: records_lib.ImageRecords,
  test: records_lib.ImageRecords,
  pretraining: Mapping[str, records_lib.ImageRecords] | None = None,
  *,
  distance: int = search.DISTANCE,
  model: image_model.ImageModel | None = None,
  image_size: int = 224,
) -> Leakage:
  """Compares the test images with one another and with the other sets.

  Args:
    train: labeled training images.
    test: labeled test images.
    pretraining: {whose images, such as "a's pretraining": images}; None if
      unknown.
    distance: largest Hamming distance of the hashes.
    model: encoder whose features confirm pairs; None for gradients of small
      pictures.
    image_size: side of the squares that the encoder sees, pixels.

  Raises:
    UsageError: millions of images look alike, or the encoder cannot tell images
      apart.
  """
  sets = {WITHIN: test, TRAIN: train, **(pretraining or {})}
  check = model and encoder_check.EncoderCheck(
    model, list(sets.values()), image_size=image_size
  )
  prints = {
    name: fingerprints_lib.of_records(each, label=f"Hashing {name} images")
    for name, each in sets.items()
  }
  pairs = {
    name: search.near(
      prints[WITHIN],
      None if name == WITHIN else each,
      distance=distance,
      look=check and check.look(test, sets[name]),
    )
    for name, each in prints.items()
  }
  within = search.groups(pairs[WITHIN], test.num_images)
  copies = [group[1:] for group in within]
  copies += [pairs[name].first for name in pairs if name != WITHIN]
  return Leakage(
    pairs,
    sets,
    within,
    np.unique(np.concatenate([np.zeros(0, np.int64), *copies])),
    {name: len(each.problems) for name, each in prints.items()},
    encoder_check.named(model),
    check.text() if check else "",
  )


def without(
  test: records_lib.ImageRecords, copies: np.ndarray
) -> records_lib.ImageRecords:
  """The test images without the copies.

  Raises:
    UsageError: nothing, or a single class, is left.
  """
  kept = np.setdiff1d(np.arange(test.num_images), copies)
  left = test.labels[kept] if len(kept) else kept
  errors.require(
    len(np.unique(left)) > 1,
    f"{len(copies)} of {test.num_images} test images are near-duplicates of"
    " others or of training images, and the rest are not of two classes;"
    " expected test images of their own; change --test_images, or leave out"
    " --drop_duplicates",
  )
  return records_lib.take(test, kept)


def _counts(pairs: search.Pairs) -> str:
  return ", ".join(f"{n} at {d}" for d, n in pairs.counts().items())
