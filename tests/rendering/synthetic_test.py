import concurrent.futures
import multiprocessing
import os
import pathlib
import sys

import cv2
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.rendering import synthetic, workers

SMALL = {
  synthetic.rendered_folder: {"num_images": 23, "image_size": 16, "seed": 5},
  synthetic.rendered_videos: {
    "num_videos": 2,
    "num_frames": 3,
    "image_size": 16,
  },
  synthetic.rendered_scenes: {"num_images": 3, "image_size": (16, 18)},
}
CHANGES = {
  synthetic.rendered_folder: [
    {"split": "held_out"},
    {"num_images": 24},
    {"image_size": 17},
    {"seed": 6},
    {"variety": 0.25},
  ],
  synthetic.rendered_videos: [
    {"split": "held_out"},
    {"num_videos": 1},
    {"num_frames": 4},
    {"fps": 8.0},
    {"image_size": (16, 18)},
    {"seed": 6},
  ],
  synthetic.rendered_scenes: [
    {"split": "held_out"},
    {"num_images": 2},
    {"image_size": 16},
    {"seed": 6},
  ],
}


def make(cache_dir, kind=synthetic.rendered_folder, **changes):
  return pathlib.Path(
    kind(cache_dir=str(cache_dir), **{**SMALL[kind], **changes})
  )


def contents(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob("*.*")
  }


@pytest.fixture(name="renderings")
def fixture_renderings(monkeypatch):
  """The calls of the renderer."""
  calls = []
  render = workers.render

  def counted(*args, **kwargs):
    calls.append(args)
    return render(*args, **kwargs)

  monkeypatch.setattr(workers, "render", counted)
  return calls


def test_an_image_is_a_pure_function_of_seed_and_index():
  forward = [synthetic.render_index(3, i, 32) for i in range(12)]
  backward = [synthetic.render_index(3, i, 32) for i in reversed(range(12))]
  np.testing.assert_array_equal(forward, backward[::-1])
  context = multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
    elsewhere = list(
      pool.map(synthetic.render_index, [3] * 12, range(12), [32] * 12)
    )
  np.testing.assert_array_equal(forward, elsewhere)


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


def test_the_old_name_of_the_labeled_split_is_accepted(tmp_path, renderings):
  folder = make(tmp_path, split="labeled")
  assert make(tmp_path, split="labelled") == folder
  assert len(renderings) == 1
  image = cv2.imread(str(folder / "cactus/000011.png"))[..., ::-1]
  index = synthetic.split_index("labelled", 11)
  np.testing.assert_array_equal(image, synthetic.render_index(5, index, 16))


def test_the_folder_holds_balanced_classes_of_readable_images(tmp_path):
  folder = make(tmp_path)
  files = sorted(contents(folder))
  counts = [
    sum(name.startswith(category + "/") for name in files)
    for category in synthetic.CATEGORIES
  ]
  assert counts == [3, 3, 3, 2, 2, 2, 2, 2, 2, 2]
  assert files[3:5] == ["cactus/000001.png", "cactus/000011.png"]
  image = cv2.imread(str(folder / "cactus/000011.png"))[..., ::-1]
  np.testing.assert_array_equal(image, synthetic.render_index(5, 11, 16))


def test_variety_changes_the_images(tmp_path):
  full, less = make(tmp_path), make(tmp_path, variety=0.25)
  name = f"{synthetic.CATEGORIES[3]}/000013.png"
  image = cv2.imread(str(less / name))[..., ::-1]
  expected = synthetic.render_index(5, 13, 16, variety=0.25)
  np.testing.assert_array_equal(image, expected)
  assert (full / name).read_bytes() != (less / name).read_bytes()


def test_videos_come_with_their_tracks(tmp_path):
  folder = make(tmp_path, synthetic.rendered_videos)
  assert sorted(contents(folder)) == [
    "000000.mp4",
    "000001.mp4",
    "boxes/000000.csv",
    "boxes/000001.csv",
  ]


def test_scenes_come_with_masks_and_boxes(tmp_path):
  folder = make(tmp_path, synthetic.rendered_scenes, num_images=1)
  assert sorted(contents(folder)) == [
    "annotations.json",
    "boxes/000000.csv",
    "classes.json",
    "images/000000.png",
    "masks/000000.png",
  ]


def test_a_video_is_a_pure_function_of_seed_split_and_number(tmp_path):
  few = contents(make(tmp_path, synthetic.rendered_videos))
  more = contents(make(tmp_path, synthetic.rendered_videos, num_videos=3))
  assert all(more[name] == data for name, data in few.items())
  assert len(more) == 6
  for change in ({"split": "held_out"}, {"seed": 6}, {"fps": 8.0}):
    other = contents(make(tmp_path, synthetic.rendered_videos, **change))
    assert other["000000.mp4"] != few["000000.mp4"]


@pytest.mark.parametrize("kind", SMALL)
def test_a_folder_is_rendered_once_and_again_if_it_was_changed(
  tmp_path, kind, renderings
):
  folder = make(tmp_path, kind)
  before = contents(folder)
  assert make(tmp_path, kind) == folder
  assert len(renderings) == 1
  name = max(before)
  (folder / name).write_bytes(before[name][:-1])
  assert make(tmp_path, kind) == folder
  assert contents(folder) == before
  assert len(renderings) == 2


@pytest.mark.parametrize(
  ("kind", "change"),
  [(kind, change) for kind, changes in CHANGES.items() for change in changes],
)
def test_each_setting_has_its_own_folder(tmp_path, monkeypatch, kind, change):
  monkeypatch.setattr(
    synthetic,
    "cached",
    lambda name, kind, files, render, cache_dir: f"{cache_dir}/{name}/{kind}",
  )
  assert make(tmp_path, kind) != make(tmp_path, kind, **change)


def test_a_new_renderer_version_has_its_own_folder(tmp_path, monkeypatch):
  first = make(tmp_path)
  monkeypatch.setattr(synthetic, "RENDERER_VERSION", 999)
  assert make(tmp_path) != first


def test_the_default_cache_is_in_the_environments_place(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  folder = synthetic.rendered_folder(num_images=1, image_size=16)
  assert folder.startswith(str(tmp_path / "tf_ssl" / "rendered"))


@pytest.mark.parametrize(
  ("kind", "change", "message"),
  [
    (synthetic.rendered_folder, {"num_images": 0}, "num_images=0"),
    (synthetic.rendered_folder, {"image_size": 513}, "image_size=513.*512"),
    (synthetic.rendered_folder, {"variety": 1.5}, "variety=1.5"),
    (synthetic.rendered_videos, {"num_videos": 0}, "num_videos=0"),
    (synthetic.rendered_videos, {"num_frames": 0}, "num_frames=0"),
    (synthetic.rendered_videos, {"fps": -1}, "fps=-1"),
    (synthetic.rendered_videos, {"image_size": 33}, "image_size=33.*even"),
    (synthetic.rendered_scenes, {"num_images": 0}, "num_images=0"),
    *(
      (kind, change, message)
      for kind in SMALL
      for change, message in (
        ({"split": "test"}, "split='test'.*train, labeled, held_out"),
        ({"image_size": 8}, "image_size=8.*16 to 512.*image_size"),
        ({"seed": -1}, "seed=-1.*seed"),
      )
    ),
  ],
)
def test_arguments_out_of_range_are_named(tmp_path, kind, change, message):
  with pytest.raises(errors.UsageError, match=message):
    make(tmp_path, kind, **change)
  assert os.listdir(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("not a folder")
  with pytest.raises(errors.UsageError, match="cache_dir"):
    make(tmp_path / "file")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
