"""The cache of rendered folders, with files that are quick to write."""

import os
import pathlib
import shutil
import signal
import sys
import threading
import time

import pytest

from tf_ssl import errors
from tf_ssl.ops import child_process, workdir
from tf_ssl.rendering import folder_cache

FILES = ("a/0.png", "a/1.png", "b/2.png")
# Writes one of three files and never ends.
KILLED = """
import sys, time
from tf_ssl.rendering import folder_cache
def render(folder):
  (folder / "a/0.png").write_bytes(b"half")
  print("started", flush=True)
  time.sleep(600)
folder_cache.folder(
  "made", "images", ["a/0.png", "a/1.png", "b/2.png"], render, sys.argv[1]
)
"""


class Renderer:
  """Writes the files and counts how often."""

  def __init__(self, seconds=0.0):
    self.calls = 0
    self._seconds = seconds

  def __call__(self, folder):
    self.calls += 1
    for name in FILES:
      (folder / name).write_bytes(f"content of {name}".encode() * 9)
      time.sleep(self._seconds)


def make(place, render):
  made = folder_cache.folder(
    place.name, "images", FILES, render, str(place.parent)
  )
  return pathlib.Path(made)


def contents(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob("*.*")
  }


def visible(folder):
  return sorted(n for n in os.listdir(folder) if not n.startswith("."))


def has_temporaries(folder):
  return any(map(workdir.is_temporary, folder.iterdir()))


def test_files_are_rendered_once(tmp_path):
  render = Renderer()
  folder = make(tmp_path / "made", render)
  assert folder == tmp_path / "made" / "images"
  assert sorted(contents(folder)) == sorted(FILES)
  assert make(tmp_path / "made", render) == folder
  assert render.calls == 1


def truncate(folder):
  path = folder / "a/1.png"
  path.write_bytes(path.read_bytes()[:-5])


def flip_one_byte(folder):
  path = folder / "a/1.png"
  data = bytearray(path.read_bytes())
  data[60] ^= 1
  path.write_bytes(bytes(data))


def delete_one(folder):
  (folder / "a/1.png").unlink()


def add_one(folder):
  (folder / "a/extra.png").write_bytes(b"x")


def delete_the_manifest(folder):
  (folder.parent / "manifest.json").unlink()


def garble_the_manifest(folder):
  (folder.parent / "manifest.json").write_text("[1, 2")


def delete_all(folder):
  shutil.rmtree(folder)


@pytest.mark.parametrize(
  "damage",
  [
    truncate,
    flip_one_byte,
    delete_one,
    add_one,
    delete_the_manifest,
    garble_the_manifest,
    delete_all,
  ],
)
def test_a_damaged_folder_is_rendered_again(tmp_path, damage):
  render = Renderer()
  folder = make(tmp_path / "made", render)
  before = contents(folder)
  damage(folder)
  assert make(tmp_path / "made", render) == folder
  assert contents(folder) == before
  assert render.calls == 2
  assert visible(tmp_path) == ["made"] and not has_temporaries(tmp_path)


def test_an_interrupted_rendering_leaves_nothing_behind(tmp_path):
  def interrupted(folder):
    (folder / FILES[0]).write_bytes(b"half")
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    make(tmp_path / "made", interrupted)
  assert visible(tmp_path) == [] and not has_temporaries(tmp_path)
  assert len(contents(make(tmp_path / "made", Renderer()))) == 3


def test_a_killed_rendering_is_cleaned_up_by_the_next(tmp_path):
  other = tmp_path / f".other.{'0' * 32}.tmp"
  other.mkdir()
  child = child_process.start_python(KILLED, str(tmp_path), stdout=-1)
  try:
    assert child.stdout.readline() == b"started\n"
    assert visible(tmp_path) == []
  finally:
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
  assert sum(map(workdir.is_temporary, tmp_path.iterdir())) == 2
  assert len(contents(make(tmp_path / "made", Renderer()))) == 3
  # A folder that another process may be rendering stays.
  assert [p for p in tmp_path.iterdir() if workdir.is_temporary(p)] == [other]


def test_one_of_several_renders_and_the_others_wait(tmp_path):
  render, results = Renderer(seconds=0.1), []
  threads = [
    threading.Thread(
      target=lambda: results.append(make(tmp_path / "made", render))
    )
    for _ in range(3)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert results == [tmp_path / "made" / "images"] * 3
  assert render.calls == 1
  assert len(contents(results[0])) == 3


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("not a folder")
  with pytest.raises(errors.UsageError, match="file.*cache_dir"):
    make(tmp_path / "file" / "made", Renderer())


def test_a_full_disk_is_named(tmp_path):
  def full(folder):
    raise OSError(28, "No space left on device")

  with pytest.raises(errors.UsageError, match="No space left.*cache_dir"):
    make(tmp_path / "made", full)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
