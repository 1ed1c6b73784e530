"""The contract: batches that travel from `input_pipeline` to `methods`.

This module is the only thing that the data side and the model side share.
Images are NHWC with three channels. They are uint8 (0..255) where the method
finishes the views itself, inside the train step, and float32, normalised by
`ops.pixels.normalize`, where the input pipeline has done so.
"""

from typing import NamedTuple

import tensorflow as tf


class ImagePair(NamedTuple):
  """Two views of the same thing: what makes a positive pair.

  Attributes:
    query: [B, H, W, 3], the views that the query encoder sees.
    key: [B, H, W, 3], the views that the key encoder sees.
  """

  query: tf.Tensor
  key: tf.Tensor


class LabelledImage(NamedTuple):
  """Images with what is known about them.

  Attributes:
    image: [B, H, W, 3].
    label: [B] int32, the class id.
  """

  image: tf.Tensor
  label: tf.Tensor
