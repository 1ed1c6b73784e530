"""Tests of tf_ssl.input_pipeline.rendered_tracks."""

import pathlib
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.input_pipeline import rendered_tracks
from tf_ssl.rendering import synthetic
from tf_ssl.video.decoding import decode
from tf_ssl.video.source import videos

SIZE = {"num_videos": 2, "num_frames": 3, "fps": 2.0, "image_size": 48}


@pytest.fixture(name="cache", scope="module")
def fixture_cache(tmp_path_factory):
  return str(tmp_path_factory.mktemp("cache"))


def test_a_clip_has_the_rendered_frames_and_boxes(cache):
  folder = synthetic.rendered_videos(cache_dir=cache, **SIZE)
  video = videos.find_videos(folder)[1]
  clip = rendered_tracks.true_clip(video, min_visible=0.5)
  truth = synthetic.render_video(0, 1, 3, image_size=48, fps=2.0)
  assert (clip.height, clip.width, clip.fps) == (48, 48, 2.0)
  assert [frame.time for frame in clip.frames] == [0.0, 0.5, 1.0]
  for t, frame in enumerate(clip.frames):
    seen = (truth.visible_fraction[t] >= 0.5) & [
      (truth.masks[t] == n + 1).sum() >= synthetic.MIN_VISIBLE_PIXELS
      for n in range(len(truth.categories))
    ]
    np.testing.assert_array_equal(frame.tracks, np.flatnonzero(seen) + 1)
    boxes = truth.boxes[t][seen][:, [1, 0, 3, 2]] / 48
    np.testing.assert_allclose(frame.boxes, boxes, atol=1e-6)
    image = decode.read_frames(video, [t]).images[0]
    error = np.abs(image.astype(float) - truth.frames[t]).mean()
    assert error < 6  # of 255: H.264


def test_every_object_visible_in_both_frames_is_an_example(cache):
  records = rendered_tracks.rendered_tracks(
    cache_dir=cache, seconds=1.0, min_side=2, **SIZE
  )
  expected = 0
  for number in range(2):
    truth = synthetic.render_video(0, number, 3, image_size=48, fps=2.0)
    sides = truth.boxes[..., 2:] - truth.boxes[..., :2]
    there = (truth.visible_fraction >= 0.5) & (sides.min(-1) >= 2)
    expected += int((there[0] & there[2]).sum())
  assert records.num_examples == expected > 0
  assert records.num_images == 6
  assert records.examples.seconds == 1.0
  assert set(records.examples.groups) == {0, 1}


def test_records_are_written_once_and_again_if_damaged(cache, monkeypatch):
  made = []
  true_clip = rendered_tracks.true_clip

  def counted(*args, **kwargs):
    made.append(args)
    return true_clip(*args, **kwargs)

  monkeypatch.setattr(rendered_tracks, "true_clip", counted)
  read = rendered_tracks.rendered_tracks
  first = read(cache_dir=cache, min_visible=0.25, **SIZE)
  again = read(cache_dir=cache, min_visible=0.25, **SIZE)
  np.testing.assert_array_equal(first.examples.boxes, again.examples.boxes)
  assert len(made) == 2
  (file,) = pathlib.Path(cache).glob("*visible0.25/tracks/*.tfrecord")
  file.write_bytes(file.read_bytes()[:-9])
  read(cache_dir=cache, min_visible=0.25, **SIZE)
  assert len(made) == 4


def test_hidden_objects_are_in_no_track(cache):
  folder = synthetic.rendered_videos(cache_dir=cache, **SIZE)
  video = videos.find_videos(folder)[0]
  every = rendered_tracks.true_clip(video)
  none = rendered_tracks.true_clip(video, min_visible=1.1)
  assert sum(len(frame.tracks) for frame in every.frames) > 0
  assert sum(len(frame.tracks) for frame in none.frames) == 0
  assert none.scores == {}


def test_videos_shorter_than_the_distance_are_refused(cache):
  with pytest.raises(errors.UsageError, match="SECONDS"):
    rendered_tracks.rendered_tracks(cache_dir=cache, seconds=9.0, **SIZE)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
