"""benchmarks.search_recipes and its trials, on a tiny folder."""

import csv
import json
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf
import yaml

from benchmarks import (
  recipe_trial,
  search_recipes,
  search_tables,
  search_trials,
)
from tf_ssl import errors
from tools._cli import gin_files

pytestmark = pytest.mark.slow

_CONFIG = "gin_configs/pretrain/moco_v2_cifar10.gin"
_TINY = (
  "IMAGE_SIZE = 8",
  "BATCH_SIZE = 4",
  "QUEUE_SIZE = 8",
  "resnet.ResNet.blocks = (1, 1, 1, 1)",
  "resnet.ResNet.stack = @resnet.basic_stack",
  "resnet.ResNet.width = 0.03125",
  "resnet.ResNet.stem = 'small'",
  "resnet.ResNet.batch_norm = @batch_norm.plain",
  "moco.build_moco.encoder = @resnet.ResNet",
  "heads.MlpHead.hidden_size = 8",
  "labeled.LabeledImages.k = 3",
  "labeled.LabeledImages.linear_probe = False",
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
  """Class folders red/ and blue/ with 10 noisy images of 8 px each."""
  folder = tmp_path_factory.mktemp("images")
  random = np.random.RandomState(0)
  for channel, name in ((0, "red"), (2, "blue")):
    (folder / name).mkdir()
    for i in range(10):
      pixels = random.randint(0, 60, [8, 8, 3])
      pixels[..., channel] += 180
      data = tf.io.encode_png(pixels.astype(np.uint8)).numpy()
      (folder / name / f"{i}.png").write_bytes(data)
  return folder


def _paths(manifest):
  with open(manifest) as stream:
    return {(row["path"], row["label"]) for row in csv.DictReader(stream)}


def test_all_settings_of_the_spaces_fit_their_config(repository):
  spaces = sorted((repository / "benchmarks/spaces").glob("*.yaml"))
  if not spaces:
    pytest.skip("the spaces are no data of the test under Bazel")
  for space in spaces:
    config = f"gin_configs/pretrain/{space.stem}.gin"
    axes = yaml.safe_load(space.read_text())
    for name, values in axes.items():
      for value in values:
        value = value if isinstance(value, dict) else {name: value}
        gin.clear_config()
        gin_files.load(
          [config, *search_trials.gin_files(value)],
          ["IMAGES = 'x'", *search_trials.gin_lines(value)],
        )


def test_a_trial_may_add_a_gin_file(images, tmp_path, write, calls):
  added = {"gin_file": "more.gin", "LEARNING_RATE": 0.2}
  file = write("a.json", json.dumps([added]))
  search_recipes.main(_command(images, file, tmp_path / "out"))
  assert calls[0]["gin_files"] == [_CONFIG]
  assert calls[1]["gin_files"] == [_CONFIG, "more.gin"]
  assert calls[1]["bindings"][-1] == "LEARNING_RATE = 0.2"
  text = (tmp_path / "out" / "results.md").read_text()
  assert "more.gin; LEARNING_RATE = 0.2" in text


def test_the_split_holds_out_a_part_of_each_class_by_name(images, tmp_path):
  kept, held_out = search_recipes.split(str(images), 0.3, tmp_path)
  kept, held_out = _paths(kept), _paths(held_out)
  assert len(kept) == 14 and len(held_out) == 6 and not kept & held_out
  assert [label for _, label in held_out].count("red") == 3
  again = _paths(search_recipes.split(str(images), 0.3, tmp_path)[1])
  assert again == held_out


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.99, 1.0])
def test_a_part_without_images_is_refused(images, tmp_path, fraction):
  with pytest.raises(errors.UsageError, match=str(fraction)):
    search_recipes.split(str(images), fraction, tmp_path)


def test_the_speed_leaves_compilation_out_and_weighs_the_stages():
  # Two stages: 1 s and 3 s a step; the first step of each compiles for 50 s.
  seconds = [50.0, *[1.0] * 14, 50.0, *[3.0] * 14]
  readings = list(enumerate([0.0, *np.cumsum(seconds)]))
  assert recipe_trial.seconds_per_step(readings) == pytest.approx(2.0)


def test_halving_gives_fewer_trials_more_budget():
  budget = search_trials.Budget("cpu", 10.0)
  plan = search_recipes.rounds(9, budget, 3, 0)
  assert [(n, b.seconds) for n, b in plan] == [(9, 10), (3, 30), (1, 90)]
  assert len(search_recipes.rounds(9, budget, 3, 2)) == 2
  assert search_recipes.rounds(9, budget, 0, 0) == [(9, budget)]


@pytest.fixture
def calls(monkeypatch):
  """Replaces training: a quick fake; returns the requests it has got.

  The kNN grows with the learning rate; a learning rate of 0.3 fails.
  """
  requests = []

  def call(folder):
    request = json.loads((folder / "request.json").read_text())
    requests.append(request)
    rate = float(request["bindings"][-1].split(" = ")[1])
    result = {"error": "it broke"}
    if rate != 0.3:
      result = {
        "step_seconds": 0.1,
        "steps": round(request["budget_seconds"] * 10),
        "cpu_seconds": 1.0,
        "wall_seconds": 1.0,
        "images_per_second": 1.0,
        "before": {"knn_accuracy": 0.1},
        "after": {"knn_accuracy": rate, "effective_rank": 1.0},
      }
    (folder / "result.json").write_text(json.dumps(result))

  monkeypatch.setattr(search_recipes, "_call", call)
  return requests


def _command(images, trials, folder, *more):
  return [
    f"--gin_file={_CONFIG}",
    "--gin_bindings=LEARNING_RATE = 0.05",
    f"--images={images}",
    f"--trials={trials}",
    f"--output_dir={folder}",
    "--held_out=0.3",
    "--cpu_seconds=2",
    *more,
  ]


def _rates(requests):
  return [each["bindings"][-1].split(" = ")[1] for each in requests]


def test_a_search_records_all_trials_and_resumes(
  images, tmp_path, write, calls
):
  file = write("a.csv", "LEARNING_RATE\n0.2\n0.3\n")
  folder = tmp_path / "out"
  search_recipes.main(_command(images, file, folder))
  with open(folder / "results.csv") as stream:
    rows = list(csv.DictReader(stream))
  assert [row["trial"] for row in rows] == ["0", "1", "2"]
  assert [row["knn_trained"] for row in rows] == ["0.05", "0.2", ""]
  assert [row["error"] for row in rows] == ["", "", "it broke"]
  assert _rates(calls) == ["0.05", "0.2", "0.3"]
  # A learning rate costs nothing: the speed is measured once.
  assert [each["step_seconds"] for each in calls] == [None, 0.1, 0.1]

  search_recipes.main(_command(images, file, folder))
  assert _rates(calls[3:]) == ["0.3"]  # Only what failed runs again.

  file = write("a.csv", "LEARNING_RATE\n0.1\n")
  with pytest.raises(errors.UsageError, match="other settings"):
    search_recipes.main(_command(images, file, folder))


def test_halving_trains_only_the_best_for_longer(
  images, tmp_path, write, calls
):
  file = write("a.csv", "LEARNING_RATE\n0.2\n0.1\n0.3\n")
  command = _command(images, file, tmp_path / "out", "--halving=2", "--seeds=2")
  search_recipes.main(command)
  budgets = [each["budget_seconds"] for each in calls]
  assert budgets == [2.0] * 8 + [4.0] * 4 + [8.0] * 2
  assert sorted(_rates(calls[8:])) == ["0.1"] * 2 + ["0.2"] * 4
  assert {each["seed"] for each in calls[12:]} == {0, 1}


def test_a_search_in_which_all_trials_fail_names_the_reason(
  images, tmp_path, write, calls
):
  file = write("a.csv", "LEARNING_RATE\n0.3\n")
  command = _command(images, file, tmp_path / "out")
  command[1] = "--gin_bindings=LEARNING_RATE = 0.3"
  with pytest.raises(errors.UsageError, match="all trials failed.*it broke"):
    search_recipes.main(command)


def test_bad_arguments_are_one_line(images, tmp_path, write):
  file = write("a.csv", "LEARNING_RATE\n0.3\n")
  command = _command(images, file, tmp_path / "out")
  with pytest.raises(errors.UsageError, match="--jobs=0"):
    search_recipes.main([*command, "--jobs=0"])
  with pytest.raises(errors.UsageError, match="--halving=1"):
    search_recipes.main([*command, "--halving=1"])
  with pytest.raises(errors.UsageError, match="is not a folder"):
    search_recipes.main([*command, "--images=nowhere"])


def test_a_trial_trains_for_its_budget_and_measures(images, tmp_path):
  kept, held_out = search_recipes.split(str(images), 0.3, tmp_path)
  request = {
    "gin_files": [_CONFIG],
    "bindings": [
      *_TINY,
      f"IMAGES = {kept!r}",
      f"LABELLED_IMAGES = {kept!r}",
      f"HELD_OUT_IMAGES = {held_out!r}",
    ],
    "seed": 3,
    "clock": "cpu",
    "budget_seconds": 0.5,
    "step_seconds": None,
  }
  (tmp_path / "request.json").write_text(json.dumps(request))
  search_recipes._call(tmp_path)
  result = json.loads((tmp_path / "result.json").read_text())
  assert result["steps"] == max(1, round(0.5 / result["step_seconds"]))
  assert result["after"]["step"] == result["steps"]
  assert result["after"]["knn_accuracy"] == pytest.approx(1.0, abs=0.5)
  assert set(search_tables.LABEL_FREE) <= set(result["after"])
  assert result["cpu_seconds"] > 0 and result["images_per_second"] > 0
  assert "LearningRate" in (tmp_path / "config.gin").read_text()
  assert not (tmp_path / "run").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
