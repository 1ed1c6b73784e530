"""The model card of an exported encoder."""

import json
import os
import re
import sys

import numpy as np
import pytest
import yaml

from tf_ssl import errors
from tf_ssl.export import model_card

_CONFIG = """
from __gin__ import dynamic_registration
from tf_ssl.methods import moco

# Macros:
# ==============================================================================
HELD_OUT_IMAGES = '/home/alice/secret/flowers/test'
IMAGES = 'tfds:oxford_flowers102:train'

# Parameters for moco.build_moco:
# ==============================================================================
moco.build_moco.encoder = @resnet.resnet18
settings.Pretraining.batch_size = 64
settings.Pretraining.images = %IMAGES
settings.Pretraining.method = \\
    @moco.build_moco
labeled.LabeledImages.test = %HELD_OUT_IMAGES
"""
_PROVENANCE = {
  "run": {
    "command": "python -m tools.train --model_dir=/home/alice/runs/a",
    "data": {"count": 1020, "sha256": "ab12"},
    "seed": 3,
    "step": 500,
  },
  "operative_config": _CONFIG,
  "metrics": {
    "knn_accuracy": {"value": 0.41256789, "step": 500},
    "knn_k": {"value": 20, "step": 500},
    "knn_temperature": {"value": 0.1, "step": 500},
    "linear_accuracy": {"value": 0.5, "step": 500},
    "loss": {"value": 2.0, "step": 500},
    "invariance_light_color_top10": {"value": 61.26, "step": 400},
  },
  "checkpoint": "/home/alice/runs/a/checkpoints/step-500",
  "signatures": {
    "features": {"outputs": {"features": [None, 512]}},
    "features_uint8": {"outputs": {"features": [None, 512]}},
  },
}


def _parts(card):
  """The front matter, parsed, and the Markdown below it."""
  empty, front, body = re.split(r"^---\n", card, maxsplit=2, flags=re.M)
  assert not empty
  return yaml.safe_load(front), body


def test_the_front_matter_says_what_the_hub_asks_for():
  front, _ = _parts(model_card.card(_PROVENANCE, license="cc-by-4.0"))
  assert front == {
    "library_name": "tf-keras",
    "license": "cc-by-4.0",
    "pipeline_tag": "image-feature-extraction",
    "tags": [
      "tf_ssl",
      "image-feature-extraction",
      "saved-model",
      "self-supervised-learning",
      "moco",
      "resnet18",
    ],
    "datasets": ["oxford_flowers102"],
    "metrics": ["accuracy"],
    "model-index": [
      {
        "name": "tf_ssl moco resnet18",
        "results": [
          {
            "task": {
              "type": "image-classification",
              "name": "Classification with frozen features",
            },
            "dataset": {"type": "test", "name": "test"},
            "metrics": [
              {
                "type": "accuracy",
                "name": "kNN accuracy (k=20, T=0.1)",
                "value": 0.412568,
              },
              {
                "type": "accuracy",
                "name": "linear probe accuracy",
                "value": 0.5,
              },
            ],
          }
        ],
      }
    ],
  }


def test_the_text_says_how_to_use_it_and_what_was_measured():
  _, body = _parts(model_card.card(_PROVENANCE))
  assert "-> [B, 512]" in body
  assert "| number of images | 1020 |" in body
  assert "| kNN accuracy (k=20, T=0.1), test | 41.3 % |" in body
  assert "| light color | 10 | 61.3 | – | – |" in body
  assert "embedding" not in body  # There is no such signature.


def test_the_card_has_no_paths_of_the_machine_that_trained():
  assert "alice" not in model_card.card(_PROVENANCE)


def test_an_empty_provenance_gives_a_card_without_results():
  front, body = _parts(model_card.card({}))
  assert set(front) == {"library_name", "license", "pipeline_tag", "tags"}
  assert "## Results" not in body and "## Invariances" not in body
  assert "self-supervised-learning" not in front["tags"]


def test_imported_weights_are_named():
  weights = {"file": "moco.pth.tar", "kind": "MoCo", "sha256": "12ef"}
  _, body = _parts(model_card.card({"weights": weights}))
  assert "weights of another project" in body
  assert "| project of the weights | MoCo |" in body
  assert "| weights | moco.pth.tar |" in body


def test_a_supervised_encoder_is_not_called_self_supervised():
  config = "settings.Pretraining.method = @supervised.build_supervised\n"
  front, _ = _parts(model_card.card({"operative_config": config}))
  assert "supervised" in front["tags"]
  assert "self-supervised-learning" not in front["tags"]


def test_without_a_license_the_card_asks_for_one():
  front, body = _parts(model_card.card({}))
  assert front["license"] == "unknown" and "## License" in body
  front, body = _parts(model_card.card({}, license="other"))
  assert front["license"] == "other" and "## License" not in body


@pytest.mark.parametrize("license", ["", "MIT", "mit\nx: y", "my license", "-"])
def test_a_license_that_is_no_identifier_is_refused(license):
  with pytest.raises(errors.UsageError, match="license="):
    model_card.check_license(license)


_HOSTILE = [
  "a: b\n---\nlicense: mit",
  "\n---\n# Injected\n",
  "--- x",
  "'\" } ] # & *a !!python/object:os.system",
  "<script>alert(1)</script> [x](http://x) `code` | cell",
  "no",
  "007",
  "é 🦊 \x00 \x1b[31m \u2028 \udcff \ud800",
  "x" * 5000,
]


@pytest.mark.parametrize("text", _HOSTILE)
def test_text_of_the_data_stays_text(text, tmp_path):
  config = (
    f"settings.Pretraining.images = {'tfds:' + text!r}\n"
    f"labeled.LabeledImages.test = {text!r}\n"
    f"settings.Pretraining.method = @{text}\n"
  )
  hostile = {
    **_PROVENANCE,
    "operative_config": config,
    "run": {"precision": text, "seed": text, "data": {"count": text}},
    "weights": {"file": text, "kind": text, "sha256": text},
  }
  hostile["metrics"] = {
    **_PROVENANCE["metrics"],
    f"invariance_{text}_top10": {"value": 5.0},
  }
  card = model_card.card(hostile)
  (tmp_path / "README.md").write_text(card, encoding="utf-8")
  front, body = _parts(card)
  assert front["license"] == "unknown"
  [result] = front["model-index"][0]["results"]
  assert isinstance(result["dataset"]["name"], str)
  assert all(isinstance(name, str) for name in front.get("datasets", []))
  headings = re.findall(r"^#+ .*", body, re.M)
  assert "# Injected" not in headings and len(headings) <= 6
  assert "<script>" not in body.replace("\\<script>", "")


@pytest.mark.parametrize(
  "odd", [None, 5, -1.5, "text", [], [1, [2]], {"a": {"b": [None]}}, True]
)
@pytest.mark.parametrize("entry", [*_PROVENANCE, "weights", "all"])
def test_any_json_gives_a_card(entry, odd):
  changed = {**_PROVENANCE, entry: odd}
  if entry == "all":
    changed = json.loads(
      json.dumps(_PROVENANCE), object_hook=lambda one: dict.fromkeys(one, odd)
    )
    changed = changed if isinstance(changed, dict) else {}
  front, _ = _parts(model_card.card(changed))
  assert front["library_name"] == "tf-keras"


def test_numbers_that_are_not_finite_are_left_out():
  metrics = {"knn_accuracy": {"value": float("nan")}}
  metrics["linear_accuracy"] = {"value": 10**400}
  front, body = _parts(model_card.card({"metrics": metrics}))
  assert "model-index" not in front and "## Results" not in body


_ROWS = [
  model_card.Invariance("viewpoint", 10, 71.24, 69.9, 72.5, 12.0, "rendered"),
  model_card.Invariance("scale", 10, 50.0, None, None, 11.0, "own | <b>"),
]


def test_measured_invariances_replace_those_of_training(tmp_path):
  (tmp_path / "README.md").write_text(model_card.card(_PROVENANCE))
  path = model_card.add_invariances(str(tmp_path), _ROWS, "Measured twice.")
  assert path == str(tmp_path / "README.md")
  text = (tmp_path / "README.md").read_text()
  assert "| viewpoint | rendered | 10 | 71.2 | 69.9 to 72.5 | 12.0 |" in text
  assert r"| scale | own \| \<b> | 10 | 50.0 | – | 11.0 |" in text
  assert "light color" not in text and "Measured twice." in text
  assert text.count("## Invariances") == 1
  assert os.listdir(tmp_path) == ["README.md"]


def test_what_the_user_wrote_into_the_card_stays(tmp_path):
  card = model_card.card(_PROVENANCE).replace(
    "license: unknown", "license: mit"
  )
  card = card.replace("## Use", "My own words: \\1 ünï.\r\n\n## Use")
  (tmp_path / "README.md").write_bytes(card.encode() + b"\nThe end.\n")
  for score in (10.0, 20.0):
    row = model_card.Invariance("scale", 10, score, source=r"\g<0>")
    model_card.add_invariances(str(tmp_path), [row], "")
  text = (tmp_path / "README.md").read_bytes().decode()
  front, body = _parts(text)
  assert front["license"] == "mit"
  assert "My own words: \\1 ünï.\r\n" in body and body.endswith("The end.\n")
  assert "| 20.0 |" in body and "| 10.0 |" not in body


def test_a_card_without_a_place_for_invariances_gets_one_at_its_end(tmp_path):
  (tmp_path / "README.md").write_text("# Mine\n")
  model_card.add_invariances(str(tmp_path), _ROWS, "")
  text = (tmp_path / "README.md").read_text()
  assert text.startswith("# Mine\n\n") and "71.2" in text


@pytest.mark.parametrize("content", [None, "{", json.dumps(_PROVENANCE)])
def test_a_lost_card_is_written_again(tmp_path, content):
  if content is not None:
    (tmp_path / "provenance.json").write_text(content)
  model_card.add_invariances(str(tmp_path), _ROWS, "")
  front, body = _parts((tmp_path / "README.md").read_text())
  assert front["library_name"] == "tf-keras" and "71.2" in body
  assert ("moco" in front["tags"]) == (content == json.dumps(_PROVENANCE))


def test_a_card_that_is_not_text_is_named_and_kept(tmp_path):
  (tmp_path / "README.md").write_bytes(b"\xff\xfe\x00")
  with pytest.raises(errors.UsageError, match="README.md cannot be read"):
    model_card.add_invariances(str(tmp_path), _ROWS, "")
  assert (tmp_path / "README.md").read_bytes() == b"\xff\xfe\x00"


def test_several_layers_have_a_column():
  rng = np.random.default_rng(0)
  rows = [
    model_card.Invariance("scale", 10, rng.uniform(0, 100), layer=layer)
    for layer in ("C2", "C<5>")
  ]
  text = model_card._section(rows, "")
  assert "| layer | factor | K |" in text
  assert "| C2 | scale | 10 |" in text and r"| C\<5> | scale | 10 |" in text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
