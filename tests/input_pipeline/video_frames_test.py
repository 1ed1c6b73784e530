"""Tests of tf_ssl.input_pipeline.video_frames from files to batches."""

import sys

import av
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.input_pipeline import video_frames, view_batches


def write(path, brightness, count, fps=10):
  """Writes a video whose frame i has the gray level brightness + 4 i."""
  with av.open(str(path), "w") as output:
    stream = output.add_stream("libx264", rate=fps)
    stream.width, stream.height = 32, 24
    stream.options = {"crf": "10"}
    for number in range(count):
      gray = np.full([24, 32, 3], brightness + 4 * number, np.uint8)
      output.mux(stream.encode(av.VideoFrame.from_ndarray(gray)))
    output.mux(stream.encode(None))


@pytest.fixture(name="folder")
def _folder(tmp_path):
  (tmp_path / "videos").mkdir()
  for number, count in enumerate([13, 9, 5, 6, 2]):
    path = tmp_path / "videos" / f"{number}.mp4"
    write(path, 30 + 40 * number, count)
  return tmp_path


def read(folder, **options):
  return video_frames.frame_pairs(
    source=str(folder / "videos"),
    frames_dir=str(folder / "kept"),
    **{"seconds": 0.4, **options},
  )


def test_an_example_is_two_frames_of_one_video(folder):
  records = read(folder)
  assert records.num_images == 4 + 3 + 2 + 2 + 1
  expected = [[0, 1], [1, 2], [2, 3], [4, 5], [5, 6], [7, 8], [9, 10]]
  np.testing.assert_array_equal(records.examples.images, expected)
  np.testing.assert_array_equal(records.examples.groups, [0, 0, 0, 1, 1, 2, 3])
  assert read(folder, same_video_in_batch=True).examples.groups is None
  same = read(folder, seconds=None, frames=4)
  np.testing.assert_array_equal(same.examples.images, expected)


def test_the_baseline_has_the_same_frames_as_single_images(folder):
  examples = read(folder, paired=False).examples
  np.testing.assert_array_equal(examples.images[:, 0], np.arange(11))
  groups = [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3]
  np.testing.assert_array_equal(examples.groups, groups)


def test_a_batch_shows_frame_i_and_frame_i_plus_k_of_different_videos(folder):
  batches = view_batches.view_batches(
    read(folder),
    recipe=recipes.moco_v2(),
    image_size=8,
    batch_size=4,
    seed=0,
    num_steps=6,
    finish_views=False,
  )
  shown = set()
  for batch in batches:
    query = batch.query.numpy().mean((1, 2, 3))
    key = batch.key.numpy().mean((1, 2, 3))
    np.testing.assert_allclose(key - query, 16, atol=3)  # 4 frames later
    number, frame = np.divmod(np.round(query - 30).astype(int) + 2, 40)
    start = [(v, f // 4) for v, f in zip(number, frame, strict=True)]
    shown.update(start)
    assert len(set(number)) == 4
  assert {frame for _, frame in shown} <= {0, 4, 8}


def test_a_distance_longer_than_all_videos_is_refused(folder):
  with pytest.raises(errors.UsageError, match="9 s.*SECONDS"):
    read(folder, seconds=9.0)


def test_frames_have_the_labels_of_the_manifest(folder):
  rows = "".join(f"videos/{i}.mp4,{'ab'[i % 2]}\n" for i in range(3))
  (folder / "list.csv").write_text("path,label\n" + rows)
  records = video_frames.frame_pairs(
    source=str(folder / "list.csv"),
    seconds=0.4,
    frames_dir=str(folder / "kept"),
  )
  assert records.class_names == ("a", "b")
  np.testing.assert_array_equal(records.labels, [0] * 4 + [1] * 3 + [0] * 2)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))


def test_a_video_without_a_pair_is_named(folder, caplog):
  with caplog.at_level("WARNING"):
    read(folder)
  assert "1 of 5 videos" in caplog.text
  assert "4.mp4" in caplog.text and "3.mp4" not in caplog.text
