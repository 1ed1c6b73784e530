"""The command that composes scenes of the objects of photos."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image

from tests.dataset_bias import training_sets_reference
from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import mosaics
from tf_ssl.datasets import open_images
from tf_ssl.datasets.annotations import open_annotations
from tools import compose_scenes

_COLORS = {"red": (220, 20, 20), "green": (20, 220, 20)}


@pytest.fixture(name="photos")
def fixture_photos(tmp_path):
  """A manifest of 30 blue photos of 80 x 64 px with one colored object each."""
  rows = []
  for number in range(30):
    label = list(_COLORS)[number % 2]
    image = Image.new("RGB", (80, 64), (20, 20, 220))
    box = (4, 6, 4 + 24 + number, 6 + 40)
    image.paste(_COLORS[label], box)
    image.save(tmp_path / f"{number}.png")
    rows.append([f"{number}.png", label, *box])
  with open(tmp_path / "boxes.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow("path,label,xmin,ymin,xmax,ymax".split(","))
    writer.writerows(rows)
  return tmp_path


def call(folder, *words, out="out"):
  compose_scenes.TOOL.call(
    [
      f"--annotations={folder}/boxes.csv",
      f"--images={folder}",
      f"--output_dir={folder}/{out}",
      "--min_size=20",
      "--image_size=96",
      "--number=12",
      *words,
    ]
  )


def _read(folder):
  return open_annotations.open_annotations(
    str(folder / "annotations.json"), str(folder / "images")
  )


def test_each_box_shows_an_object_of_its_class(photos, capsys):
  call(photos)
  found = _read(photos / "out")
  assert found.num_images == 12 and found.class_names == ("green", "red")
  assert "12 pictures, 0 skipped" in capsys.readouterr().out
  summary = json.loads((photos / "out/summary.json").read_text())
  assert summary["boxes"] == found.num_boxes >= 24
  assert sum(summary["boxes_per_scene"].values()) == 12
  assert "--number=12" in summary["command"]
  for box, label, index in zip(
    found.boxes, found.class_ids, found.image_index, strict=True
  ):
    file = photos / "out/images" / found.images.name(int(index))
    pixels = np.asarray(Image.open(file)).astype(int)
    xmin, ymin, xmax, ymax = np.round(box).astype(int)
    inside = pixels[ymin + 2 : ymax - 2, xmin + 2 : xmax - 2]
    color = np.median(inside.reshape(-1, 3), axis=0)
    assert np.abs(color - _COLORS[found.class_names[label]]).max() < 25
  # The photos are blue beside their objects.
  everywhere = np.stack(
    [np.asarray(Image.open(f)) for f in (photos / "out/images").iterdir()]
  )
  assert np.median(everywhere[..., 2]) > 150


def test_single_objects_are_in_class_folders(photos):
  call(
    photos,
    "--min_objects=1",
    "--max_objects=1",
    "--min_scale=0.6",
    "--max_scale=1",
    "--number=30",
  )
  found = open_images.open_images(str(photos / "out/images"), labeled=True)
  assert found.class_names == ("green", "red")
  # Each object once.
  assert np.bincount(found.labels).tolist() == [15, 15]
  assert _read(photos / "out").num_boxes == 30


def test_an_interrupted_call_resumes_with_the_missing_scenes(
  photos, monkeypatch, capsys
):
  call(photos, out="whole")
  draw, drawn = mosaics.draw, []

  def some(*arguments):
    if len(drawn) == 5:
      raise KeyboardInterrupt
    drawn.append(None)
    return draw(*arguments)

  with monkeypatch.context() as patched:
    patched.setattr(mosaics, "draw", some)
    with pytest.raises(KeyboardInterrupt):
      call(photos)
  done = len(list((photos / "out.partial/images").iterdir()))
  assert 0 < done <= 5 and not (photos / "out").exists()
  capsys.readouterr()
  call(photos)
  assert f"{done} scenes are done" in capsys.readouterr().out
  whole, resumed = (
    training_sets_reference.contents(photos / name) for name in ("whole", "out")
  )
  del whole["summary.json"], resumed["summary.json"]  # With the command.
  assert resumed == whole and not (photos / "out.partial").exists()
  call(photos)
  assert "already complete" in capsys.readouterr().out
  with pytest.raises(errors.UsageError, match="--overwrite"):
    call(photos, "--seed=1")
  call(photos, "--seed=1", "--overwrite")


def test_unreadable_photos_are_counted_and_have_no_box(photos):
  (photos / "3.png").write_bytes((photos / "3.png").read_bytes()[:-40])
  call(photos, out="out")
  summary = json.loads((photos / "out/summary.json").read_text())
  assert list(summary["skipped"]["reasons"]) == ["3.png"]
  assert summary["pictures"] == 12
  whole = photos / "1.png"
  before = summary["boxes"]
  (photos / "3.png").write_bytes(whole.read_bytes())
  call(photos, out="out2")
  summary = json.loads((photos / "out2/summary.json").read_text())
  assert summary["skipped"]["count"] == 0 and summary["boxes"] > before
  for number in (3, 5, 7, 9):
    (photos / f"{number}.png").write_bytes(
      b"\x89PNG" + whole.read_bytes()[4:40]
    )
  with pytest.raises(errors.UsageError, match="could not be used|cannot be"):
    call(photos, out="strict")
  assert not (photos / "strict").exists()


def test_other_backgrounds_are_shown_behind(photos):
  (photos / "behind").mkdir()
  Image.new("RGB", (300, 200), (250, 250, 250)).save(photos / "behind/1.png")
  call(photos, f"--backgrounds={photos}/behind")
  for file in (photos / "out/images").iterdir():
    pixels = np.asarray(Image.open(file)).astype(int)
    assert (pixels.min(axis=2) > 230).mean() > 0.2


def test_no_scene_is_refused(photos):
  with pytest.raises(errors.UsageError, match="--number=0"):
    call(photos, "--number=0")


@pytest.mark.slow
def test_scenes_of_real_photos(shared_data, tmp_path):
  photos = shared_data / "tiny_imagenet"
  compose_scenes.TOOL.call(
    [
      f"--annotations={photos}/val_boxes.csv",
      f"--images={photos}",
      f"--output_dir={tmp_path}/out",
      "--number=20",
    ]
  )
  found = _read(tmp_path / "out")
  assert found.num_images == 20 and len(found.class_names) == 100
  assert not list(tmp_path.glob("*.partial"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
