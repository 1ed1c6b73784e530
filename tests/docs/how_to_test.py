"""Commands of the how-to pages run, one after the other, on tiny data."""

import json
import sys

import gin
import numpy as np
import pytest

from docs._generate import commands
from tests import tiny_data_reference as tiny_data
from tests.docs import documents_reference as documents
from tf_ssl.encoders import resnet

pytestmark = pytest.mark.slow

# Appended to the words of a tool, so that a run takes seconds.
_SMALLER = {
  "train": [
    "--gin_bindings=STEPS=2",
    "--gin_bindings=IMAGE_SIZE=24",
    "--gin_bindings=BATCH_SIZE=8",
    "--gin_bindings=QUEUE_SIZE=16",
    "--gin_bindings=resnet.resnet18.width=0.125",
    "--gin_bindings=settings.Pretraining.checkpoint_every_steps=0",
  ],
  "track_regions": ["--processes=1"],
  "extract_features": ["--image_size=32"],
  "measure_invariance": ["--pictures=50", "--resamples=20", "--image_size=32"],
  "diagnose_dataset": ["--pairs=4"],
  "cut_boxes": ["--min_size=8"],
  "did_it_help": ["--image_size=32"],
  "evaluate": ["--gin_bindings=IMAGE_SIZE=32"],
}
# Words of commands that render much or need other data, and of those that are
# too much like another one, or tested elsewhere: flags and settings of all are
# checked in commands_test.py.
_NOT_HERE = (
  "--quick",
  "--model_dir=runs/short",
  "--model_dir=runs/b",
  "--model_dir=runs/pairs",
  "--model_dir=runs/frames",
  "--model_dir=runs/cropped",
  "--model_dir=runs/background",
  "--labeled=TINY10",
  "--manifest=sets.csv",
  "--gin_bindings=moco.build_moco.encoder=@resnet.resnet50",
  "--gin_file=gin_configs/base/watch_invariances.gin",
  "--model=imagenet=keras.applications:ResNet50",
  "--output_dir=helped/a",  # helped/quick has the frozen protocols.
  "--output_dir=tracks/b",  # As tracks/a.
  "--output=sets/",
)


@pytest.fixture(scope="module", name="folder")
def fixture_folder(tmp_path_factory):
  """A folder with the data that the pages name."""
  folder = tmp_path_factory.mktemp("how_to")
  tiny_data.paint(folder / "photos", 30)
  tiny_data.paint(folder / "labeled" / "train", 10)
  tiny_data.paint(folder / "labeled" / "test", 4)
  (folder / "films").mkdir()
  for number in range(8):
    tiny_data.film(folder / "films" / f"{number}.mp4", red=100 + 20 * number)
  names = sorted((folder / "photos").rglob("*.png"))
  boxes = {
    "images": [
      {
        "id": i,
        "file_name": path.relative_to(folder / "photos").as_posix(),
        "width": 40,
        "height": 40,
      }
      for i, path in enumerate(names)
    ],
    "annotations": [
      {
        "id": i,
        "image_id": i,
        "category_id": 1,
        "bbox": [5, 5, 25, 25],
        "segmentation": [[5, 5, 30, 5, 30, 30, 5, 30]],
      }
      for i in range(len(names))
    ],
    "categories": [{"id": 1, "name": "square"}],
  }
  (folder / "boxes.json").write_text(json.dumps(boxes))
  return folder


@pytest.fixture(autouse=True)
def fixture_smaller(monkeypatch):
  """A ResNet-18 of half the depth is traced in half the time."""
  monkeypatch.setitem(resnet.LAYOUTS, 18, (resnet.basic_stack, (1, 1, 1, 1)))


@pytest.fixture(name="run_page")
def fixture_run_page(repository, folder, monkeypatch):
  """Function that runs a page's commands; returns the names of the tools."""
  monkeypatch.chdir(folder)
  monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

  def run(name):
    ran = []
    page = repository / "docs" / "how_to" / name
    for command in documents.commands(page):
      words = list(command.words)
      is_here = command.is_whole and not set(words) & set(_NOT_HERE)
      if is_here and words[:2] == ["python", "-m"]:
        name = words[2].removeprefix("tools.")
        gin.clear_config()
        commands.tool(name).call([*words[3:], *_SMALLER.get(name, [])])
        gin.clear_config()
        ran.append(name)
    return ran

  return run


@pytest.fixture(name="trained")
def fixture_trained(folder, run_page):
  """Trains runs/a as the page on images does, once."""
  if not (folder / "runs/a/saved_model").exists():
    assert run_page("own_images.md") == ["train", "extract_features"]


def test_images_become_an_encoder_and_features(folder, trained):
  del trained
  assert (folder / "runs/a/saved_model/saved_model.pb").is_file()
  with np.load(folder / "features.npz") as features:
    assert len(features["names"]) == 60


def test_videos_become_tracks_and_an_encoder(folder, run_page):
  assert run_page("own_videos.md") == ["track_regions", "train"]
  assert (folder / "tracks/a/report.html").is_file()
  assert (folder / "runs/tracks/saved_model/saved_model.pb").is_file()


def test_pictures_become_a_report_of_invariances(folder, run_page, trained):
  del trained
  assert run_page("invariances.md") == ["measure_invariance"]
  assert (folder / "measured/own/report.html").is_file()


def test_a_dataset_is_diagnosed_and_its_boxes_are_cut(folder, run_page):
  assert run_page("object_centric.md") == [
    "diagnose_dataset",
    "diagnose_dataset",
    "find_objects",
    "draw_masks",
    "cut_boxes",
    "cut_boxes",
  ]
  for name in ("a", "annotated"):
    assert (folder / "diagnosed" / name / "report.html").is_file()
  assert len(list((folder / "boxes/photos").rglob("*.jpg"))) == 60


def test_models_are_compared_with_random_weights(folder, run_page, trained):
  del trained
  assert run_page("did_it_help.md") == [
    "did_it_help",
    "find_duplicates",
    "evaluate",
    "evaluate",
    "compare",
  ]
  assert (folder / "helped/quick/report.html").is_file()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
