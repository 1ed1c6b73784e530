"""A few images, for pictures in reports."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import decoding, loading

_UNREADABLE = 200  # Gray.


def thumbnails(
  records: records_lib.ImageRecords,
  which: Sequence[int],
  *,
  side: int,
  middle: bool = False,
) -> list[np.ndarray]:
  """Small versions of some images, or of their boxes.

  They are decoded eagerly: tracing a graph would take longer for so few.

  Args:
    records: records of the images.
    which: numbers of the images.
    side: height and width, pixels.
    middle: whether the middle square is cut out; otherwise the whole image is
      resized, whatever its aspect ratio.

  Returns:
    [side, side, 3] uint8 each; gray for an image that cannot be read.
  """
  source = loading.Source(records)
  found = []
  for number in which:
    location = loading.Location(
      *(column[0] for column in source.locate(tf.constant([number])))
    )
    try:
      image = decoding.decode_bytes(source.read(location).numpy())
      y, x, h, w = loading.regions(
        location.box[None], tf.constant([image.shape[:2]])
      )[0].numpy()
    except Exception:  # Gone or changed; readers raise various errors.
      found.append(np.full([side, side, 3], _UNREADABLE, np.uint8))
      continue
    region = Image.fromarray(image[y : y + h, x : x + w])
    if middle:
      region = ImageOps.fit(region, [side, side])
    found.append(np.asarray(region.resize([side, side])))
  return found
