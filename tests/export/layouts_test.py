"""Import of google-research/simclr's checkpoints, against such a network."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.export import weights as weights_lib
from tf_ssl.ops import pixels


class _Convolution(tf.keras.layers.Layer):
  """With the padding of (size - 1) split in two before a stride."""

  def __init__(self, filters, size, strides):
    super().__init__()
    self.padding = (size - 1) // 2 if strides > 1 else 0
    self.conv2d = tf.keras.layers.Conv2D(
      filters,
      size,
      strides,
      padding="valid" if strides > 1 else "same",
      use_bias=False,
    )

  def call(self, x):
    p = self.padding
    return self.conv2d(tf.pad(x, [[0, 0], [p, p], [p, p], [0, 0]]))


class _Norm(tf.keras.layers.Layer):
  def __init__(self):
    super().__init__()
    self.bn = tf.keras.layers.BatchNormalization(momentum=0.0, epsilon=1e-5)

  def build(self, shape):
    self.bn.build(shape)
    for i, variable in enumerate((self.bn.gamma, self.bn.beta)):
      noise = tf.random.stateless_uniform(variable.shape, [i, shape[-1]])
      variable.assign(0.5 + noise if i == 0 else noise - 0.5)

  def call(self, x, training):
    return self.bn(x, training=training)


class _Block(tf.keras.layers.Layer):
  """Lists of layers under the names that theirs have."""

  def __init__(self, filters, strides, project, bottleneck):
    super().__init__()
    out = filters * (4 if bottleneck else 1)
    shortcut = [_Convolution(out, 1, strides), _Norm()] if project else []
    if bottleneck:
      self.projection_layers = shortcut
      nothing = tf.keras.layers.Layer  # in the place of DropBlock
      self.conv_relu_dropblock_layers = [
        _Convolution(filters, 1, 1),
        _Norm(),
        nothing(),
        _Convolution(filters, 3, strides),
        _Norm(),
        nothing(),
        _Convolution(out, 1, 1),
        _Norm(),
        nothing(),
      ]
      body = self.conv_relu_dropblock_layers
    else:
      self.shortcut_layers = shortcut
      self.conv2d_bn_layers = [
        _Convolution(filters, 3, strides),
        _Norm(),
        _Convolution(filters, 3, 1),
        _Norm(),
      ]
      body = self.conv2d_bn_layers
    self._run = lambda: (shortcut, body)

  def call(self, x, training):
    shortcut, body = self._run()
    entry, y = x, x
    for layer in shortcut:
      entry = _apply(layer, entry, training)
    for i, layer in enumerate(body):
      y = _apply(layer, y, training)
      more = any(isinstance(later, _Norm) for later in body[i + 1 :])
      if isinstance(layer, _Norm) and more:
        y = tf.nn.relu(y)
    return tf.nn.relu(entry + y)


def _apply(layer, x, training):
  return layer(x, training=training) if isinstance(layer, _Norm) else layer(x)


class _Group(tf.keras.layers.Layer):
  def __init__(self, filters, blocks, strides, bottleneck):
    super().__init__()
    self.layers = [
      _Block(filters, 1 if i else strides, i == 0, bottleneck)
      for i in range(blocks)
    ]

  def call(self, x, training):
    for layer in self.layers:
      x = layer(x, training=training)
    return x


class _ResNet(tf.keras.layers.Layer):
  def __init__(self, bottleneck, small):
    super().__init__()
    self.small = small
    stem = _Convolution(4, 3, 1) if small else _Convolution(4, 7, 2)
    self.initial_conv_relu_max_pool = [stem, tf.keras.layers.Layer(), _Norm()]
    self.block_groups = [
      _Group(4 * 2**i, 2 if i == 1 else 1, 2 if i else 1, bottleneck)
      for i in range(4)
    ]

  def call(self, x, training):
    convolution, _, norm = self.initial_conv_relu_max_pool
    x = tf.nn.relu(norm(convolution(x), training=training))
    if not self.small:
      x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    for group in self.block_groups:
      x = group(x, training=training)
    return tf.reduce_mean(x, [1, 2])


class _Model(tf.keras.Model):
  def __init__(self, bottleneck, small):
    super().__init__()
    self.resnet_model = _ResNet(bottleneck, small)
    self._projection_head = tf.keras.layers.Dense(3)

  def call(self, x, training):
    return self._projection_head(self.resnet_model(x, training=training))


def _saved(tmp_path, bottleneck, small):
  images = np.random.default_rng(5).integers(0, 256, [2, 36, 40, 3], np.uint8)
  values = tf.constant(images, tf.float32) / 255
  model = _Model(bottleneck, small)
  model(values, training=True)
  checkpoint = tf.train.Checkpoint(
    model=model, global_step=tf.Variable(3, dtype=tf.int64)
  )
  path = checkpoint.save(str(tmp_path / "ckpt"))
  return path, images, model.resnet_model(values, training=False), model


@pytest.mark.parametrize("bottleneck", [True, False])
@pytest.mark.parametrize("small", [True, False])
def test_features_equal_those_of_the_network_that_was_saved(
  tmp_path, bottleneck, small
):
  path, images, expected, _ = _saved(tmp_path, bottleneck, small)
  encoder, record = weights_lib.read_encoder(path)
  actual = encoder(pixels.normalize(images), training=False)
  np.testing.assert_allclose(actual, expected, atol=1e-4)
  assert record["kind"] == "SimCLR (TensorFlow 2)"
  assert record["differences_from_torchvision"] == {
    "unit_range": True,
    "same_max_pool": True,
    "always_project": True,
  }
  assert record["ignored"]["head"] == [
    "model/_projection_head/bias",
    "model/_projection_head/kernel",
  ]
  assert "global_step" in record["ignored"]["training state"]


class _Exported(tf.Module):
  """As tf2/run.py has it: a second way to most variables, by a list."""

  def __init__(self, model):
    super().__init__()
    self.model = model
    self.trainable_variables_list = model.trainable_variables

  @tf.function
  def __call__(self, images, trainable):
    hidden = self.model.resnet_model(images, training=trainable)
    return {"final_avg_pool": hidden}


def test_a_saved_model_of_simclr_is_read(tmp_path):
  _, images, expected, model = _saved(tmp_path, True, False)
  module = _Exported(model)
  for trainable in (True, False):
    module.__call__.get_concrete_function(
      tf.TensorSpec([None, None, None, 3], tf.float32), trainable
    )
  tf.saved_model.save(module, str(tmp_path / "saved_model"))
  names = [
    name
    for name, _ in tf.train.list_variables(
      str(tmp_path / "saved_model" / "variables" / "variables")
    )
  ]
  assert any("trainable_variables_list/0/" in name for name in names)
  encoder, record = weights_lib.read_encoder(str(tmp_path / "saved_model"))
  actual = encoder(pixels.normalize(images), training=False)
  np.testing.assert_allclose(actual, expected, atol=1e-4)
  assert record["kind"] == "SimCLR (TensorFlow 2)"
  assert sorted(record["ignored"]["head"]) == [
    "model/_projection_head/bias",
    "model/_projection_head/kernel",
  ]


def test_layers_that_a_plain_resnet_lacks_are_listed(tmp_path):
  _, _, _, model = _saved(tmp_path, True, False)
  block = model.resnet_model.block_groups[0].layers[0]
  block.se_layer = tf.keras.layers.Dense(2)
  block.se_layer.build([1, 2])
  path = tf.train.Checkpoint(model=model).save(str(tmp_path / "more"))
  with pytest.raises(errors.UsageError, match="unknown.*: .*se_layer/bias"):
    weights_lib.read_encoder(path)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
