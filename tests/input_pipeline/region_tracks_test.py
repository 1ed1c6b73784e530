"""Tests of tf_ssl.input_pipeline.region_tracks from records to batches."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches as types
from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.input_pipeline import (
  labeled_images,
  region_tracks,
  skipped,
  view_batches,
)
from tf_ssl.video.mining import track_records

LEFT, RIGHT = [0.0, 0.0, 1.0, 0.5], [0.0, 0.5, 1.0, 1.0]


def image(video, time):
  """[20, 40, 3]: red is the video, green the side, blue the time."""
  pixels = np.zeros([20, 40, 3], np.uint8)
  pixels[..., 0] = 60 * video + 20
  pixels[:, 20:, 1] = 200
  pixels[..., 2] = 40 * time + 20
  return tf.io.encode_jpeg(pixels, quality=100, chroma_downsampling=False)


def write(path, video, *, count=4, encoded=image):
  """Track 5 moves from left to right at frame 2; track 6 has two frames."""
  frames = []
  for t in range(count):
    tracks, boxes = [5], [LEFT if t < 2 else RIGHT]
    if t < 2:
      tracks, boxes = [5, 6], [*boxes, RIGHT]
    frames.append(
      track_records.TrackedFrame(
        encoded(video, t).numpy(),
        t,
        0.5 * t,
        np.array(tracks),
        np.array(boxes, np.float32),
      )
    )
  clip = track_records.TrackedClip(
    f"{video}.mp4", 2.0, (40, 80), 20, 40, frames, {5: 1.0, 6: 0.5}
  )
  with tf.io.TFRecordWriter(str(path)) as writer:
    writer.write(track_records.serialize(clip))


@pytest.fixture(name="folder")
def _folder(tmp_path):
  for video in range(3):
    write(tmp_path / f"{video}.tfrecord", video)
  return tmp_path


def test_an_example_is_a_track_at_two_times(folder):
  records = region_tracks.region_tracks(source=str(folder), seconds=0.5)
  examples = records.examples
  assert records.num_images == 12
  # Track 5 at 0, 1 and 2 with its successor; track 6 at 0.
  np.testing.assert_array_equal(
    examples.images[:4],
    [[0, 1, 0, 1], [0, 1, 0, 1], [1, 2, 1, 2], [2, 3, 2, 3]],
  )
  left, right, none = [0, 0, 20, 20], [20, 0, 40, 20], [-1] * 4
  np.testing.assert_array_equal(
    examples.boxes[:4],
    [
      [none, none, left, left],
      [none, none, right, right],
      [none, none, left, right],
      [none, none, right, right],
    ],
  )
  np.testing.assert_array_equal(examples.groups, [0] * 4 + [1] * 4 + [2] * 4)
  np.testing.assert_array_equal(
    examples.tracks, [0, 1, 0, 0, 2, 3, 2, 2, 4, 5, 4, 4]
  )
  np.testing.assert_array_equal(examples.tracks_per_video, [2, 2, 2])
  far = region_tracks.region_tracks(source=str(folder), seconds=1.0)
  np.testing.assert_array_equal(far.examples.images[:2, 0], [0, 1])


def test_without_frames_an_example_is_a_pair_of_regions(folder):
  four = region_tracks.region_tracks(source=str(folder))
  two = region_tracks.region_tracks(source=str(folder), frames=False)
  for field in ("images", "boxes"):
    np.testing.assert_array_equal(
      getattr(two.examples, field), getattr(four.examples, field)[:, 2:]
    )
  np.testing.assert_array_equal(two.examples.tracks, four.examples.tracks)
  singles, expected = (region_tracks.regions(each) for each in (two, four))
  np.testing.assert_array_equal(singles.boxes, expected.boxes)
  np.testing.assert_array_equal(singles.shards.row, expected.shards.row)


def test_the_tracks_of_a_video_in_two_records_are_counted_together(folder):
  write(folder / "3.tfrecord", 1)  # Another stretch of 1.mp4.
  records = region_tracks.region_tracks(
    source=str(folder), same_video_in_batch=True
  )
  np.testing.assert_array_equal(records.examples.tracks_per_video, [2, 4, 2])
  assert records.examples.groups is None


def test_a_batch_shows_both_frames_and_the_region_in_each(folder):
  recipe = recipes.moco_v2()
  small = recipes.moco_v2(size=8)
  batches = view_batches.view_batches(
    region_tracks.region_tracks(source=str(folder), seconds=0.5),
    view_type=types.RegionTrackPair,
    recipe=(recipe, recipe, small, small),
    image_size=16,
    batch_size=3,
    seed=0,
    num_steps=8,
    finish_views=False,
  )
  moved = 0
  for batch in batches:
    assert batch.query.shape == (3, 16, 16, 3)
    assert batch.query_region.shape == (3, 8, 8, 3)
    colors = [x.numpy().mean((1, 2)) for x in batch]
    video = np.round((colors[0][:, 0] - 20) / 60).astype(int)
    assert sorted(video) == [0, 1, 2]
    for color in colors:  # All four show one video.
      np.testing.assert_allclose(color[:, 0], 60 * video + 20, atol=4)
    for one, other in ((0, 1), (2, 3)):
      later = colors[other][:, 2] - colors[one][:, 2]
      np.testing.assert_allclose(later, 40, atol=4)
    np.testing.assert_allclose(colors[0][:, 2], colors[2][:, 2], atol=4)
    sides = [np.round(colors[i][:, 1] / 200, 1) for i in (2, 3)]
    assert np.isin(sides, [0.0, 1.0]).all()  # Only the region.
    moved += int((sides[0] != sides[1]).sum())
  assert moved > 0


def test_regions_become_single_images(folder):
  records = region_tracks.regions(
    region_tracks.region_tracks(source=str(folder), seconds=0.5)
  )
  assert records.num_images == 24
  (batch,) = labeled_images.labeled_images(
    records, image_size=20, batch_size=24
  )
  np.testing.assert_array_equal(batch.label, np.arange(24))
  colors = batch.image.numpy().mean((1, 2))
  # The third example: track 5 from the left, at 1, to the right, at 2.
  np.testing.assert_allclose(colors[4], [20, 0, 60], atol=4)
  np.testing.assert_allclose(colors[5], [20, 200, 100], atol=4)


def test_a_damaged_frame_is_named_with_its_row(folder):
  def damaged(video, time):
    intact = image(video, time)
    return intact if time != 3 else tf.strings.substr(intact, 0, 40)

  write(folder / "2.tfrecord", 2, encoded=damaged)
  records = region_tracks.region_tracks(source=str(folder), seconds=0.5)
  record = skipped.SkippedFiles(None, records.num_images, max_fraction=0.5)
  recipe = recipes.moco_v2()
  batches = view_batches.view_batches(
    records,
    view_type=types.RegionTrackPair,
    recipe=recipe,
    image_size=8,
    batch_size=3,
    seed=0,
    num_steps=8,
    finish_views=False,
    skipped=record,
  )
  assert len(list(batches)) == 8
  assert [name.split("@")[0] for name in record.reasons] == ["2.tfrecord"]
  assert next(iter(record.reasons)).endswith("#3")


def test_small_regions_and_far_frames_make_no_pair(folder):
  read = region_tracks.region_tracks
  assert read(source=str(folder), min_side=20).examples is not None
  with pytest.raises(errors.UsageError, match="tracks.*SECONDS"):
    read(source=str(folder), min_side=21)
  with pytest.raises(errors.UsageError, match="5 s.*SECONDS"):
    read(source=str(folder), seconds=5.0)


def test_a_folder_without_tracks_is_refused(tmp_path):
  with pytest.raises(errors.UsageError, match="TRACKS"):
    region_tracks.region_tracks(source=str(tmp_path))
  with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
    writer.write(b"\xff\xff no proto")
  with pytest.raises(
    errors.UsageError, match="a.tfrecord@12.*tf.train.SequenceExample.*TRACKS"
  ):
    region_tracks.region_tracks(source=str(tmp_path))


def test_a_box_that_is_not_finite_is_named_with_its_file(folder):
  name = "3.tfrecord"
  write(folder / name, 3)
  (record,) = tf.data.TFRecordDataset(str(folder / name))
  example = tf.train.SequenceExample.FromString(record.numpy())
  boxes = example.feature_lists.feature_list["region/boxes"].feature[0]
  boxes.float_list.value[0] = float("nan")
  with tf.io.TFRecordWriter(str(folder / name)) as writer:
    writer.write(example.SerializeToString())
  with pytest.raises(
    errors.UsageError, match="3.tfrecord.*a box is not finite.*change TRACKS"
  ):
    region_tracks.region_tracks(source=str(folder))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
