"""Tests of tf_ssl.input_pipeline.view_batches."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import batches as types
from tf_ssl import errors
from tf_ssl.augment import jigsaw, multi_crop, recipes
from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import order, view_batches, views
from tf_ssl.input_pipeline import skipped as skipped_lib

RECIPE = recipes.moco_v2()
NUM_IMAGES = 20


def paint(path, number):
  """Writes an image whose gray level is 10 * number."""
  Image.new("RGB", (12, 10), (10 * number,) * 3).save(path)


@pytest.fixture(name="folder")
def _folder(tmp_path):
  folder = tmp_path / "images"
  folder.mkdir()
  for i in range(NUM_IMAGES):
    paint(folder / f"{i:03d}.png", i)
  return folder


def batches(folder, examples=None, **options):
  options = {
    "recipe": RECIPE,
    "image_size": 8,
    "batch_size": 4,
    "seed": 0,
    "num_steps": 10,
    "finish_views": False,
    **options,
  }
  records = image_folder.read(str(folder))._replace(examples=examples)
  return list(view_batches.view_batches(records, **options))


def numbers(found):
  """Returns the number of the image in every query, [steps, B]."""
  return np.array([pair.query[:, 0, 0, 0].numpy() // 10 for pair in found])


def same(one, other):
  return all(
    np.array_equal(a, b)
    for x, y in zip(one, other, strict=True)
    for a, b in zip(x, y, strict=True)
  )


def test_batches_are_pairs_of_finished_views(folder):
  found = batches(folder, num_steps=3, finish_views=True)
  assert len(found) == 3
  for pair in found:
    assert isinstance(pair, types.ImagePair)
    for view in pair:
      assert view.dtype == tf.float32 and view.shape == (4, 8, 8, 3)
    assert not np.allclose(pair.query, pair.key)


def test_both_views_show_one_image_and_an_epoch_has_every_image(folder):
  found = batches(folder)
  queries = numbers(found)
  keys = np.array([pair.key[:, -1, -1, 1].numpy() // 10 for pair in found])
  np.testing.assert_array_equal(queries, keys)
  assert found[0].query.dtype == tf.uint8
  for epoch in (queries[:5], queries[5:]):
    assert sorted(epoch.ravel()) == list(range(NUM_IMAGES))


@pytest.mark.parametrize("finish_views", [False, True])
def test_a_resumed_run_has_the_same_batches(folder, finish_views):
  whole = batches(folder, finish_views=finish_views)
  rest = batches(folder, finish_views=finish_views, start_step=7)
  assert len(rest) == 3
  assert same(whole[7:], rest)


def test_seeds_differ(folder):
  one, other = batches(folder, seed=1), batches(folder, seed=2)
  assert same(one, batches(folder, seed=1))
  assert not same(one, other)


@pytest.mark.parametrize(
  "image_size, batch_size",
  [(8, 4), (362, 20)],  # Finished at once; loaded by 10, finished by 2.
)
def test_views_can_be_finished_in_the_train_step_instead(
  folder, image_size, batch_size
):
  def second(**options):
    return batches(
      folder,
      image_size=image_size,
      batch_size=batch_size,
      num_steps=2,
      start_step=1,
      seed=5,
      **options,
    )[0]

  here, there = second(finish_views=True), second()
  for view in range(2):
    finished = RECIPE.finish(there[view], order.view_seed(5, 1, view))
    np.testing.assert_allclose(finished, here[view], atol=1e-3)


@pytest.mark.parametrize("finish_views", [False, True])
@pytest.mark.parametrize(
  "image_size, batch_size, count", [(8, 12, 2), (8, 12, 3), (362, 20, 5)]
)
def test_shares_add_up_to_the_global_batch(
  folder, image_size, batch_size, count, finish_views
):
  def found(share):
    return batches(
      folder,
      image_size=image_size,
      batch_size=batch_size,
      num_steps=3,
      start_step=1,
      share=share,
      finish_views=finish_views,
    )

  whole = found(view_batches.WHOLE)
  shares = [found(view_batches.Share(i, count)) for i in range(count)]
  for expected, *parts in zip(whole, *shares, strict=True):
    for view in range(2):
      together = np.concatenate([part[view] for part in parts])
      np.testing.assert_allclose(together, expected[view], atol=1e-4)


def test_index_and_label_belong_to_the_visible_image(folder):
  (folder / "007.png").write_bytes(b"no image")  # Has a substitute.
  records = image_folder.read(str(folder))
  records = records._replace(labels=np.arange(NUM_IMAGES, dtype=np.int32) % 4)
  options = {"recipe": RECIPE, "image_size": 8, "batch_size": 5, "seed": 0}
  options |= {"num_steps": 4, "finish_views": False}
  for batch in view_batches.view_batches(
    records, view_type=types.LabeledPair, **options
  ):
    shown = batch.query[:, 0, 0, 0].numpy() // 10
    np.testing.assert_array_equal(batch.label, shown % 4)
    assert batch.label.dtype == tf.int32
  for batch in view_batches.view_batches(
    records, view_type=types.IndexedImage, **options
  ):
    shown = batch.image[:, 0, 0, 0].numpy() // 10
    np.testing.assert_array_equal(batch.index, shown)
    assert batch.index.dtype == tf.int64


def test_each_view_has_its_own_recipe(folder):
  patches = jigsaw.pirl_patches(patch=RECIPE, cell_size=6, patch_size=4)
  options = {
    "view_type": types.JigsawPair,
    "recipe": (RECIPE, patches),
    "num_steps": 2,
    "start_step": 1,
    "seed": 5,
  }
  here = batches(folder, finish_views=True, **options)[0]
  assert here.image.shape == (4, 8, 8, 3)
  assert here.patches.shape == (4, 9, 4, 4, 3)
  there = batches(folder, **options)[0]
  assert there.patches.shape == (4, 18, 18, 3)
  finisher = views.Finisher(
    (RECIPE, patches), types.JigsawPair, seed=5, batch_size=4
  )
  finished = finisher.batch(there, tf.constant(1), tf.constant(0))
  for ours, expected in zip(here, finished, strict=True):
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def with_crops(number, **options):
  crops = multi_crop.crops(
    recipe=RECIPE, number=number, size=4, area=(0.1, 0.4)
  )
  return {
    "view_type": types.MultiCropPair,
    "recipe": (RECIPE, crops),
    "num_steps": 3,
    "seed": 5,
    **options,
  }


@pytest.mark.parametrize("finish_views", [False, True])
def test_crops_show_the_image_of_their_pair_and_resume(folder, finish_views):
  options = with_crops(3, finish_views=finish_views)
  found = batches(folder, **options)
  assert found[0].query.shape == (4, 8, 8, 3)
  assert found[0].crops.shape == (4, 3, 4, 4, 3)
  if not finish_views:
    for batch in found:
      shown = batch.query[:, 0, 0, 0].numpy() // 10
      np.testing.assert_array_equal(
        batch.crops, 10 * np.broadcast_to(shown, (3, 4, 4, 3, 4)).T
      )
  rest = batches(folder, **options, start_step=2)
  assert same(found[2:], rest)


def test_crops_can_be_finished_in_the_train_step_instead(folder):
  options = with_crops(3, start_step=1)
  here = batches(folder, finish_views=True, **options)[0]
  there = batches(folder, **options)[0]
  finisher = views.Finisher(
    options["recipe"], types.MultiCropPair, seed=5, batch_size=4
  )
  finished = finisher.batch(there, tf.constant(1), tf.constant(0))
  for ours, expected in zip(here, finished, strict=True):
    np.testing.assert_allclose(ours, expected, atol=1e-3)


@pytest.mark.parametrize("finish_views", [False, True])
def test_shares_add_up_to_the_crops_of_the_global_batch(folder, finish_views):
  options = with_crops(2, finish_views=finish_views)
  whole = batches(folder, **options)
  shares = [
    batches(folder, share=view_batches.Share(i, 2), **options) for i in range(2)
  ]
  for expected, *parts in zip(whole, *shares, strict=True):
    together = np.concatenate([part.crops for part in parts])
    np.testing.assert_allclose(together, expected.crops, atol=1e-4)


@pytest.mark.parametrize("finish_views", [False, True])
def test_without_crops_the_pairs_are_those_of_two_views(folder, finish_views):
  found = batches(folder, **with_crops(0, finish_views=finish_views))
  plain = batches(folder, num_steps=3, seed=5, finish_views=finish_views)
  for one, other in zip(found, plain, strict=True):
    np.testing.assert_array_equal(one.query, other.query)
    np.testing.assert_array_equal(one.key, other.key)
    assert one.crops.shape == (4, 0, 4, 4, 3)


def test_a_wrong_number_of_recipes_is_refused(folder):
  with pytest.raises(errors.UsageError, match="3.*query, key.*recipe"):
    batches(folder, recipe=(RECIPE,) * 3)


def test_a_batch_that_cannot_be_divided_is_refused(folder):
  with pytest.raises(errors.UsageError, match="4, .*3 .*BATCH_SIZE"):
    batches(folder, share=view_batches.Share(0, 3))


def test_bad_files_are_replaced_and_shift_no_other_example(folder, tmp_path):
  before = batches(folder)
  (folder / "003.png").write_bytes(b"")
  (folder / "011.png").write_bytes((folder / "011.png").read_bytes()[:40])
  path = tmp_path / "skipped_files.txt"
  skipped = skipped_lib.SkippedFiles(str(path), NUM_IMAGES, max_fraction=0.2)
  after = batches(folder, skipped=skipped)
  good = ~np.isin(numbers(before), [3, 11])
  np.testing.assert_array_equal(numbers(after)[good], numbers(before)[good])
  assert not np.isin(numbers(after), [3, 11]).any()
  for b, a in zip(before, after, strict=True):
    usable = ~np.isin(b.query[:, 0, 0, 0].numpy() // 10, [3, 11])
    np.testing.assert_array_equal(a.key[usable], b.key[usable])
  assert same(after, batches(folder, skipped=skipped))
  assert skipped.count == 2
  assert path.read_text().splitlines() == sorted(
    [
      "003.png\tempty file",
      "011.png\ttruncated or corrupt PNG, or of an unsupported kind",
    ],
    key=lambda line: path.read_text().index(line),
  )


def test_too_many_bad_files_stop_the_run(folder):
  for i in range(3):
    (folder / f"{i:03d}.png").write_bytes(b"")
  skipped = skipped_lib.SkippedFiles(None, NUM_IMAGES, max_fraction=0.1)
  with pytest.raises(tf.errors.OpError):
    batches(folder, skipped=skipped)
  assert "max_skipped_fraction" in skipped.fatal


def test_a_dataset_of_bad_files_stops_the_run(folder):
  for i in range(NUM_IMAGES):
    (folder / f"{i:03d}.png").write_bytes(b"no image")
  skipped = skipped_lib.SkippedFiles(None, NUM_IMAGES, max_fraction=1.0)
  with pytest.raises(tf.errors.OpError, match="8 images"):
    batches(folder, skipped=skipped)
  assert skipped.fatal is not None


def test_too_small_images_are_skipped(folder):
  Image.new("RGB", (1, 9)).save(folder / "007.png")
  skipped = skipped_lib.SkippedFiles(None, NUM_IMAGES)
  found = batches(folder, skipped=skipped)
  assert 7 not in numbers(found)
  assert skipped.reasons == {"007.png": "smaller than 2 px on a side: 1x9"}


def test_crops_stay_within_boxes(folder):
  records = image_folder.read(str(folder))
  half = np.zeros((10, 12, 3), np.uint8)
  half[2:7, 3:9] = 200
  for i in range(NUM_IMAGES):
    Image.fromarray(half).save(folder / f"{i:03d}.png")
  boxes = np.tile(np.int32([3, 2, 9, 7]), (NUM_IMAGES, 1))
  pairs = view_batches.view_batches(
    records._replace(boxes=boxes),
    recipe=RECIPE,
    image_size=8,
    batch_size=4,
    seed=0,
    num_steps=5,
    finish_views=False,
  )
  for pair in pairs:
    assert (pair.query.numpy() == 200).all() and (pair.key.numpy() == 200).all()


def test_without_determinism_all_images_still_appear(folder):
  found = batches(folder, deterministic=False, num_steps=5)
  assert sorted(numbers(found).ravel()) == list(range(NUM_IMAGES))


@pytest.mark.parametrize(
  "options, message",
  [
    ({"batch_size": 21}, "batch_size: got 21.* 20 .*BATCH_SIZE"),
    ({"batch_size": 0}, "batch_size: got 0"),
    ({"image_size": 1}, "image_size: got 1; .*2 px.*IMAGE_SIZE"),
  ],
)
def test_settings_out_of_range_are_refused(folder, options, message):
  with pytest.raises(errors.UsageError, match=message):
    batches(folder, **options)


def test_views_of_photographs_are_normalized(shared_data):
  found = batches(
    shared_data / "imagenette" / "train",
    image_size=32,
    num_steps=4,
    batch_size=16,
    finish_views=True,
  )
  queries = np.concatenate([pair.query for pair in found])
  assert abs(queries.mean()) < 0.6 and 0.5 < queries.std() < 1.6


def test_the_views_of_a_pair_come_from_its_two_images(folder):
  first = np.arange(NUM_IMAGES - 3)
  examples = records_lib.Examples(np.stack([first, first + 3], axis=1))
  found = batches(folder, examples, num_steps=17)
  queries = numbers(found)
  keys = np.array([pair.key[:, 0, 0, 0].numpy() // 10 for pair in found])
  np.testing.assert_array_equal(keys, queries + 3)
  assert sorted(queries.ravel()) == sorted([*range(17)] * 4)


def test_an_example_of_one_image_gives_both_views(folder):
  examples = records_lib.Examples(np.arange(5, 11)[:, None])
  found = batches(folder, examples, num_steps=3)
  queries = numbers(found)
  keys = np.array([pair.key[:, 0, 0, 0].numpy() // 10 for pair in found])
  np.testing.assert_array_equal(keys, queries)
  assert sorted(queries.ravel()) == sorted([*range(5, 11)] * 2)


def test_each_image_of_an_example_shows_its_box(folder):
  left = np.zeros((10, 12, 3), np.uint8)
  left[:, 6:] = 200
  Image.fromarray(left).save(folder / "000.png")
  boxes = np.array([[[0, 0, 6, 10], [6, 0, 12, 10]]] * 8, np.int32)
  examples = records_lib.Examples(np.zeros((8, 2), np.int64), boxes)
  for pair in batches(folder, examples, num_steps=2):
    assert not pair.query.numpy().any()
    assert (pair.key.numpy() == 200).all()


def test_no_batch_has_two_examples_of_one_group(folder):
  groups = np.array([0] * 9 + [1] * 4 + [2] * 4 + [3] * 2 + [4], np.int32)
  examples = records_lib.Examples(np.arange(NUM_IMAGES)[:, None], None, groups)
  found = batches(folder, examples, num_steps=90)
  shown = numbers(found)
  for batch in shown:
    assert len(set(groups[batch])) == 4
  # Groups appear about equally often, and so do the examples of a group.
  times = np.bincount(groups[shown.ravel()])
  assert times.sum() == 360 and times.min() > 55
  for group in range(5):
    each = np.bincount(shown.ravel(), minlength=NUM_IMAGES)[groups == group]
    assert each.min() >= 0.5 * each.mean()
  assert same(
    found[40:], batches(folder, examples, num_steps=90, start_step=40)
  )


def test_an_unusable_frame_removes_only_its_pairs_and_is_named(folder):
  (folder / "004.png").write_bytes(b"\x89PNG, but no more")
  first = np.arange(NUM_IMAGES - 1)
  examples = records_lib.Examples(
    np.stack([first, first + 1], axis=1), None, (first // 4).astype(np.int32)
  )
  skipped = skipped_lib.SkippedFiles(None, NUM_IMAGES, max_fraction=0.5)
  found = batches(folder, examples, num_steps=40, skipped=skipped, batch_size=5)
  queries = numbers(found)
  assert set(queries.ravel()) == set(range(NUM_IMAGES - 1)) - {3, 4}
  assert list(skipped.reasons) == ["004.png"]


@pytest.mark.parametrize(
  "examples, message",
  [
    (records_lib.Examples(np.zeros((8, 3), np.int64)), "3 .*2 views"),
    (
      records_lib.Examples(np.zeros((8, 2), np.int64), None, np.arange(8) // 4),
      " 2 .*BATCH_SIZE.*SAME_VIDEO_IN_BATCH",
    ),
    (
      records_lib.Examples(np.zeros((3, 2), np.int64)),
      " 3 examples.*BATCH_SIZE",
    ),
  ],
)
def test_examples_that_do_not_fit_are_refused(folder, examples, message):
  with pytest.raises(errors.UsageError, match=message):
    batches(folder, examples)


def test_epochs_continue_after_a_change_of_the_batch_size(folder):
  early = batches(folder, batch_size=8, num_steps=3, image_size=6)
  spans = (order.Span(3, 8),)
  rest = batches(folder, start_step=3, num_steps=14, earlier=spans)
  assert [len(early), len(rest)] == [3, 11]
  assert early[0].query.shape == (8, 6, 6, 3)
  shown = np.concatenate([numbers(early).ravel(), numbers(rest).ravel()])
  constant = numbers(batches(folder, num_steps=17)).ravel()
  np.testing.assert_array_equal(shown, constant)
  resumed = batches(folder, start_step=9, num_steps=14, earlier=spans)
  assert same(rest[6:], resumed)
  # The windows of a position do not repeat, nor do the seeds of a step.
  assert not same(rest[:1], batches(folder, start_step=3, num_steps=4))


def test_processes_share_the_batches_after_a_change_of_the_batch_size(folder):
  options = {
    "start_step": 3,
    "num_steps": 6,
    "earlier": (order.Span(3, 10),),
    "finish_views": True,
  }
  whole = batches(folder, **options)
  parts = [
    batches(folder, share=view_batches.Share(number, 2), **options)
    for number in range(2)
  ]
  for batch, *shares in zip(whole, *parts, strict=True):
    for view, one, two in zip(batch, *shares, strict=True):
      np.testing.assert_allclose(view, tf.concat([one, two], 0), atol=1e-3)


def test_no_batch_has_two_of_a_group_after_a_change_of_the_batch_size(folder):
  groups = np.repeat(np.arange(5), 4).astype(np.int32)
  examples = records_lib.Examples(np.arange(NUM_IMAGES)[:, None], None, groups)
  # Three rounds of two batches, the last one cut short.
  earlier = (order.Span(5, 2),)
  rest = batches(
    folder, examples, start_step=5, num_steps=9, earlier=earlier, batch_size=5
  )
  for batch in numbers(rest):
    assert sorted(groups[batch]) == [0, 1, 2, 3, 4]
  alone = batches(folder, examples, num_steps=7, batch_size=5)
  np.testing.assert_array_equal(numbers(rest), numbers(alone)[3:])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
