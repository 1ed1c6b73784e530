"""Each difference from torchvision's network, against a slow computation."""

import sys

import numpy as np
import pytest

from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.export import foreign_resnet
from tf_ssl.ops import pixels

_IMAGES = np.random.default_rng(0).integers(0, 256, [2, 13, 16, 3])


def _encoder(stem="imagenet", **difference):
  encoder = foreign_resnet.ForeignResNet(
    difference=foreign_resnet.Difference(**difference),
    stack=resnet.basic_stack,
    blocks=(1, 1, 1, 1),
    width=1 / 16,
    stem=stem,
    batch_norm=batch_norm.plain,
  )
  encoder(pixels.normalize(_IMAGES), training=True)  # Moves the statistics.
  return encoder


def _convolved(images, kernel, stride, padding):
  """A convolution by its definition."""
  images = np.pad(images, [(0, 0), (padding,) * 2, (padding,) * 2, (0, 0)])
  side = len(kernel)
  rows = range(0, images.shape[1] - side + 1, stride)
  columns = range(0, images.shape[2] - side + 1, stride)
  return np.stack(
    [
      np.stack(
        [
          np.einsum(
            "byxc,yxcd->bd", images[:, y : y + side, x : x + side], kernel
          )
          for x in columns
        ],
        axis=1,
      )
      for y in rows
    ],
    axis=1,
  )


def _normed(maps, norm):
  deviation = np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
  scaled = (maps - norm.moving_mean.numpy()) / deviation
  return scaled * norm.gamma.numpy() + norm.beta.numpy()


def _max_pooled(maps, padding):
  """Windows of 3, stride 2; padding (before, after) of rows and columns."""
  padding = [(0, 0), *padding, (0, 0)]
  maps = np.pad(maps, padding, constant_values=-np.inf)
  rows = range(0, maps.shape[1] - 2, 2)
  columns = range(0, maps.shape[2] - 2, 2)
  return np.stack(
    [
      np.stack(
        [maps[:, y : y + 3, x : x + 3].max((1, 2)) for x in columns], axis=1
      )
      for y in rows
    ],
    axis=1,
  )


def _normalized():
  return pixels.normalize(_IMAGES).numpy().astype(float)


def _stem(encoder, images, padding, stride):
  kernel = encoder.stem_conv.kernel.numpy().astype(float)
  maps = _convolved(images, kernel, stride, padding)
  return _normed(maps, encoder.stem_norm)


def _assert_stem(encoder, expected):
  found = encoder.stem_maps(pixels.normalize(_IMAGES), training=False)
  np.testing.assert_allclose(found, expected, atol=1e-4)


def test_without_a_difference_the_stem_is_torchvisions():
  encoder = _encoder()
  maps = np.maximum(_stem(encoder, _normalized(), 3, 2), 0)
  _assert_stem(encoder, _max_pooled(maps, [(1, 1), (1, 1)]))


def test_pixels_of_unit_range_are_padded_with_black():
  encoder = _encoder(unit_range=True)
  maps = np.maximum(_stem(encoder, _IMAGES / 255, 3, 2), 0)
  _assert_stem(encoder, _max_pooled(maps, [(1, 1), (1, 1)]))


def test_a_same_max_pool_pads_at_the_end_first():
  encoder = _encoder(same_max_pool=True)
  maps = np.maximum(_stem(encoder, _normalized(), 3, 2), 0)  # 7 x 8.
  assert maps.shape[1:3] == (7, 8)
  _assert_stem(encoder, _max_pooled(maps, [(1, 1), (0, 1)]))


@pytest.mark.parametrize("padding", [1, 2, 3])
def test_a_small_stem_is_padded_by_the_pixels_given(padding):
  encoder = _encoder("small", stem_padding=padding)
  maps = _stem(encoder, _normalized(), padding, 1)
  assert maps.shape[1:3] == (11 + 2 * padding, 14 + 2 * padding)
  _assert_stem(encoder, np.maximum(maps, 0))


def test_a_stem_without_relu_keeps_negative_values():
  encoder = _encoder("small", stem_relu=False)
  expected = _stem(encoder, _normalized(), 1, 1)
  assert expected.min() < -0.1
  _assert_stem(encoder, expected)


@pytest.mark.parametrize("always_project", [False, True])
def test_the_first_shortcut_is_a_convolution_only_where_asked(always_project):
  encoder = _encoder(always_project=always_project)
  projected = [stage[0].shortcut is not None for stage in encoder.stages]
  assert projected == [always_project, True, True, True]


def test_only_what_differs_is_described():
  assert foreign_resnet.Difference().described() == {}
  found = foreign_resnet.Difference(unit_range=True, stem_padding=2)
  assert found.described() == {"unit_range": True, "stem_padding": 2}
  assert foreign_resnet.Difference.from_described(found.described()) == found


@pytest.mark.parametrize(
  "values",
  [
    {"unit_range": 1},
    {"stem_padding": True},
    {"stem_padding": 10**9},
    {"stem_padding": "2"},
    {"from_described": True},
    {"unknown": True},
  ],
)
def test_a_description_of_another_kind_is_refused(values):
  with pytest.raises(ValueError, match=list(values)[0]):
    foreign_resnet.Difference.from_described(values)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
