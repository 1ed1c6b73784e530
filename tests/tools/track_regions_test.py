"""Tests of tools.track_regions, from videos to training examples."""

import json
import shutil
import sys

import av
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.export import saved_model
from tf_ssl.input_pipeline import region_tracks
from tools import track_regions


@pytest.fixture(name="videos", scope="module")
def _videos(tmp_path_factory):
  """A video of a moving square, and a file that is not a video."""
  folder = tmp_path_factory.mktemp("videos")
  rng = np.random.default_rng(0)
  ground = np.kron(rng.integers(90, 130, [24, 24, 3]), np.ones([4, 4, 1]))
  with av.open(str(folder / "square.mp4"), "w") as output:
    stream = output.add_stream("libx264", rate=8)
    stream.width = stream.height = 96
    for number in range(24):
      image = ground.astype(np.uint8)
      image[30:60, 8 + 2 * number : 38 + 2 * number] = (210, 40, 30)
      output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    output.mux(stream.encode(None))
  (folder / "text.mp4").write_text("Dear")
  return folder


def call(videos, folder, *words):
  track_regions.TOOL.call(
    [f"--videos={videos}", f"--output_dir={folder}", "--processes=1", *words]
  )


def test_videos_become_tracks_for_training(videos, tmp_path, capsys):
  call(videos, tmp_path / "a", "--preview=1", "--matcher=optimal", "--flow")
  said = capsys.readouterr().out
  assert "failed: text.mp4" in said
  assert "region_tracks_folder.gin" in said
  assert {path.name for path in (tmp_path / "a").iterdir()} == {
    "settings.json",
    "shards",
    "videos",
    "tracks.csv",
    "summary.json",
    "report.html",
    "previews",
  }
  summary = json.loads((tmp_path / "a" / "summary.json").read_text())
  assert summary["tracks"] > 0
  assert summary["settings"]["matcher"] == "optimal"
  assert summary["settings"]["flow_prior"] is True
  assert summary["settings"]["features"] == "histograms"
  records = region_tracks.region_tracks(source=str(tmp_path / "a"), seconds=0.5)
  assert records.num_examples > 0
  # The same command retries only the failed video.
  call(videos, tmp_path / "a", "--matcher=optimal", "--flow")
  assert "1 of 2 videos are done" in capsys.readouterr().out


def test_regions_can_be_described_by_an_encoder(videos, tmp_path):
  path = _export(tmp_path / "encoder")
  call(videos, tmp_path / "a", f"--encoder={path}", "--endpoint=C5")
  summary = json.loads((tmp_path / "a" / "summary.json").read_text())
  assert summary["settings"]["features"].startswith("C5 of encoder ")
  assert summary["tracks"] > 0
  # A moved encoder resumes the folder; another encoder at its path does not.
  path.rename(tmp_path / "moved")
  words = [f"--encoder={tmp_path / 'moved'}", "--endpoint=C5"]
  call(videos, tmp_path / "a", *words)
  shutil.rmtree(tmp_path / "moved")
  _export(tmp_path / "moved")
  with pytest.raises(errors.UsageError, match="features.*--output_dir"):
    call(videos, tmp_path / "a", *words)


def _export(path):
  encoder = resnet.resnet18(width=0.0625, stem="small")
  encoder(np.zeros([1, 32, 32, 3], np.float32))
  saved_model.export_encoder(encoder, None, str(path), provenance={})
  return path


@pytest.mark.parametrize(
  "words, message",
  [
    (["--matcher=best"], "chain, greedy, mutual, optimal"),
    (["--flow"], "flow with matcher=chain"),
    (["--min_precision=2"], "min_precision=2: expected 0 to 1"),
    (["--reader=vlc"], "auto, pyav, tfio"),
    (["--encoder=nowhere"], "nowhere"),
    (["--rate=0"], "rate=0.0"),
    (["--runner=Walker"], "--runner=Walker"),
    (["--", "--flnk_master=here"], "'--flnk_master=here'"),
  ],
)
def test_bad_input_is_refused_before_anything_is_written(
  videos, tmp_path, words, message
):
  with pytest.raises(errors.UsageError, match=message):
    call(videos, tmp_path / "a", *words)
  assert not (tmp_path / "a").exists()


def test_a_source_without_decodable_videos_is_an_error(tmp_path):
  (tmp_path / "in").mkdir()
  (tmp_path / "in" / "text.mp4").write_text("Dear")
  with pytest.raises(errors.UsageError, match="summary.json"):
    call(tmp_path / "in", tmp_path / "a")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
