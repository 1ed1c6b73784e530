"""Finds near-duplicates among fingerprints.

Hashes are compared exactly, all with all: bits as +1 and -1, whose product is
64 minus twice the Hamming distance. A pair counts if its small pictures agree,
too.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from tf_ssl import errors
from tf_ssl.evaluation.duplicates import fingerprints as fingerprints_lib

DISTANCES = (0, 2, 4, 8)  # Hamming distances that reports count pairs at.
MIN_SIMILARITY = 0.9  # A choice of this project.
_BITS = 64
_BLOCK = 4096
_MOST_PAIRS = 5_000_000
_FLAT = 3.0  # Gray levels: below this deviation, a picture is of one color.


class Pairs(NamedTuple):
  """Near-duplicates, in the order of the first images.

  Attributes:
    first: [P] int64, numbers of images in the records of the first set.
    second: [P] int64, numbers of images in those of the second set; among the
      images of one set, above `first`.
    distance: [P] int64, Hamming distances of the hashes.
    similarity: [P] float32, similarities of the pictures, up to 1.
  """

  first: np.ndarray
  second: np.ndarray
  distance: np.ndarray
  similarity: np.ndarray

  def counts(self) -> dict[int, int]:
    """Number of pairs up to each of `DISTANCES`."""
    return {d: int((self.distance <= d).sum()) for d in DISTANCES}


def check_distance(distance: int) -> None:
  """Raises UsageError for a distance out of range, before images are read."""
  errors.require(
    0 <= distance < _BITS,
    f"distance={distance}: expected 0 to {_BITS - 1} bits, such as 8",
  )


def near(
  one: fingerprints_lib.Fingerprints,
  other: fingerprints_lib.Fingerprints | None = None,
  *,
  distance: int = 8,
  min_similarity: float = MIN_SIMILARITY,
) -> Pairs:
  """Finds pairs of images that look alike.

  Args:
    one: images of the first set.
    other: images of the second set; None for pairs within the first.
    distance: largest Hamming distance of the hashes, 0..63.
    min_similarity: smallest similarity of the pictures: cosine after the mean
      of each is subtracted.

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
  signs = _signs(second.hashes)
  for start in range(0, len(one.hashes), _BLOCK):
    part = _signs(one.hashes[start : start + _BLOCK])
    for begin in range(0, len(signs), _BLOCK):
      if other is None and begin + _BLOCK <= start:
        continue
      product = part @ signs[begin : begin + _BLOCK].T
      rows, columns = np.nonzero(product >= _BITS - 2 * distance)
      apart = (_BITS - product[rows, columns]).astype(np.int64) // 2
      rows, columns = rows + start, columns + begin
      if other is None:
        kept = columns > rows
        rows, columns, apart = rows[kept], columns[kept], apart[kept]
      count += len(rows)
      errors.require(
        count <= _MOST_PAIRS,
        f"more than {_MOST_PAIRS:,} pairs of images look alike at a Hamming"
        f" distance of {distance}: nearly all are copies, or of one color;"
        " lower --distance, or remove the copies",
      )
      found.append((rows, columns, apart))
  rows, columns, apart = (
    np.concatenate(x) if x else np.zeros(0, np.int64)
    for x in (zip(*found, strict=True) if found else ((),) * 3)
  )
  similarity = _similarity(one.pictures[rows], second.pictures[columns])
  kept = similarity >= min_similarity
  order = np.lexsort([columns[kept], rows[kept]])
  return Pairs(
    one.index[rows[kept]][order],
    second.index[columns[kept]][order],
    apart[kept][order],
    similarity[kept][order],
  )


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


def _signs(hashes: np.ndarray) -> np.ndarray:
  """[M] uint64 -> [M, 64] float32, -1 or 1."""
  octets = np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)
  return np.unpackbits(octets, axis=1).astype(np.float32) * 2 - 1


def _similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
  """[P] float32: cosine of pictures [P, S, S, 3] about their means."""
  found = np.zeros(len(one), np.float32)
  for start in range(0, len(one), _BLOCK):
    part = slice(start, start + _BLOCK)
    a, b = (
      x[part].reshape(len(x[part]), -1).astype(np.float32) for x in (one, other)
    )
    flat = np.minimum(a.std(1), b.std(1)) < _FLAT
    alike = np.abs(a - b).max(1) <= 2 * _FLAT
    a -= a.mean(1, keepdims=True)
    b -= b.mean(1, keepdims=True)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(1) / np.maximum(lengths, 1e-6)
    found[part] = np.where(flat, alike, cosine)
  return found
