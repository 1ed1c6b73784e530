"""A network that trains in less than a second."""

import tensorflow as tf

from tf_ssl.models import encoder_models, trainable


class TinyEncoder(tf.keras.Model):
  """Convolutions of stride 2 with batch norm: maps of strides 4 to 32."""

  def __init__(self, width=4):
    super().__init__()
    self._stages = [
      (
        tf.keras.layers.Conv2D(
          width * 2**i, 3, strides=4 if not i else 2, padding="same"
        ),
        tf.keras.layers.BatchNormalization(momentum=0.9),
      )
      for i in range(4)
    ]

  def endpoints(self, images, training=None):
    maps, found = images, {}
    for name, (conv, norm) in zip(
      ("C2", "C3", "C4", "C5"), self._stages, strict=True
    ):
      maps = tf.nn.relu(norm(conv(maps), training=training))
      found[name] = maps
    return found

  def call(self, images, training=None):
    return tf.reduce_mean(self.endpoints(images, training)["C5"], [1, 2])


def tiny(seed=0, width=4):
  """An untrained `TinyEncoder` as a `TrainableEncoder`."""
  tf.keras.utils.set_random_seed(seed)
  encoder = TinyEncoder(width)
  encoder(tf.zeros([1, 32, 32, 3]))
  return trainable.TrainableEncoder(
    "tiny", encoder_models.of_encoder(encoder, "tf_ssl run", str(seed))
  )
