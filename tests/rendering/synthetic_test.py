import concurrent.futures
import multiprocessing
import os
import pathlib
import re
import shutil
import sys
import threading

import cv2
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.rendering import synthetic, workers


def _files(folder):
  return sorted(
    str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*.*")
  )


def _make(cache_dir, **changes):
  arguments = {"num_images": 23, "image_size": 16, "seed": 5, **changes}
  return pathlib.Path(
    synthetic.rendered_folder(cache_dir=str(cache_dir), **arguments)
  )


@pytest.fixture
def count_renderings(monkeypatch):
  calls = []
  render_files = workers.render_files

  def counted(*args, **kwargs):
    calls.append(args)
    return render_files(*args, **kwargs)

  monkeypatch.setattr(workers, "render_files", counted)
  return calls


def test_an_image_is_a_pure_function_of_seed_and_index():
  forwards = [synthetic.render_index(3, i, 32) for i in range(12)]
  backwards = [synthetic.render_index(3, i, 32) for i in reversed(range(12))]
  np.testing.assert_array_equal(forwards, backwards[::-1])
  context = multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
    elsewhere = list(
      pool.map(synthetic.render_index, [3] * 12, range(12), [32] * 12)
    )
  np.testing.assert_array_equal(forwards, elsewhere)


def test_less_variety_makes_other_images_in_another_folder(tmp_path):
  whole, less = _make(tmp_path), _make(tmp_path, variety=0.25)
  assert whole != less
  name = f"{synthetic.CATEGORIES[3]}/000013.png"
  image = cv2.imread(str(less / name))[..., ::-1]
  expected = synthetic.render_index(5, 13, 16, variety=0.25)
  np.testing.assert_array_equal(image, expected)
  assert (whole / name).read_bytes() != (less / name).read_bytes()


def test_seeds_and_indices_make_different_images():
  images = [
    synthetic.render_index(seed, index, 32).tobytes()
    for seed in range(3)
    for index in range(10)
  ]
  assert len(set(images)) == 30


def test_splits_share_neither_indices_nor_instances():
  seen = {}
  for split in synthetic.SPLITS:
    indices = [synthetic.split_index(split, number) for number in range(300)]
    drawn = [synthetic.random_factors(0, index) for index in indices]
    seen[split] = set(indices), {factors.instance for factors in drawn}
  for kind in range(2):
    sets = [seen[split][kind] for split in synthetic.SPLITS]
    assert len(set.union(*sets)) == sum(map(len, sets))


def test_the_folder_holds_balanced_classes_of_readable_images(tmp_path):
  folder = _make(tmp_path)
  files = _files(folder)
  counts = [
    sum(name.startswith(category + "/") for name in files)
    for category in synthetic.CATEGORIES
  ]
  assert counts == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]
  assert files[3:5] == ["cactus/000001.png", "cactus/000011.png"]
  image = cv2.imread(str(folder / "cactus/000011.png"))[..., ::-1]
  np.testing.assert_array_equal(image, synthetic.render_index(5, 11, 16))


def test_a_whole_folder_is_used_again(tmp_path, count_renderings):
  first = _make(tmp_path)
  assert _make(tmp_path) == first
  assert len(count_renderings) == 1


@pytest.mark.parametrize(
  "change",
  [{"split": "held_out"}, {"num_images": 24}, {"image_size": 17}, {"seed": 6}],
)
def test_every_argument_has_a_folder_of_its_own(tmp_path, change):
  assert _make(tmp_path) != _make(tmp_path, **change)


def test_a_new_renderer_has_a_folder_of_its_own(tmp_path, monkeypatch):
  first = _make(tmp_path)
  monkeypatch.setattr(synthetic, "RENDERER_VERSION", 999)
  assert _make(tmp_path) != first


def _truncate(folder):
  path = folder / "car/000002.png"
  path.write_bytes(path.read_bytes()[:-5])


def _flip_one_byte(folder):
  path = folder / "car/000002.png"
  data = bytearray(path.read_bytes())
  data[60] ^= 1
  path.write_bytes(bytes(data))


def _delete_one(folder):
  (folder / "car/000002.png").unlink()


def _add_one(folder):
  (folder / "car/extra.png").write_bytes(b"x")


def _lose_the_manifest(folder):
  (folder.parent / "manifest.json").unlink()


def _garble_the_manifest(folder):
  (folder.parent / "manifest.json").write_text("[1, 2")


def _empty(folder):
  shutil.rmtree(folder)


@pytest.mark.parametrize(
  "damage",
  [
    _truncate,
    _flip_one_byte,
    _delete_one,
    _add_one,
    _lose_the_manifest,
    _garble_the_manifest,
    _empty,
  ],
)
def test_a_damaged_folder_is_rendered_again(tmp_path, damage, count_renderings):
  folder = _make(tmp_path)
  before = {name: (folder / name).read_bytes() for name in _files(folder)}
  damage(folder)
  assert _make(tmp_path) == folder
  after = {name: (folder / name).read_bytes() for name in _files(folder)}
  assert before == after
  assert len(count_renderings) == 2
  assert os.listdir(tmp_path) == [folder.parent.name]


def test_an_interrupted_rendering_leaves_nothing_behind(tmp_path, monkeypatch):
  def interrupted(folder, files, **_):
    (folder / next(iter(files))).write_bytes(b"half")
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(workers, "render_files", interrupted)
    with pytest.raises(KeyboardInterrupt):
      _make(tmp_path)
  assert os.listdir(tmp_path) == []
  assert len(_files(_make(tmp_path))) == 23


def test_leftovers_of_killed_processes_go_after_a_day(tmp_path):
  name = _make(tmp_path).parent.name
  old, new = tmp_path / f".{name}.old", tmp_path / f".{name}.new"
  for path in (old, new):
    path.mkdir()
  os.utime(old, (0, 0))
  shutil.rmtree(tmp_path / name)
  _make(tmp_path)
  assert sorted(os.listdir(tmp_path)) == sorted([name, new.name])


def test_two_that_ask_at_once_get_the_same_whole_folder(tmp_path):
  results = []
  threads = [
    threading.Thread(target=lambda: results.append(_make(tmp_path)))
    for _ in range(3)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(results) == 3 and len(set(results)) == 1
  assert len(_files(results[0])) == 23
  assert os.listdir(tmp_path) == [results[0].parent.name]


def test_the_cache_lies_where_the_environment_says(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  folder = synthetic.rendered_folder(num_images=1, image_size=16)
  assert folder.startswith(str(tmp_path / "tf_ssl" / "rendered"))


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"split": "test"}, "split='test': expected one of train, labeled, held"),
    ({"num_images": 0}, "num_images=0: expected 1 or more; change num_images"),
    ({"image_size": 8}, "image_size=8: expected 16 to 512 pixels; change ima"),
    ({"image_size": 513}, "image_size=513: expected 16 to 512 pixels"),
    ({"seed": -1}, "seed=-1: expected a whole number >= 0; change seed"),
  ],
)
def test_bad_arguments_are_named(tmp_path, change, message):
  with pytest.raises(errors.UsageError, match=re.escape(message)):
    _make(tmp_path, **change)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("not a folder")
  with pytest.raises(errors.UsageError, match="change cache_dir"):
    _make(tmp_path / "file")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
