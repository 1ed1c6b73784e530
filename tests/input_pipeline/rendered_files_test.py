"""Tests of tf_ssl.input_pipeline.rendered_files."""

import pathlib
import sys

import pytest

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets.invariance_sets import rendered_sets
from tf_ssl.input_pipeline import region_tracks, rendered_files
from tf_ssl.rendering import synthetic, workers
from tf_ssl.video.source import videos

_SMALL = {"split": "held_out", "number": 2, "image_size": 48}


def _names(folder):
  return sorted(
    str(path.relative_to(folder))
    for path in pathlib.Path(folder).rglob("*")
    if path.is_file()
  )


def _write(folder, kind, **changes):
  rendered_files.write(kind, str(folder), **{**_SMALL, **changes})


def test_objects_are_in_class_folders(tmp_path):
  _write(tmp_path, "objects", number=11)
  found = open_images.open_images(str(tmp_path / "images"), labeled=True)
  assert found.num_images == 11
  assert found.class_names == tuple(sorted(synthetic.CATEGORIES))
  assert len(_names(tmp_path)) == 11


def test_scenes_come_with_their_annotations(tmp_path):
  _write(tmp_path, "scenes")
  assert _names(tmp_path) == [
    "annotations.json",
    "boxes/000000.csv",
    "boxes/000001.csv",
    "classes.json",
    "images/000000.png",
    "images/000001.png",
    "masks/000000.png",
    "masks/000001.png",
  ]


def test_videos_come_with_ground_truth_tracks(tmp_path):
  _write(tmp_path, "videos", frames=3, fps=2.0)
  found = videos.find_videos(str(tmp_path / "videos"))
  assert [video.name for video in found] == ["000000.mp4", "000001.mp4"]
  tracks = region_tracks.region_tracks(source=str(tmp_path / "tracks"))
  assert tracks.num_examples > 0
  assert not (tmp_path / ".parts").exists()


@pytest.mark.parametrize("background", ["fixed", "black", "changing"])
def test_sets_are_found_where_they_were_rendered(
  tmp_path, monkeypatch, background
):
  sizes = {"image_size": 16, "images_per_set": 3}
  flags = {f"{background}_background": True} if background != "fixed" else {}
  _write(tmp_path, "sets", **flags, **sizes)
  first = _names(tmp_path)
  monkeypatch.setattr(workers, "render", None)  # not rendered again
  for invariance in ("occlusion", "viewpoint", "instance_viewpoint"):
    found = rendered_sets.rendered_sets(
      invariance,
      num_sets=2,
      background=background,
      cache_dir=str(tmp_path),
      **sizes,
    )
    assert found.images.num_images == 6
  assert _names(tmp_path) == first


def test_an_incomplete_folder_is_completed(tmp_path):
  (tmp_path / "images").mkdir()
  (tmp_path / "images/rest.png").write_text("")
  _write(tmp_path, "scenes")
  first = _names(tmp_path)
  assert "images/rest.png" not in first
  _write(tmp_path, "scenes")
  assert _names(tmp_path) == first


def test_wrong_arguments_are_refused(tmp_path):
  with pytest.raises(errors.UsageError, match="--what=films"):
    _write(tmp_path, "films")
  with pytest.raises(errors.UsageError, match="num_images=0"):
    _write(tmp_path, "scenes", number=0)
  with pytest.raises(
    errors.UsageError, match="--black_background.*--what=scenes"
  ):
    _write(tmp_path, "scenes", black_background=True)
  with pytest.raises(
    errors.UsageError, match="--changing_background.*--what=scenes"
  ):
    _write(tmp_path, "scenes", changing_background=True)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
