"""Measured invariances in the model cards of exported encoders."""

import sys

import pytest

from tests.invariance import conftest as measurements
from tf_ssl import errors
from tf_ssl.invariance import model_cards


@pytest.fixture(name="folder")
def fixture_folder(tmp_path):
  """A folder that looks like an exported encoder, with a card."""
  folder = tmp_path / "saved_model"
  (folder / "variables").mkdir(parents=True)
  for name in ("saved_model.pb", "variables/variables.index"):
    (folder / name).write_text("x")
  (folder / "provenance.json").write_text("{}")
  (folder / "README.md").write_text("# Mine\n")
  return folder


@pytest.fixture(name="results")
def fixture_results(measured, folder):
  """Results of an exported encoder and of another model."""
  green, noise = measured.results.models
  green = green._replace(path=f"{folder}/")
  return measured.results._replace(models=[green, noise])


def test_the_card_of_an_exported_encoder_gets_its_scores(
  results, folder, measured
):
  [line] = model_cards.update(results, write=True)
  assert line == f"model card: {folder}/README.md"
  text = (folder / "README.md").read_text()
  assert text.startswith("# Mine\n")
  rows = [row for row in text.splitlines() if " | rendered | 5 | " in row]
  assert len(rows) == len(measurements.KINDS)
  found = measured.score("position", "green")
  interval = found.intervals[5]
  assert (
    f"| position | rendered | 5 | {found.score.scores[5]:.1f} | "
    f"{interval.low:.1f} to {interval.high:.1f} | "
    f"{found.chance.scores[5]:.1f} |"
  ) in rows
  assert "360 images of 16 px" in text and "95%" in text
  assert str(folder) not in text


def test_nothing_is_written_unasked(results, folder):
  before = sorted(folder.rglob("*"))
  [line] = model_cards.update(results, write=False)
  assert "model card of green: --update_cards" in line
  assert (folder / "README.md").read_text() == "# Mine\n"
  assert sorted(folder.rglob("*")) == before


def test_layers_of_one_encoder_share_its_card(results, folder, measured):
  green, noise = results.models
  both = [green._replace(layer="C2", layer_of="mine")]
  both.append(noise._replace(path=green.path, layer="C5", layer_of="mine"))
  layered = results._replace(models=both)
  [line] = model_cards.update(layered, write=False)
  assert "of mine:" in line
  model_cards.update(layered, write=True)
  text = (folder / "README.md").read_text()
  assert "| C2 | position | rendered |" in text
  assert "| C5 | position | rendered |" in text


def test_models_from_elsewhere_have_no_card(measured):
  assert model_cards.update(measured.results, write=False) == []
  assert model_cards.update(measured.results, write=True) == []
  with pytest.raises(errors.UsageError, match="provenance.json"):
    model_cards.check(measured.models())


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
