"""Tests of tf_ssl.models.provenance."""

import json
import sys

import pytest

from tf_ssl.models import provenance

_RUN = {
  "command": "tools.train --x",
  "seed": 3,
  "step": 900,
  "data": {"count": 12, "sha256": "0123456789abcdef"},
  "versions": {"python": "3.11"},
}


def _saved_model(folder, provenance):
  folder.mkdir()
  (folder / "saved_model.pb").write_bytes(b"")
  (folder / "provenance.json").write_text(provenance)
  return str(folder)


def test_an_exported_encoder_names_its_run(tmp_path):
  path = _saved_model(tmp_path / "a", json.dumps({"run": _RUN}))
  found = provenance.read(path)
  assert found["content"] == {"run": _RUN}
  assert provenance.facts(found) == {
    "provenance": f"{tmp_path}/a/provenance.json",
    "command": "tools.train --x",
    "seed": 3,
    "step": 900,
    "trained on": "12 images, digest 0123456789ab",
  }


def test_imported_weights_name_their_file(tmp_path):
  weights = {"kind": "MoCo", "file": "moco.pth", "sha256": "0"}
  path = _saved_model(tmp_path / "a", json.dumps({"weights": weights}))
  facts = provenance.facts(provenance.read(path))
  assert facts["weights"] == "MoCo, moco.pth"


@pytest.mark.parametrize("path", ["", "checkpoints", "checkpoints/step-900"])
def test_a_run_and_its_checkpoints_have_run_json(tmp_path, path):
  (tmp_path / "checkpoints").mkdir()
  (tmp_path / "checkpoints" / "step-900.index").write_bytes(b"")
  (tmp_path / "run.json").write_text(json.dumps(_RUN))
  found = provenance.read(str(tmp_path / path))
  assert found["content"] == _RUN
  assert provenance.facts(found)["seed"] == 3


def test_a_model_file_has_no_provenance_even_in_a_run_folder(tmp_path):
  (tmp_path / "run.json").write_text(json.dumps(_RUN))
  (tmp_path / "model.keras").write_bytes(b"")
  assert provenance.read(str(tmp_path / "model.keras")) is None
  assert provenance.read("random:resnet18") is None


@pytest.mark.parametrize("text", ["{", "\udcff", "[1]", '{"run": 3}', "null"])
def test_a_damaged_file_is_reported_not_raised(tmp_path, text):
  folder = tmp_path / "a"
  path = _saved_model(folder, "")
  (folder / "provenance.json").write_bytes(
    text.encode("utf-8", "surrogateescape")
  )
  found = provenance.read(path)
  facts = provenance.facts(found)
  assert str(folder / "provenance.json") in facts["provenance"]
  assert set(found) in ({"file", "content"}, {"file", "problem"})
  assert ("problem" in found) == (text in ("{", "\udcff"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
