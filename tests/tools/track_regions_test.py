"""From films to tracks to a batch of training, by the command line."""

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


@pytest.fixture(name="films", scope="module")
def _films(tmp_path_factory):
  """A film in which a textured square moves, and a file that is none."""
  folder = tmp_path_factory.mktemp("films")
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
  (folder / "letter.mp4").write_text("Dear")
  return folder


def call(films, folder, *words):
  track_regions.TOOL.call(
    [f"--videos={films}", f"--output_dir={folder}", "--processes=1", *words]
  )


def test_films_become_tracks_that_can_be_learned_from(films, tmp_path, capsys):
  call(films, tmp_path / "a", "--preview=1", "--matcher=optimal", "--flow")
  said = capsys.readouterr().out
  assert "failed: letter.mp4" in said
  assert "region_tracks_folder.gin" in said
  assert {path.name for path in (tmp_path / "a").iterdir()} == {
    "settings.json",
    "shards",
    "videos",
    "tracks.csv",
    "summary.json",
    "previews",
  }
  summary = json.loads((tmp_path / "a" / "summary.json").read_text())
  assert summary["tracks"] > 0
  assert summary["settings"]["matcher"] == "optimal"
  assert summary["settings"]["flow_prior"] is True
  assert summary["settings"]["features"] == "histograms"
  records = region_tracks.region_tracks(source=str(tmp_path / "a"), seconds=0.5)
  assert records.num_examples > 0
  # The same command again has nothing to do but what failed.
  call(films, tmp_path / "a", "--matcher=optimal", "--flow")
  assert "1 of 2 videos are done already" in capsys.readouterr().out


def test_an_encoder_follows_regions_too(films, tmp_path):
  path = _export(tmp_path / "encoder")
  call(films, tmp_path / "a", f"--encoder={path}", "--endpoint=C5")
  summary = json.loads((tmp_path / "a" / "summary.json").read_text())
  assert summary["settings"]["features"].startswith("C5 of encoder ")
  assert summary["tracks"] > 0
  # The same encoder elsewhere goes on; another one at the same path does not.
  path.rename(tmp_path / "moved")
  words = [f"--encoder={tmp_path / 'moved'}", "--endpoint=C5"]
  call(films, tmp_path / "a", *words)
  shutil.rmtree(tmp_path / "moved")
  _export(tmp_path / "moved")
  with pytest.raises(errors.UsageError, match="tracks made otherwise"):
    call(films, tmp_path / "a", *words)


def _export(path):
  encoder = resnet.resnet18(width=0.0625, stem="small")
  encoder(np.zeros([1, 32, 32, 3], np.float32))
  saved_model.export_encoder(encoder, None, str(path), provenance={})
  return path


@pytest.mark.parametrize(
  "words, message",
  [
    (["--matcher=best"], "greedy, mutual, optimal"),
    (["--reader=vlc"], "auto, pyav, tfio"),
    (["--encoder=nowhere"], "nowhere"),
    (["--rate=0"], "rate=0.0: expected at least"),
    (["--runner=Walker"], "--runner=Walker"),
    (["--", "--flnk_master=here"], "no option of Beam's"),
  ],
)
def test_bad_input_is_refused_before_anything_is_written(
  films, tmp_path, words, message
):
  with pytest.raises(errors.UsageError, match=message):
    call(films, tmp_path / "a", *words)
  assert not (tmp_path / "a").exists()


def test_nothing_but_what_cannot_be_decoded_is_an_error(tmp_path):
  (tmp_path / "in").mkdir()
  (tmp_path / "in" / "letter.mp4").write_text("Dear")
  with pytest.raises(errors.UsageError, match="summary.json"):
    call(tmp_path / "in", tmp_path / "a")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
