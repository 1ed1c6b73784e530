"""Pictures of near-duplicates, side by side."""

import numpy as np

from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation.duplicates import search
from tf_ssl.input_pipeline import thumbnails
from tf_ssl.reporting import charts

_SIDE = 96  # px


def of_pairs(
  first: records_lib.ImageRecords,
  second: records_lib.ImageRecords,
  pairs: search.Pairs,
  *,
  most: int,
) -> list[np.ndarray]:
  """Pictures of the pairs with the largest distances, the least certain ones.

  Args:
    first: images that `pairs.first` counts.
    second: images that `pairs.second` counts.
    pairs: near-duplicates.
    most: largest number of pictures.

  Returns:
    [H, W, 3] uint8 each.
  """
  order = np.lexsort([pairs.similarity, -pairs.distance])[:most]
  columns = [
    thumbnails.thumbnails(records, numbers[order].tolist(), side=_SIDE)
    for records, numbers in ((first, pairs.first), (second, pairs.second))
  ]
  return [charts.side_by_side(pair) for pair in zip(*columns, strict=True)]
