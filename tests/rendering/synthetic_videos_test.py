import os
import pathlib
import re
import sys

import pytest

from tf_ssl import errors
from tf_ssl.rendering import synthetic, workers


def _make(cache_dir, **changes):
  arguments = {"num_videos": 2, "num_frames": 3, "image_size": 16, **changes}
  return pathlib.Path(
    synthetic.rendered_videos(cache_dir=str(cache_dir), **arguments)
  )


def _contents(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob("*.*")
  }


@pytest.fixture
def count_renderings(monkeypatch):
  calls = []
  render_videos = workers.render_videos

  def counted(*args, **kwargs):
    calls.append(args)
    return render_videos(*args, **kwargs)

  monkeypatch.setattr(workers, "render_videos", counted)
  return calls


def test_a_folder_holds_videos_and_their_tracks(tmp_path, count_renderings):
  folder = _make(tmp_path)
  assert sorted(_contents(folder)) == [
    "000000.mp4",
    "000001.mp4",
    "boxes/000000.csv",
    "boxes/000001.csv",
  ]
  assert _make(tmp_path) == folder
  assert len(count_renderings) == 1


def test_a_video_is_a_pure_function_of_seed_split_and_number(tmp_path):
  few, more = _make(tmp_path), _make(tmp_path, num_videos=3)
  few, more = _contents(few), _contents(more)
  assert all(more[name] == data for name, data in few.items())
  assert len(more) == 6


@pytest.mark.parametrize(
  "change",
  [
    {"split": "held_out"},
    {"num_videos": 1},
    {"num_frames": 4},
    {"fps": 8.0},
    {"image_size": (16, 18)},
    {"seed": 6},
  ],
)
def test_every_argument_has_a_folder_of_its_own(tmp_path, change):
  first, second = _make(tmp_path), _make(tmp_path, **change)
  assert first != second
  name = "000000.mp4"
  same = (first / name).read_bytes() == (second / name).read_bytes()
  assert same == (change == {"num_videos": 1})


def _truncate(folder):
  path = folder / "000001.mp4"
  path.write_bytes(path.read_bytes()[:-5])


def _change_a_box(folder):
  path = folder / "boxes/000000.csv"
  path.write_text(path.read_text().replace("0", "1", 1))


def _delete_the_tracks(folder):
  (folder / "boxes/000001.csv").unlink()


def _add_one(folder):
  (folder / "000002.mp4").write_bytes(b"x")


@pytest.mark.parametrize(
  "damage", [_truncate, _change_a_box, _delete_the_tracks, _add_one]
)
def test_a_damaged_folder_is_rendered_again(tmp_path, damage, count_renderings):
  folder = _make(tmp_path)
  before = _contents(folder)
  damage(folder)
  assert _make(tmp_path) == folder
  assert _contents(folder) == before
  assert len(count_renderings) == 2
  assert os.listdir(tmp_path) == [folder.parent.name]


def test_an_interrupted_rendering_leaves_nothing_behind(tmp_path, monkeypatch):
  def interrupted(folder, numbers, **_):
    (folder / "000000.mp4").write_bytes(b"half")
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(workers, "render_videos", interrupted)
    with pytest.raises(KeyboardInterrupt):
      _make(tmp_path)
  assert os.listdir(tmp_path) == []
  assert len(_contents(_make(tmp_path))) == 4


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"split": "test"}, "split='test': expected one of train, labeled, held"),
    ({"num_videos": 0}, "num_videos=0: expected 1 or more; change num_videos"),
    ({"num_frames": 0}, "num_frames=0: expected 1 or more; change num_frames"),
    ({"fps": -1}, "fps=-1: expected 0.1 to 1000; change fps"),
    ({"image_size": 8}, "image_size=8: expected 16 to 512 pixels; change ima"),
    ({"image_size": 33}, "image_size=33: expected even numbers; change image"),
    ({"seed": -1}, "seed=-1: expected a whole number >= 0; change seed"),
  ],
)
def test_bad_arguments_are_named(tmp_path, change, message):
  with pytest.raises(errors.UsageError, match=re.escape(message)):
    _make(tmp_path, **change)
  assert os.listdir(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("not a folder")
  with pytest.raises(errors.UsageError, match="change cache_dir"):
    _make(tmp_path / "file")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
