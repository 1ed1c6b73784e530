"""Tests of tf_ssl.encoders.resnet."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import resnet_reference
from tf_ssl import errors
from tf_ssl.encoders import resnet


def randomized(encoder, images):
  """Gives batch norm other values than one and zero, so that errors show."""
  encoder(images)
  rng = np.random.default_rng(0)
  for variable in encoder.weights:
    if "kernel" not in variable.name:
      variable.assign(rng.uniform(0.5, 1.5, size=variable.shape))
  return encoder


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
  ("build", "stem", "size"),
  [
    ("resnet18", "imagenet", (64, 65)),
    ("resnet18", "small", (16, 17)),
    ("resnet50", "imagenet", (48, 33)),
  ],
)
def test_it_equals_torchvisions_network_computed_in_numpy(
  build, stem, size, training
):
  images = np.random.default_rng(1).normal(size=[2, *size, 3]).astype("f")
  encoder = getattr(resnet, build)(width=1 / 16, stem=stem)
  randomized(encoder, images)
  expected = resnet_reference.endpoints(
    encoder,
    images,
    bottleneck=build == "resnet50",
    imagenet_stem=stem == "imagenet",
    training=training,
  )
  actual = encoder.endpoints(images, training=training)
  assert list(actual) == ["C2", "C3", "C4", "C5"]
  for name, maps in actual.items():
    scale = np.abs(expected[name]).max()
    np.testing.assert_allclose(maps / scale, expected[name] / scale, atol=1e-5)
  if not training:
    feature = expected["C5"].mean(axis=(1, 2))
    np.testing.assert_allclose(
      encoder(images, training=False) / scale, feature / scale, atol=1e-5
    )


@pytest.mark.parametrize(
  ("build", "feature_size", "parameters"),
  [
    # torchvision's counts less the 1000-class layer: 11,689,512 - 513,000,
    # 21,797,672 - 513,000 and 25,557,032 - 2,049,000
    ("resnet18", 512, 11_176_512),
    ("resnet34", 512, 21_284_672),
    ("resnet50", 2048, 23_508_032),
  ],
)
def test_it_has_torchvisions_number_of_parameters(
  build, feature_size, parameters
):
  encoder = getattr(resnet, build)()
  features = encoder(tf.zeros([1, 32, 32, 3]))
  assert features.shape[1] == encoder.feature_size == feature_size
  count = sum(int(np.prod(v.shape)) for v in encoder.trainable_variables)
  assert count == parameters


def test_the_width_multiplies_the_feature():
  assert resnet.resnet18(width=0.25).feature_size == 128


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_features_are_float32_under_any_precision(dtype):
  encoder = resnet.resnet18(width=1 / 16, stem="small", dtype=dtype)
  images = tf.random.stateless_normal([2, 16, 16, 3], [0, 1])
  assert encoder(images).dtype == tf.float32
  assert encoder.endpoints(images)["C4"].dtype.name == dtype[len("mixed_") :]
  assert all(v.dtype == tf.float32 for v in encoder.weights)


@pytest.mark.parametrize(
  ("setting", "value"), [("stem", "large"), ("width", 0.001)]
)
def test_an_impossible_setting_is_named(setting, value):
  with pytest.raises(errors.UsageError, match=setting):
    resnet.resnet18(**{setting: value})


def test_it_equals_the_same_network_in_pytorch():
  torch = pytest.importorskip("torch", reason="PyTorch is not installed")
  conv = torch.nn.functional.conv2d
  images = np.random.default_rng(1).normal(size=[2, 33, 40, 3]).astype("f")
  encoder = randomized(resnet.resnet18(width=1 / 16), images)

  def kernel(layer):
    return torch.tensor(layer.kernel.numpy().transpose(3, 2, 0, 1))

  def norm(x, layer):
    gamma, beta, mean, var = (torch.tensor(w.numpy()) for w in layer.weights)
    return torch.nn.functional.batch_norm(x, mean, var, gamma, beta)

  x = torch.tensor(images.transpose(0, 3, 1, 2))
  x = conv(x, kernel(encoder.stem_conv), stride=2, padding=3)
  x = torch.relu(norm(x, encoder.stem_norm))
  x = torch.nn.functional.max_pool2d(x, 3, stride=2, padding=1)
  for stage, blocks in enumerate(encoder.stages):
    for number, block in enumerate(blocks):
      stride = 2 if stage and not number else 1
      y = conv(x, kernel(block.convolutions[0]), stride=stride, padding=1)
      y = torch.relu(norm(y, block.norms[0]))
      y = norm(
        conv(y, kernel(block.convolutions[1]), padding=1), block.norms[1]
      )
      if block.shortcut is not None:
        x = norm(
          conv(x, kernel(block.shortcut), stride=stride), block.shortcut_norm
        )
      x = torch.relu(x + y)
  expected = x.mean(dim=(2, 3)).numpy()
  scale = np.abs(expected).max()
  np.testing.assert_allclose(
    encoder(images) / scale, expected / scale, atol=1e-5
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
