"""Tests of tf_ssl.training.retracking."""

import json
import sys

import av
import numpy as np
import pytest

from tests.encoders import shallow_reference
from tf_ssl import errors
from tf_ssl.export import saved_model
from tf_ssl.training import retracking
from tf_ssl.video.mining import mining


def test_tracks_are_mined_once_and_paired(tmp_path):
  (tmp_path / "films").mkdir()
  with av.open(str(tmp_path / "films" / "square.mp4"), "w") as output:
    stream = output.add_stream("libx264", rate=8)
    stream.width = stream.height = 96
    for number in range(16):
      image = np.full([96, 96, 3], 110, np.uint8)
      image[30:60, 8 + 2 * number : 38 + 2 * number] = (210, 40, 30)
      output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    output.mux(stream.encode(None))
  encoder = shallow_reference.resnet10()
  encoder(np.zeros([1, 32, 32, 3], np.float32))
  path = str(tmp_path / "encoder")
  saved_model.export_encoder(encoder, None, path, provenance={})
  arguments = {
    "videos": str(tmp_path / "films"),
    "encoder": path,
    "tracks": str(tmp_path / "tracks"),
    "settings": mining.MiningSettings(width=96),
  }
  records = retracking.retracked(**arguments)
  assert records.num_examples > 0
  assert records.examples.images.shape[1] == 4
  settings = json.loads((tmp_path / "tracks" / "settings.json").read_text())
  assert settings["features"].startswith("C4 of encoder ")
  [entry] = (tmp_path / "tracks" / "videos").glob("*.json")
  when = entry.stat().st_mtime_ns
  again = retracking.retracked(**arguments)
  assert again.num_examples == records.num_examples
  assert entry.stat().st_mtime_ns == when


def test_a_missing_encoder_is_an_error_before_any_work(tmp_path):
  with pytest.raises(errors.UsageError, match="nowhere"):
    retracking.retracked(
      videos=str(tmp_path), encoder="nowhere", tracks=str(tmp_path / "tracks")
    )
  assert not (tmp_path / "tracks").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
