"""Finds near-duplicates among fingerprints.

Hashes are compared exactly, all with all: bits as +1 and -1, whose product is
64 minus twice the Hamming distance. A pair counts if a second look confirms it:
by the gradients of the small pictures, or by an encoder (`encoder_check`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from tf_ssl import errors
from tf_ssl.evaluation.duplicates import fingerprints as fingerprints_lib

DISTANCES = (0, 4, 8, 12)  # Hamming distances that reports count pairs at.
DISTANCE = 12
# Chosen on 15,000 photos of Tiny ImageNet: of their 4,864 pairs within 12 bits,
# mirrored ones included, 7 reach it, and so do 99.7 % of 300 copies without a
# margin of 2 % of each side.
MIN_SIMILARITY = 0.8
_BITS = 64
_BLOCK = 4096
_PART = 1 << 16  # Pairs whose pictures are compared at once.
_MOST_PAIRS = 5_000_000
_FLAT = 3.0  # Gray levels: below this deviation, a picture is of one color.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Pairs(NamedTuple):
  """Near-duplicates, in the order of the first images.

  Attributes:
    first: [P] int64, numbers of images in the records of the first set.
    second: [P] int64, numbers of images in those of the second set; among the
      images of one set, above `first`.
    distance: [P] int64, Hamming distances of the hashes.
    similarity: [P] float32, similarities by the second look, up to 1.
    mirrored: [P] bool, whether the hash of one image is nearer to that of the
      other one mirrored.
  """

  first: np.ndarray
  second: np.ndarray
  distance: np.ndarray
  similarity: np.ndarray
  mirrored: np.ndarray

  def counts(self) -> dict[int, int]:
    """Number of pairs up to each of `DISTANCES`."""
    return {d: int((self.distance <= d).sum()) for d in DISTANCES}


class Look(NamedTuple):
  """A second look at pairs of similar hashes.

  Attributes:
    similarity: function from the numbers of the first and of the second images,
      [P] int64 each, to similarities [P] float32.
    min_similarity: smallest similarity of near-duplicates.
  """

  similarity: Callable[[np.ndarray, np.ndarray], np.ndarray]
  min_similarity: float


def check_distance(distance: int) -> None:
  """Raises UsageError for a distance out of range, before images are read."""
  errors.require(
    0 <= distance < _BITS,
    f"distance={distance}: expected 0 to {_BITS - 1} bits, such as {DISTANCE}",
  )


def near(
  one: fingerprints_lib.Fingerprints,
  other: fingerprints_lib.Fingerprints | None = None,
  *,
  distance: int = DISTANCE,
  min_similarity: float = MIN_SIMILARITY,
  look: Look | None = None,
) -> Pairs:
  """Finds pairs of images that look alike, also mirrored.

  Args:
    one: images of the first set.
    other: images of the second set; None for pairs within the first.
    distance: largest Hamming distance of the hashes, 0..63.
    min_similarity: smallest similarity of the gradients of the pictures, a
      cosine; ignored with `look`.
    look: what confirms pairs instead; None for the pictures.

  Raises:
    UsageError: a setting is out of range, or millions of pairs look alike.
  """
  check_distance(distance)
  errors.require(
    -1 <= min_similarity <= 1,
    f"min_similarity={min_similarity}: expected a similarity of -1 to 1",
  )
  second = one if other is None else other
  found, count = [], 0
  for part in _candidates(one, second, distance, within=other is None):
    if look is None:
      rows, columns, apart, mirrored = part
      similarity = _similarity(
        one.pictures[rows], second.pictures[columns], mirrored
      )
      kept = similarity >= min_similarity
      part = (*(x[kept] for x in part), similarity[kept])
    count += len(part[0])
    errors.require(
      count <= _MOST_PAIRS,
      f"more than {_MOST_PAIRS:,} pairs of images look alike at a Hamming"
      f" distance of {distance}: nearly all are copies, or of one color;"
      " lower --distance, or remove the copies",
    )
    found.append(part)
  rows, columns, apart, mirrored, *similarity = (
    map(np.concatenate, zip(*found, strict=True))
    if found
    else (np.zeros(0, kind) for kind in (int, int, int, bool, np.float32))
  )
  order = np.lexsort([columns, rows])
  first, second = one.index[rows[order]], second.index[columns[order]]
  apart, mirrored = apart[order], mirrored[order]
  if look is None or not found:
    return Pairs(first, second, apart, similarity[0][order], mirrored)
  similarity = look.similarity(first, second)
  kept = similarity >= look.min_similarity
  pairs = Pairs(first, second, apart, similarity, mirrored)
  return Pairs(*(x[kept] for x in pairs))


def groups(pairs: Pairs, num_images: int) -> list[np.ndarray]:
  """Sets of images of one set that are linked by pairs, each sorted.

  Args:
    pairs: pairs within the set.
    num_images: number of its images.
  """
  edges = sparse.coo_matrix(
    (np.ones(len(pairs.first)), (pairs.first, pairs.second)),
    shape=(num_images, num_images),
  )
  _, label = csgraph.connected_components(edges, directed=False)
  linked = np.unique(np.concatenate([pairs.first, pairs.second]))
  order = linked[np.argsort(label[linked], kind="stable")]
  ends = np.flatnonzero(np.diff(label[order])) + 1
  found = np.split(order, ends) if len(order) else []
  return sorted(found, key=lambda images: images[0])


def _candidates(one, other, distance: int, *, within: bool):
  """Yields rows, columns, distances and whether mirrored, [P] each.

  Args:
    one: images of the first set.
    other: images of the second set.
    distance: largest Hamming distance.
    within: whether both are one set, whose pairs are wanted once.
  """
  plain, mirrored = _signs(other.hashes), _signs(other.mirrored)
  for start in range(0, len(one.hashes), _BLOCK):
    part = _signs(one.hashes[start : start + _BLOCK])
    for begin in range(0, len(plain), _BLOCK):
      if within and begin + _BLOCK <= start:
        continue
      block = slice(begin, begin + _BLOCK)
      as_is, turned = part @ plain[block].T, part @ mirrored[block].T
      product = np.maximum(as_is, turned)
      rows, columns = np.nonzero(product >= _BITS - 2 * distance)
      apart = (_BITS - product[rows, columns]).astype(np.int64) // 2
      turned = turned[rows, columns] > as_is[rows, columns]
      found = rows + start, columns + begin, apart, turned
      if within:
        kept = found[1] > found[0]
        found = tuple(x[kept] for x in found)
      for i in range(0, len(found[0]), _PART):
        yield tuple(x[i : i + _PART] for x in found)


def _signs(hashes: np.ndarray) -> np.ndarray:
  """[M] uint64 -> [M, 64] float32, -1 or 1."""
  octets = np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)
  return np.unpackbits(octets, axis=1).astype(np.float32) * 2 - 1


def _similarity(
  one: np.ndarray, other: np.ndarray, mirrored: np.ndarray
) -> np.ndarray:
  """[P] float32: cosine of the gradients of pictures [P, S, S, 3].

  Gradients of the gray pictures tell different scenes of similar brightness
  apart, and do not change with color. The first picture is mirrored where
  `mirrored`, [P] bool. Pictures of one color count by their color.
  """
  one = np.where(mirrored[:, None, None, None], one[:, :, ::-1], one)
  one, other = one.astype(np.float32), other.astype(np.float32)
  spread = (x.std((1, 2)).max(1, initial=0) for x in (one, other))
  flat = np.minimum(*spread) < _FLAT
  alike = np.abs(one - other).max((1, 2, 3)) <= 2 * _FLAT
  a, b = (_gradients(x @ _LUMA) for x in (one, other))
  lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
  cosine = (a * b).sum(1) / np.maximum(lengths, 1e-6)
  return np.where(flat, alike, cosine)


def _gradients(gray: np.ndarray) -> np.ndarray:
  """[P, S, S] -> [P, 2 * S * (S - 1)], differences along x and y."""
  x, y = np.diff(gray, axis=2), np.diff(gray, axis=1)
  return np.concatenate([x.reshape(len(x), -1), y.reshape(len(y), -1)], 1)
