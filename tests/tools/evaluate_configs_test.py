"""gin_configs/evaluate: kNN and the linear probes, from folders to reports."""

import json
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tools import evaluate

# What makes each of them small.
_SMALL = {
  "knn_folder": ["K=(3, 1)"],
  "linear_fast_folder": ["INVERSE_PENALTIES=(0.01, 0.1)", "SEEDS=(0,)"],
  "linear_folder": [
    "LEARNING_RATES=(0.000001, 0.00001)",
    "EPOCHS=1.0",
    "BATCH_SIZE=4",
  ],
}


_PROTOCOL = {  # what the numbers depend on
  "knn_folder": {"k", "temperature", "crop"},
  "linear_folder": {
    "learning_rates",
    "chosen_by",
    "epochs",
    "decay",
    "batch_size",
    "training_crop",
    "crop",
    "seeds",
  },
  "linear_fast_folder": {"inverse_penalties", "chosen_by", "crop", "seeds"},
}


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()
  gin.config._IMPORTS.clear()


@pytest.fixture(name="images", scope="module")
def fixture_images(tmp_path_factory):
  """Two classes, reddish and bluish, six images each and two to test on."""
  folder = tmp_path_factory.mktemp("images")
  rng = np.random.default_rng(0)
  for part, count in (("train", 6), ("test", 2)):
    for name, color in (("blue", [40, 40, 200]), ("red", [200, 40, 40])):
      (folder / part / name).mkdir(parents=True)
      for i in range(count):
        pixels = rng.normal(color, 20, [8, 8, 3]).clip(0, 255)
        path = folder / part / name / f"{i}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
  return folder


def _arguments(config, images, out, model="pixels", *more):
  return [
    f"--gin_file=gin_configs/evaluate/{config}.gin",
    f'--gin_bindings=TRAIN_IMAGES="{images}/train"',
    f'--gin_bindings=TEST_IMAGES="{images}/test"',
    "--gin_bindings=IMAGE_SIZE=8",
    *(f"--gin_bindings={small}" for small in _SMALL[config]),
    f"--model={model}",
    f"--output_dir={out}",
    *more,
  ]


@pytest.mark.parametrize("config", _SMALL)
def test_folders_are_measured(config, images, tmp_path):
  evaluate.TOOL.call(_arguments(config, images, tmp_path))
  report = json.loads((tmp_path / "report.json").read_text())
  assert report["results"]["top1_percent"] == 100.0
  assert report["settings"]["image_size"] == 8
  assert _PROTOCOL[config] <= report["settings"].keys()
  page = (tmp_path / "report.md").read_text()
  for name in _PROTOCOL[config]:
    assert f"| {name.replace('_', ' ')} | " in page
  assert report["data"]["train"]["count"] == 12
  for found in report["data"].values():
    assert {len(found["sha256"]), len(found["labels_sha256"])} == {64}
  assert report["data"]["test"]["classes"] == 2
  assert report["pictures"] == ["confusion.png"]
  assert (tmp_path / "confusion.png").is_file()
  assert "| top1 | 100.00 % |" in page


def _fails(arguments, capsys):
  with pytest.raises(SystemExit) as end:
    evaluate.TOOL.run(arguments)
  assert end.value.code == 2
  return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("config", _SMALL)
def test_the_images_must_be_named(config, tmp_path, capsys):
  arguments = [f"--gin_file=gin_configs/evaluate/{config}.gin"]
  arguments += ["--model=pixels", f"--output_dir={tmp_path}/out"]
  said = _fails(arguments, capsys)
  assert "must be set" in said and "_IMAGES" in said
  assert not (tmp_path / "out").exists()


def test_images_that_are_not_there_bring_up_the_macro(images, tmp_path, capsys):
  arguments = _arguments("knn_folder", images, tmp_path / "out")
  arguments.append(f'--gin_bindings=TEST_IMAGES="{tmp_path}/none"')
  said = _fails(arguments, capsys)
  assert "none'" in said and "TEST_IMAGES" in said


def test_a_saved_model_without_features_lists_its_signatures(
  images, tmp_path, capsys
):
  class Words(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def count(self, words):
      return {"length": tf.strings.length(words)}

  words = Words()
  path = str(tmp_path / "words")
  tf.saved_model.save(words, path, signatures={"count": words.count})
  out = tmp_path / "out"
  said = _fails(_arguments("knn_folder", images, out, f"m={path}"), capsys)
  assert "no signature 'count' that takes one input, images" in said
  assert "it has count (string(None,)) -> length (None,)" in said
  assert not out.exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
