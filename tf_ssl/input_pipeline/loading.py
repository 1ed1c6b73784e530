"""Encoded bytes of a record, inside tf.data."""

import os
from collections.abc import Callable

import tensorflow as tf

from tf_ssl.datasets import records as records_lib


def byte_loader(
  records: records_lib.ImageRecords,
) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns a function from an image's index ([] int64) to its encoded bytes.

  It fails, in the graph, where the file cannot be read.
  """
  # One eager tensor, captured by reference: a constant of a million paths
  # would be copied into every graph.
  files = tf.constant(records.files)
  root = os.path.join(records.root, "")

  def load(index: tf.Tensor) -> tf.Tensor:
    return tf.io.read_file(tf.strings.join([root, tf.gather(files, index)]))

  return load
