"""Views cut by chunk, against whole images decoded and cut one by one."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tf_ssl import batches, errors
from tf_ssl.augment import crop, multi_crop, recipes, resize
from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import loading, order, views

_VIEWS = [
  views.View(crop.CropRange(), 8),
  views.View(crop.CropRange(area=(0.05, 0.3)), 5),
]


@pytest.fixture(name="records")
def fixture_records(tmp_path):
  """Seven images of noise, each of its own size."""
  rng = np.random.default_rng(0)
  for i in range(7):
    noise = rng.integers(0, 256, [20 + i, 26 - i, 3], np.uint8)
    Image.fromarray(noise).save(tmp_path / f"{i}.png")
  return image_folder.read(str(tmp_path))


def _draws(count):
  return crop.draw(count, len(_VIEWS), tf.constant([1, 2], tf.int64))


def _load(records, indices, draws, given=_VIEWS):
  load = views.view_loader(loading.Source(records), given, portable=True)
  return list(load(tf.constant(indices, tf.int64), draws))


def _pixels(records, image):
  path = f"{records.root}/{records.files[image].decode()}"
  return np.asarray(Image.open(path))


def _cut(image, region, draws, view):
  """The view of one whole image; `region`: ymin, xmin, height, width."""
  [[window]] = crop.random_windows(
    tf.constant([region]), draws, crops=[view.crop]
  ).numpy()
  return resize.resize_windows(
    tf.constant(image), tf.constant([window]), [view.size], portable=True
  )[0]


def _assert_equal(found, expected):
  # One gray level of rounding.
  assert found.dtype == tf.uint8
  difference = tf.cast(found, tf.int32) - tf.cast(expected, tf.int32)
  assert np.abs(difference).max() <= 1


def test_each_view_is_the_window_of_its_draw(records):
  indices, draws = [4, 0, 4, 6], _draws(4)
  found = _load(records, indices, draws)
  assert [int(one.index) for one in found] == indices
  for row, (index, one) in enumerate(zip(indices, found, strict=True)):
    image = _pixels(records, index)
    for v, view in enumerate(_VIEWS):
      expected = _cut(
        image, [0, 0, *image.shape[:2]], draws[row, v][None, None], view
      )
      assert one.crops[v].shape == (view.size, view.size, 3)
      _assert_equal(one.crops[v], expected)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_several_crops_are_windows_of_their_draws(records, number):
  small = views.View(crop.CropRange(area=(0.05, 0.3)), 5, number)
  given = [*_VIEWS, small]
  draws = crop.draw(2, 2 + number, tf.constant([1, 2], tf.int64))
  for row, one in enumerate(_load(records, [4, 0], draws, given)):
    image = _pixels(records, [4, 0][row])
    assert one.crops[2].shape == (number, 5, 5, 3)
    expected = [
      _cut(image, [0, 0, *image.shape[:2]], draws[row, w][None, None], view)
      for w, view in enumerate([*_VIEWS, *[small] * number])
    ]
    for found, window in zip(
      [*one.crops[:2], *one.crops[2]], expected, strict=True
    ):
      _assert_equal(found, window)


def test_views_of_photographs_are_windows_of_the_upright_images(tmp_path):
  y, x = np.mgrid[:48, :80]
  pixels = np.stack([5 * y, 3 * x, 2 * y + x], -1).astype(np.uint8)
  for number in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = number
    Image.fromarray(pixels).save(
      tmp_path / f"{number}.jpg", exif=exif, quality=95, subsampling=0
    )
  records = image_folder.read(str(tmp_path))
  boxes = np.int32([[-1] * 4, [6, 12, 40, 47]] * 4)  # Upright.
  draws = _draws(8)
  found = _load(records._replace(boxes=boxes), range(8), draws)
  for row, one in enumerate(found):
    with Image.open(records.path(row)) as stored:
      image = np.asarray(ImageOps.exif_transpose(stored))
    region = [12, 6, 35, 34] if row % 2 else [0, 0, *image.shape[:2]]
    for v, view in enumerate(_VIEWS):
      expected = _cut(image, region, draws[row, v][None, None], view)
      difference = one.crops[v].numpy().astype(int) - expected
      assert np.abs(difference).max() <= 4  # JPEG decoders differ.


def test_views_of_an_example_of_two_images_come_one_from_each_box(records):
  boxes = np.int32([[[3, 2, 15, 12], [0, 4, 9, 20]], [[5, 5, 9, 9], [-1] * 4]])
  examples = records_lib.Examples(np.array([[1, 5], [2, 0]]), boxes=boxes)
  records = records._replace(examples=examples)
  draws = _draws(2)
  found = _load(records, [0, 1], draws)
  for row, one in enumerate(found):
    for v, view in enumerate(_VIEWS):
      image = _pixels(records, examples.images[row, v])
      xmin, ymin, xmax, ymax = boxes[row, v]
      region = [ymin, xmin, ymax - ymin, xmax - xmin]
      if xmin < 0:
        region = [0, 0, *image.shape[:2]]
      expected = _cut(image, region, draws[row, v][None, None], view)
      _assert_equal(one.crops[v], expected)


def test_a_chunk_with_an_unusable_image_fails_and_gives_no_wrong_views(records):
  with open(f"{records.root}/2.png", "wb") as file:
    file.write(b"\x89PNG but no more")
  found = []
  with pytest.raises(tf.errors.OpError):
    load = views.view_loader(loading.Source(records), _VIEWS)
    for one in load(tf.constant([1, 2, 3], tf.int64), _draws(3)):
      found.append(int(one.index))
  assert len(found) < 3 and set(found) <= {1}


def test_a_batch_has_one_recipe_for_all_views_or_one_for_each():
  one, other = recipes.moco_v2(), recipes.simclr()
  pair = batches.ImagePair
  assert views.recipe_of_each_view(one, pair) == [one, one]
  assert views.recipe_of_each_view((one, other), pair) == [one, other]
  assert views.recipe_of_each_view(one, batches.LabeledPair) == [one, one]
  with pytest.raises(errors.UsageError, match="1.*query, key.*recipe"):
    views.recipe_of_each_view([one], pair)


def test_the_recipe_of_crops_is_the_last_of_two():
  full = recipes.moco_v2()
  crops = multi_crop.crops(recipe=full, number=3)
  found = views.recipe_of_each_view((full, crops), batches.MultiCropPair)
  assert found == [full, full, crops]
  assert views.view_of(crops, 224) == views.View(crops.crop, 96, 3)
  assert views.view_of(full, 224) == views.View(full.crop, 224)


@pytest.mark.parametrize(
  "view_type", [batches.MultiCropPair, batches.ImagePair]
)
def test_a_recipe_of_the_wrong_kind_for_crops_is_refused(view_type):
  full = recipes.moco_v2()
  crops = multi_crop.crops(recipe=full)
  given = full if view_type is batches.MultiCropPair else (full, crops)
  with pytest.raises(errors.UsageError, match="recipe of `(crops|key)`.*crops"):
    views.recipe_of_each_view(given, view_type)


def test_views_are_finished_with_the_seed_of_their_step_and_view():
  recipe = recipes.moco_v2()
  rng = np.random.default_rng(0)
  whole = [rng.integers(0, 256, [6, 8, 8, 3], np.uint8) for _ in range(2)]
  finisher = views.Finisher(recipe, batches.LabeledPair, seed=3, batch_size=6)
  expected = [
    recipe.finish(images, order.view_seed(3, 11, v))
    for v, images in enumerate(whole)
  ]
  # The part of a replica equals its rows of the whole.
  part = batches.LabeledPair(
    query=whole[0][2:5], key=whole[1][2:5], label=tf.constant([7, 8, 9])
  )
  found = finisher.batch(part, tf.constant(11), tf.constant(2))
  np.testing.assert_allclose(found.query, expected[0][2:5], atol=1e-4)
  np.testing.assert_allclose(found.key, expected[1][2:5], atol=1e-4)
  assert found.label.numpy().tolist() == [7, 8, 9]
  other = finisher.batch(part, tf.constant(12), tf.constant(2))
  assert not np.allclose(other.query, found.query, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"no image", "no pixels"])
def test_a_damaged_image_never_looks_like_a_cancelled_step(tmp_path, content):
  # tf.data drops an error of an image; a cancellation would stop the run.
  if content == "no pixels":
    whole = tf.io.encode_png(tf.zeros([20, 20, 3], tf.uint8)).numpy()
    content = whole[:40]
  for i in range(2):
    (tmp_path / f"{i}.png").write_bytes(content)
  records = image_folder.read(str(tmp_path))
  pairs = records_lib.Examples(images=np.tile([[0, 1]], [64, 1]))
  load = views.view_loader(
    loading.Source(records._replace(examples=pairs)), _VIEWS
  )
  rows, draws = tf.range(64, dtype=tf.int64), _draws(64)
  found = tf.data.Dataset.range(1000).interleave(
    lambda _: load(rows, draws).ignore_errors(log_warning=False).take(1),
    cycle_length=16,
    num_parallel_calls=16,
  )
  assert list(found) == []


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
