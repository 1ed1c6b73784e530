"""Tests of tf_ssl.video.mining.track_records."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl.video.mining import track_records


def clip():
  frames = [
    track_records.TrackedFrame(
      b"jpeg %d" % t,
      3 * t,
      0.25 * t,
      np.array([7, 9][: t + 1], np.int64),
      np.array([[0.0, 0.1, 0.5, 0.6], [0.2, 0.3, 1.0, 0.9]][: t + 1], "f"),
    )
    for t in range(2)
  ]
  frames.append(
    track_records.TrackedFrame(
      b"jpeg", 6, 0.5, np.zeros([0], np.int64), np.zeros([0, 4], "f")
    )
  )
  return track_records.TrackedClip(
    "a/b \udcff.mp4",
    12.0,
    (480, 640),
    48,
    64,
    frames,
    {7: 0.5, 9: 0.25},
    ("cut", "no region near it"),
  )


def test_a_clip_survives_serialization():
  before = clip()
  after = track_records.parse(track_records.serialize(before))
  for name in ("video", "fps", "video_size", "height", "width", "scores"):
    assert getattr(after, name) == getattr(before, name)
  assert after.ends == before.ends
  for one, other in zip(before.frames, after.frames, strict=True):
    assert one[:3] == other[:3]
    np.testing.assert_array_equal(one.tracks, other.tracks)
    np.testing.assert_array_equal(one.boxes, other.boxes)


def test_older_records_do_not_say_why_tracks_end():
  older = clip()._replace(ends=())
  assert track_records.parse(track_records.serialize(older)).ends == ()
  wrong = clip()._replace(ends=("cut",))
  with pytest.raises(ValueError, match="not each of its tracks has an end"):
    track_records.parse(track_records.serialize(wrong))


def test_a_record_is_readable_with_tensorflow_alone():
  context, lists = tf.io.parse_single_sequence_example(
    track_records.serialize(clip()),
    context_features={
      "video/fps": tf.io.FixedLenFeature([], tf.float32),
      "track/id": tf.io.VarLenFeature(tf.int64),
    },
    sequence_features={
      "image/encoded": tf.io.FixedLenSequenceFeature([], tf.string),
      "region/track": tf.io.RaggedFeature(tf.int64),
      "region/boxes": tf.io.RaggedFeature(tf.float32),
    },
  )
  assert context["video/fps"] == 12.0
  assert context["track/id"].values.numpy().tolist() == [7, 9]
  assert lists["image/encoded"].numpy().tolist() == [
    b"jpeg 0",
    b"jpeg 1",
    b"jpeg",
  ]
  assert lists["region/track"].to_list() == [[7], [7, 9], []]
  assert lists["region/boxes"].row_lengths().numpy().tolist() == [4, 8, 0]


@pytest.mark.parametrize(
  "serialized, message",
  [
    (b"\xff\xff", "tf.train.SequenceExample"),
    (tf.train.SequenceExample().SerializeToString(), "'video/name'"),
  ],
)
def test_other_records_are_refused(serialized, message):
  with pytest.raises(ValueError, match=message):
    track_records.parse(serialized)


def test_lists_that_differ_in_length_are_refused():
  example = tf.train.SequenceExample.FromString(track_records.serialize(clip()))
  del example.feature_lists.feature_list["frame/time"].feature[-1]
  with pytest.raises(ValueError, match="length"):
    track_records.parse(example.SerializeToString())


_FLOATS = ("video/fps", "track/score", "frame/time", "region/boxes")
_SIZES = ("video/height", "video/width", "image/height", "image/width")
_NAMES = (
  *("video/name", "track/id", "image/encoded", "frame/number", "region/track"),
  *_FLOATS,
  *_SIZES,
)


def _changed(name):
  """A record, and one of its features, to change."""
  example = tf.train.SequenceExample.FromString(track_records.serialize(clip()))
  if name in example.context.feature:
    return example, example.context.feature[name]
  return example, example.feature_lists.feature_list[name].feature[0]


@pytest.mark.parametrize(
  ("name", "value"),
  [
    *((name, None) for name in _NAMES),
    *((name, value) for name in _FLOATS for value in (np.nan, -np.inf)),
    *((name, value) for name in _SIZES for value in (0, -1, 2**40)),
    ("region/track", 8),
  ],
)
def test_an_empty_or_impossible_feature_is_refused(name, value):
  example, feature = _changed(name)
  values = getattr(feature, feature.WhichOneof("kind")).value
  count = len(values)
  del values[:]
  if value is not None:
    values.extend([value] * count)
  with pytest.raises(ValueError) as raised:
    track_records.parse(example.SerializeToString())
  assert len(str(raised.value)) < 100 and "\n" not in str(raised.value)


@pytest.mark.parametrize("name", _NAMES)
def test_a_feature_of_another_type_or_none_is_refused(name):
  for clear in (True, False):
    example, feature = _changed(name)
    kind = feature.WhichOneof("kind")
    feature.Clear()
    if not clear and kind == "bytes_list":
      feature.int64_list.value.append(1)
    elif not clear:
      feature.bytes_list.value.append(b"1")
    with pytest.raises(ValueError):
      track_records.parse(example.SerializeToString())


def test_rows_have_boxes_in_pixels_of_the_video():
  rows = track_records.rows_of(clip())
  name = "a/b \udcff.mp4"
  assert rows == [
    (name, 7, 0, 64.0, 0.0, 384.0, 240.0, 0.5),
    (name, 7, 3, 64.0, 0.0, 384.0, 240.0, 0.5),
    (name, 9, 3, 192.0, 96.0, 576.0, 480.0, 0.25),
  ]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
