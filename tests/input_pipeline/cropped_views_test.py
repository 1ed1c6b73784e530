"""Croppers in the pipeline: which pixels their views show."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import batches as types
from tf_ssl.augment import crop, croppers, recipes
from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import order, view_batches

_COUNT, _WIDTH, _HEIGHT = 6, 40, 32
_BOXES = [  # Of images 0 to 4; image 5 has none. xmin, ymin, xmax, ymax.
  [(4, 8, 20, 24)],
  [(0, 0, 10, 16), (24, 16, 40, 32)],
  [(12, 4, 36, 28)],
  [(30, 2, 38, 10)],
  [(0, 16, 40, 32)],
  [],
]


@pytest.fixture(name="records", scope="module")
def _records(tmp_path_factory):
  """Images whose objects are white, with their boxes."""
  folder = tmp_path_factory.mktemp("images")
  boxes, counts = [], []
  for number, found in enumerate(_BOXES):
    image = np.full([_HEIGHT, _WIDTH, 3], 10 * number, np.uint8)
    for x0, y0, x1, y1 in found:
      image[y0:y1, x0:x1] = 255
      boxes.append(np.divide([y0, x0, y1, x1], [_HEIGHT, _WIDTH] * 2))
    counts.append(len(found))
    Image.fromarray(image).save(folder / f"{number}.png")
  objects = records_lib.Objects(
    np.append(0, np.cumsum(counts)), np.float32(boxes)[:, None]
  )
  return image_folder.read(str(folder))._replace(objects=objects)


def batches(records, cropper, **options):
  values = {
    "recipe": recipes.moco_v2(),
    "image_size": 8,
    "batch_size": 6,
    "seed": 3,
    "num_steps": 12,
    "finish_views": False,
    "view_type": types.ImagePair,
    **options,
  }
  return list(view_batches.view_batches(records, cropper=cropper, **values))


def images_of(records, steps=12, seed=3):
  """Image of each row of each batch."""
  examples = tf.range(steps * 6, dtype=tf.int64)
  return (
    order.image_index(examples, seed=seed, num_images=records.num_images)
    .numpy()
    .reshape(-1, 6)
  )


def same(one, other):
  return all(
    np.array_equal(a, b)
    for x, y in zip(one, other, strict=True)
    for a, b in zip(x, y, strict=True)
  )


def test_box_scale_views_show_the_object_and_nothing_else(records):
  cropper = croppers.BoxScaleCrop(context=(0.0, 0.0))
  found = batches(records, cropper, num_steps=3)
  for batch, images in zip(found, images_of(records, 3), strict=True):
    for row, image in enumerate(images):
      for view in batch:
        # Image 5 has no box, and none of it is white.
        assert (view[row].numpy() == (50 if image == 5 else 255)).all()


def test_windows_are_those_of_the_cropper_for_the_draws_of_the_batch(records):
  cropper = croppers.ObjectAwareCrop(min_side=6)
  found = batches(records, cropper)[2]
  # One block of 6 examples: that of step 2 begins at example 12.
  draws = crop.draw(6, 2, order.crop_seed(3, tf.constant(12, tf.int64)))
  shared = tf.random.stateless_uniform(
    [6, croppers.NUM_DRAWS],
    order.box_seed(3, tf.constant(12, tf.int64)),
    alg="philox",
  )
  for row, image in enumerate(images_of(records)[2]):
    boxes = _BOXES[image] or [(0, 0, _WIDTH, _HEIGHT)]
    x0, y0, x1, y1 = boxes[int(shared[row, 0] * len(boxes))]
    [windows] = cropper.windows(
      tf.constant([[0, 0, _HEIGHT, _WIDTH]]),
      croppers.Objects(
        tf.constant([[y0, x0, y1, x1]], tf.float32),
        tf.constant([bool(_BOXES[image])]),
        shared[row][None],
      ),
      draws[row][None],
      croppers.Views([crop.CropRange()] * 2, [8, 8], [0, 1]),
    ).numpy()
    pixels = np.asarray(Image.open(records.path(image)))
    for view, (y, x, h, w) in zip(found, windows, strict=True):
      white = (pixels[y : y + h, x : x + w] == 255).mean()
      shown = (view[row].numpy().astype(float) - 10 * image) / (
        255 - 10 * image
      )
      assert shown.mean() == pytest.approx(white, abs=0.06)


def test_views_depend_on_seed_and_step_alone(records):
  cropper = croppers.SameObjectCrop()
  whole = batches(records, cropper)
  last = [whole[-1]]
  assert same(last, batches(records, cropper, start_step=11))
  share = view_batches.Share(1, 3)
  [part] = batches(records, cropper, start_step=11, share=share)
  for view, cut in zip(last[0], part, strict=True):
    np.testing.assert_array_equal(view[2:4], cut)
  assert not same(last, batches(records, cropper, start_step=11, seed=4))


def test_without_boxes_a_cropper_changes_nothing(records):
  bare = records._replace(objects=None)
  plain = batches(records, None, num_steps=2)
  cropper = croppers.SameObjectCrop()
  assert same(batches(bare, cropper, num_steps=2), plain)
  assert not same(batches(records, cropper, num_steps=2), plain)
  empty = records._replace(
    objects=records_lib.Objects(
      np.zeros(_COUNT + 1, np.int64), np.zeros([0, 1, 4], np.float32)
    )
  )
  assert empty.objects.num_without == _COUNT
  assert same(batches(empty, cropper, num_steps=2), plain)


def test_boxes_of_regions_are_fractions_of_the_region(records):
  # The region is the right half; the box is the lower half of that.
  region = np.tile(np.int32([20, 0, 40, 32]), [_COUNT, 1])
  objects = records_lib.Objects(
    np.arange(_COUNT + 1),
    np.tile(np.float32([0.5, 0, 1, 1]), [_COUNT, 1, 1]),
    of_regions=True,
  )
  records = records._replace(boxes=region, objects=objects)
  whole = crop.CropRange(area=(1.0, 1.0), aspect=(1.25, 1.25))  # 20 x 16 px.
  found = batches(
    records,
    croppers.BoxScaleCrop(context=(0.0, 0.0)),
    recipe=recipes.moco_v2()._replace(crop=whole),
    num_steps=1,
  )[0]
  for row, image in enumerate(images_of(records)[0]):
    pixels = np.asarray(Image.open(records.path(image)))[16:, 20:]
    assert found.query[row].numpy().mean() == pytest.approx(
      pixels.mean(), abs=2
    )


def test_each_frame_of_a_pair_has_its_own_box_of_the_object(records):
  # The object is at the left in one image and at the right in the other.
  images = np.array([[0, 3], [3, 0]] * 3)
  left, right = ([8, 4, 24, 20], [2, 30, 10, 38])
  boxes = np.array([[left, right], [right, left]] * 3) / ([_HEIGHT, _WIDTH] * 2)
  records = records._replace(
    examples=records_lib.Examples(images),
    objects=records_lib.Objects(np.arange(7), boxes.astype(np.float32)),
  )
  for batch in batches(
    records, croppers.BoxScaleCrop(context=(0.0, 0.0)), num_steps=2
  ):
    for view in batch:
      assert (view.numpy() == 255).all()


def test_selected_records_keep_their_boxes(records):
  some = records_lib.take(records, np.array([5, 1, 0]))
  assert np.diff(some.objects.offsets).tolist() == [0, 2, 1]
  np.testing.assert_array_equal(
    some.objects.boxes,
    np.concatenate([records.objects.boxes[1:3], records.objects.boxes[:1]]),
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
