"""Tests of tf_ssl.augment.background_change."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.augment import background_change

_CHANGE = background_change.BackgroundChange(probability=0.5, min_object=0.25)


def changed(mask, *, draw=0.0, known=True):
  """Views of 100 on others of 200."""
  view = tf.fill([4, 4, 3], tf.constant(100, tf.uint8))
  other = tf.fill([4, 4, 3], tf.constant(200, tf.uint8))
  mask = tf.constant(np.repeat(mask[..., None], 3, -1), tf.uint8)
  found = _CHANGE.apply(
    view, mask, other, tf.constant(draw), tf.constant(known)
  )
  assert found.dtype == tf.uint8
  return found.numpy()[..., 0]


def half():
  mask = np.zeros([4, 4])
  mask[:, :2] = 255
  return mask


def test_objects_stay_and_the_rest_is_of_the_other_image():
  assert (changed(half()) == np.where(half(), 100, 200)).all()


def test_borders_are_mixed():
  mask = half()
  mask[:, 2] = 51  # A fifth of the pixel is of the object.
  assert (changed(mask)[:, 2] == 180).all()


@pytest.mark.parametrize(
  "draw, known, columns", [(0.6, True, 2), (0.0, False, 2), (0.0, True, 0)]
)
def test_other_views_stay_as_they_are(draw, known, columns):
  # Not drawn; without a mask; without enough of an object.
  mask = np.zeros([4, 4])
  mask[:, :columns] = 255
  assert (changed(mask, draw=draw, known=known) == 100).all()


def test_each_of_several_crops_draws_on_its_own():
  views = tf.fill([2, 4, 4, 3], tf.constant(100, tf.uint8))
  masks = tf.constant(np.tile(half()[..., None], [2, 1, 1, 3]), tf.uint8)
  found = _CHANGE.apply(
    views, masks, views + 50, tf.constant([0.1, 0.9]), tf.constant(True)
  ).numpy()
  assert found[0].max() == 150 and found[1].max() == 100


def test_a_mask_is_an_object_wherever_it_is_not_black():
  mask = tf.constant([[[0, 0, 0], [0, 1, 0], [7, 7, 7]]], tf.uint8)
  found = background_change.binary(mask)
  assert found.dtype == tf.uint8
  assert found.numpy()[0, :, 0].tolist() == [0, 255, 255]
  assert (found.numpy() == found.numpy()[..., :1]).all()


def test_a_probability_out_of_range_is_refused():
  with pytest.raises(errors.UsageError, match="probability=2"):
    background_change.BackgroundChange(probability=2)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
