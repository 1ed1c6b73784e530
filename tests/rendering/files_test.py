"""Rendered stills, scenes and videos as files."""

import csv
import io
import json
import subprocess
import sys

import av
import cv2
import numpy as np
import pytest
from pycocotools import coco

from tf_ssl.rendering import categories, factors, files, stills, videos

SIZE = (48, 64)
VIDEO = {"seed": 0, "num_frames": 7, "image_size": SIZE, "fps": 8.0}


@pytest.fixture(name="video", scope="module")
def fixture_video(tmp_path_factory):
  folder = tmp_path_factory.mktemp("videos")
  (folder / "boxes").mkdir()
  assert len(list(files.write_video(folder, 12, 3, **VIDEO))) == 7
  return folder


@pytest.fixture(name="rendered", scope="module")
def fixture_rendered():
  return videos.render_video(0, 3, 7, image_size=SIZE, fps=8.0)


@pytest.fixture(name="scenes", scope="module")
def fixture_scenes(tmp_path_factory):
  folder = tmp_path_factory.mktemp("scenes")
  for name in ("images", "masks", "boxes"):
    (folder / name).mkdir()
  for number in range(3):
    progress = files.write_scene(
      folder, number, number, seed=0, image_size=SIZE
    )
    assert len(list(progress)) == 1
  files.write_annotations(folder, range(3), SIZE)
  return folder


def decode(file):
  with av.open(file) as container:
    stream = container.streams.video[0]
    frames = [
      frame.to_ndarray(format="rgb24") for frame in container.decode(stream)
    ]
    return np.stack(frames), stream.average_rate, stream.codec_context.name


def assert_close(frames, expected):
  difference = np.float32(frames) - expected
  brightness = np.abs(difference @ np.float32([0.299, 0.587, 0.114]))
  assert brightness.mean(axis=(1, 2)).max() < 4
  # Color has half the resolution in the file.
  assert np.abs(difference).mean(axis=(1, 2, 3)).max() < 12


def test_a_still_is_a_lossless_png(tmp_path):
  shown = factors.random_factors(3, 5)
  progress = files.write_still(tmp_path, "a.png", shown, seed=3, image_size=16)
  assert len(list(progress)) == 1
  np.testing.assert_array_equal(
    cv2.imread(str(tmp_path / "a.png"))[..., ::-1],
    stills.render(shown, image_size=16, seed=3),
  )


def test_a_video_file_holds_all_frames_at_their_rate(video, rendered):
  frames, rate, codec = decode(str(video / "000012.mp4"))
  assert frames.shape == rendered.frames.shape
  assert rate == 8 and codec == "h264"
  assert_close(frames, rendered.frames)


def test_without_libx264_a_video_is_mpeg4(rendered, monkeypatch):
  monkeypatch.setattr(files, "_ENCODERS", files._ENCODERS[1:])
  file = io.BytesIO()
  assert len(list(files.encode(file, rendered.frames, 12.5))) == 7
  file.seek(0)
  frames, rate, codec = decode(file)
  assert codec == "mpeg4" and float(rate) == 12.5
  assert_close(frames, rendered.frames)


def test_the_tracks_are_those_of_the_rendering(video, rendered):
  with open(video / "boxes/000012.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert tuple(rows[0]) == files.TRACK_COLUMNS
  sizes = np.stack(
    [
      (rendered.masks == number + 1).sum(axis=(1, 2))
      for number in range(len(rendered.categories))
    ],
    axis=1,
  )
  assert len(rows) == (sizes >= 8).sum()
  for row in rows:
    time, number = int(row["frame"]), int(row["track"]) - 1
    box = [int(row[name]) for name in ("xmin", "ymin", "xmax", "ymax")]
    assert box == rendered.boxes[time, number].tolist()
    category = categories.CATEGORIES[rendered.categories[number]]
    assert row["category"] == category
    assert float(row["visible_fraction"]) == pytest.approx(
      rendered.visible_fraction[time, number], abs=1e-4
    )


def test_a_scene_is_the_first_frame_of_its_video(scenes):
  for number in range(3):
    video = videos.render_video(0, number, 1, image_size=SIZE)
    image, mask = (
      cv2.imread(str(scenes / kind / f"{number:06d}.png"), cv2.IMREAD_UNCHANGED)
      for kind in ("images", "masks")
    )
    np.testing.assert_array_equal(image[..., ::-1], video.frames[0])
    classes = np.concatenate([[0], 1 + video.categories])
    np.testing.assert_array_equal(mask, classes[video.masks[0]])


def test_the_boxes_of_scenes_are_in_cocos_format(scenes, capsys):
  found = coco.COCO(str(scenes / "annotations.json"))
  capsys.readouterr()
  assert [c["name"] for c in found.loadCats(found.getCatIds())] == list(
    categories.CATEGORIES
  )
  for number in range(3):
    video = videos.render_video(0, number, 1, image_size=SIZE)
    seen = [
      n
      for n in range(len(video.categories))
      if (video.masks[0] == n + 1).sum() >= files.MIN_VISIBLE_PIXELS
    ]
    image = found.imgs[number]
    assert image["file_name"] == f"{number:06d}.png"
    assert (image["height"], image["width"]) == SIZE
    rows = found.loadAnns(found.getAnnIds(imgIds=number))
    assert [row["category_id"] for row in rows] == [
      1 + video.categories[n] for n in seen
    ]
    for row, n in zip(rows, seen, strict=True):
      xmin, ymin, width, height = row["bbox"]
      box = [xmin, ymin, xmin + width, ymin + height]
      np.testing.assert_array_equal(box, video.boxes[0][n])
      assert row["area"] == width * height and row["iscrowd"] == 0
    with open(scenes / f"boxes/{number:06d}.csv", newline="") as file:
      assert len(list(csv.DictReader(file))) == len(rows)


def test_classes_have_names(scenes):
  names = json.loads((scenes / "classes.json").read_text())
  assert names["0"] == "no object"
  assert [names[str(1 + i)] for i in range(10)] == list(categories.CATEGORIES)


def test_pyav_is_imported_only_when_a_video_is_written():
  program = (
    "import sys; from tf_ssl.rendering import synthetic; "
    "sys.exit('av' in sys.modules)"
  )
  environment = {"PYTHONPATH": ":".join(sys.path)}
  subprocess.run([sys.executable, "-c", program], check=True, env=environment)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
