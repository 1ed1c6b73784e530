"""Image and mask get the same random crop."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.augment import joint_crop

_VOID = -1


def _blocks(height=24, width=32, block=8):
  """A mask of blocks, and an image whose gray level is 20 times the mask."""
  rows = np.arange(height)[:, None] // block
  columns = np.arange(width) // block
  mask = (rows * (width // block) + columns).astype(np.int32)
  image = np.repeat((20 * mask)[..., None], 3, axis=2).astype(np.uint8)
  return image, mask


def _crop(draws, *, sides=(24, 32), scales=(1.0, 1.0), flip=0.5, data=None):
  image, mask = joint_crop.joint_crop(
    *(data or _blocks()),
    tf.constant(draws, tf.float32),
    sides=sides,
    scales=scales,
    flip_probability=flip,
    void=_VOID,
  )
  return image.numpy(), mask.numpy()


def test_at_scale_one_an_image_of_the_target_size_is_unchanged():
  image, mask = _crop([0.3, 0.9, 0.9, 0.9])
  np.testing.assert_array_equal(image, _blocks()[0])
  np.testing.assert_array_equal(mask, _blocks()[1])


def test_image_and_mask_are_mirrored_together():
  image, mask = _crop([0.3, 0.1, 0.1, 0.4])
  np.testing.assert_array_equal(image, _blocks()[0][:, ::-1])
  np.testing.assert_array_equal(mask, _blocks()[1][:, ::-1])


@pytest.mark.parametrize(("row", "first"), [(0.0, 0), (0.999, 24)])
def test_at_scale_two_the_window_shows_a_part(row, first):
  image, mask = _crop([0.5, row, 0.0, 1.0], scales=(2.0, 2.0))
  doubled = np.kron(_blocks()[1], np.ones([2, 2], np.int32))
  np.testing.assert_array_equal(mask, doubled[first : first + 24, :32])
  # Bilinear: exact away from the borders of blocks, 16 px apart now.
  inner = np.s_[1:7, 4:12]
  np.testing.assert_array_equal(image[inner][..., 0], 20 * mask[inner])


def test_at_scale_one_half_void_and_the_mean_color_surround_the_image():
  image, mask = _crop([0.0, 0.0, 0.999, 1.0], scales=(0.5, 0.5))
  np.testing.assert_array_equal(mask[:12, 16:], _blocks()[1][1::2, 1::2])
  assert (mask[12:] == _VOID).all() and (mask[:, :16] == _VOID).all()
  np.testing.assert_array_equal(
    image[12:], np.broadcast_to([124, 116, 104], [12, 32, 3])
  )


def test_the_aspect_ratio_is_kept_in_a_window_with_another():
  """48x24 in a window of 24x32: scale one half, so 24x12."""
  data = _blocks(48, 24)
  _, mask = _crop([0.5, 0.0, 0.0, 1.0], data=data)
  assert (mask[:, :12] >= 0).all() and (mask[:, 12:] == _VOID).all()


def test_image_and_mask_agree_for_any_draw():
  """Away from borders the image says the same as the mask."""
  rng = np.random.default_rng(0)
  crop = tf.function(
    lambda image, mask, draws: joint_crop.joint_crop(
      image, mask, draws, sides=(40, 40), scales=(0.5, 2.0)
    )
  )
  for _ in range(20):
    image, mask = crop(*_blocks(), tf.constant(rng.random(4), tf.float32))
    image, mask = image.numpy()[..., 0].astype(int), mask.numpy()
    same = np.ones_like(mask, bool)  # 3x3 around a pixel of one class
    padded = np.pad(mask, 2, constant_values=-2)
    for y in range(5):
      for x in range(5):
        same &= padded[y : y + 40, x : x + 40] == mask
    inside = same & (mask >= 0)
    assert inside.any()
    np.testing.assert_allclose(image[inside], 20 * mask[inside], atol=1)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
