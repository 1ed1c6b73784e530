import csv
import io
import subprocess
import sys

import av
import numpy as np
import pytest

from tf_ssl.rendering import categories, video_files, videos, workers

_WORLD = {"seed": 0, "num_frames": 7, "image_size": (48, 64), "fps": 8.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  made = tmp_path_factory.mktemp("videos")
  (made / "boxes").mkdir()
  assert len(list(video_files.write(made, 12, index=3, **_WORLD))) == 7
  return made


@pytest.fixture(scope="module")
def rendered():
  return videos.render_video(0, 3, 7, image_size=(48, 64), fps=8.0)


def _decode(file):
  with av.open(file) as container:
    stream = container.streams.video[0]
    frames = [
      frame.to_ndarray(format="rgb24") for frame in container.decode(stream)
    ]
    return np.stack(frames), stream.average_rate, stream.codec_context.name


def _assert_close(frames, expected):
  apart = np.float32(frames) - expected
  bright = np.abs(apart @ np.float32([0.299, 0.587, 0.114]))
  assert bright.mean(axis=(1, 2)).max() < 4
  # Colors have half the resolution in a file.
  assert np.abs(apart).mean(axis=(1, 2, 3)).max() < 12


def test_a_file_holds_all_frames_at_their_rate(folder, rendered):
  frames, rate, codec = _decode(str(folder / "000012.mp4"))
  assert frames.shape == rendered.frames.shape
  assert rate == 8 and codec == "h264"
  _assert_close(frames, rendered.frames)


def test_without_libx264_it_is_mpeg4(rendered, monkeypatch):
  monkeypatch.setattr(video_files, "_ENCODERS", video_files._ENCODERS[1:])
  file = io.BytesIO()
  assert len(list(video_files.encode(file, rendered.frames, 12.5))) == 7
  file.seek(0)
  frames, rate, codec = _decode(file)
  assert codec == "mpeg4" and float(rate) == 12.5
  _assert_close(frames, rendered.frames)


def test_the_tracks_are_those_of_the_rendering(folder, rendered):
  with open(folder / "boxes/000012.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert tuple(rows[0]) == video_files.COLUMNS
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


def test_several_processes_write_what_one_would(folder, tmp_path, capsys):
  (tmp_path / "boxes").mkdir()
  workers.render_videos(tmp_path, {12: 3, 13: 4}, processes=2, **_WORLD)
  for name in ("000012.mp4", "boxes/000012.csv"):
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
  assert (tmp_path / "000013.mp4").exists()
  assert "14/14" in capsys.readouterr().err


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_cannot_be_written_is_an_os_error(tmp_path, processes):
  with pytest.raises(OSError, match="00000[12]"):
    workers.render_videos(
      tmp_path / "no", {1: 1, 2: 2}, processes=processes, **_WORLD
    )


def test_pyav_is_imported_only_when_a_video_is_written():
  program = (
    "import sys; from tf_ssl.rendering import synthetic; "
    "sys.exit('av' in sys.modules)"
  )
  environment = {"PYTHONPATH": ":".join(sys.path)}
  subprocess.run([sys.executable, "-c", program], check=True, env=environment)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
