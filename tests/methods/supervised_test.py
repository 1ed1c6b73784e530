"""Tests of tf_ssl.methods.supervised."""

import sys

import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import batches, errors
from tf_ssl.methods import base, supervised
from tf_ssl.ops import optimizers

ENCODER = shallow_reference.resnet10
SETUP = base.Setup(num_images=50, batch_size=8, image_size=8, num_classes=3)


def test_a_classifier_learns_the_labels_of_one_batch():
  tf.keras.utils.set_random_seed(0)
  images = tf.random.stateless_normal([8, 8, 8, 3], [0, 0])
  model = supervised.build_supervised(SETUP, encoder=ENCODER)
  model.compile(optimizers.MomentumSgd(0.1))
  labels = tf.constant([0, 1, 2, 0, 1, 2, 0, 1])
  dataset = tf.data.Dataset.from_tensors(batches.LabeledImage(images, labels))
  history = model.fit(dataset.repeat(40), verbose=0, epochs=1).history
  first = model.contrast(batches.LabeledImage(images, labels), True)
  assert float(first.loss) < 0.2 and history["contrastive_accuracy"][-1] == 1
  assert first.logits.shape == (8, 1 + 3)


def test_a_dataset_of_one_class_is_refused():
  with pytest.raises(errors.UsageError, match="1 classes.*class folders"):
    supervised.build_supervised(SETUP._replace(num_classes=1), encoder=ENCODER)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
