"""benchmarks.search_recipes and its trials, on a tiny folder."""

import csv
import json
import math
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf
import yaml

from benchmarks import recipe_trial, search_recipes
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


@pytest.fixture
def write(tmp_path):
  """Function write(name, text) -> path of a file of trials."""

  def written(name: str, text: str) -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)

  return written


def _paths(manifest):
  with open(manifest) as stream:
    return {(row["path"], row["label"]) for row in csv.DictReader(stream)}


def _row(trial, trained, *, budget=1.0, seed=0, **measures):
  found = dict.fromkeys(search_recipes.LABEL_FREE, 0.0)
  return {
    "trial": trial,
    "settings": f"x = {trial}",
    "seed": seed,
    "budget_seconds": budget,
    "clock": "cpu",
    "steps": 10,
    "images_per_second": 5.0,
    "knn_untrained": 0.1,
    "knn_trained": trained,
    "error": None if trained is not None else "it broke",
    **found,
    **measures,
  }


def test_a_space_gives_all_combinations_after_the_gin_file_as_it_is(write):
  file = write("a.json", '{"X": [1, 2], "net": [{"W": 3, "V": 4}, {"W": 5}]}')
  assert [t.bindings for t in search_recipes.read_trials(file)] == [
    {},
    {"X": 1, "W": 3, "V": 4},
    {"X": 2, "W": 3, "V": 4},
    {"X": 1, "W": 5},
    {"X": 2, "W": 5},
  ]


def test_random_draws_from_a_space_are_different_and_repeatable(write):
  file = write("a.yaml", "{X: [1, 2, 3, 4], Y: [5, 6, 7]}")
  first = search_recipes.read_trials(file, draws=6)
  assert first == search_recipes.read_trials(file, draws=6)
  assert len({str(trial.bindings) for trial in first}) == 7


def test_a_csv_leaves_the_values_of_empty_cells_to_the_gin_file(write):
  file = write("a.csv", "X,m.y\n0.5,\n,@m.z\n")
  bindings = [t.bindings for t in search_recipes.read_trials(file)]
  assert bindings == [{}, {"X": 0.5}, {"m.y": "@m.z"}]
  assert search_recipes.gin_lines({"X": "a", **bindings[2]}) == [
    "X = 'a'",
    "m.y = @m.z",
  ]


def test_parts_of_a_space_may_each_add_a_gin_file(write):
  axes = {
    "crops": [{}, {"gin_file": "a.gin", "CROPS": 2}],
    "early": [{}, {"gin_file": "b.gin"}],
  }
  trials = search_recipes.read_trials(write("a.json", json.dumps(axes)))
  assert [search_recipes.gin_files(t.bindings) for t in trials] == [
    [],
    ["a.gin"],
    ["b.gin"],
    ["a.gin", "b.gin"],
  ]
  assert search_recipes.gin_lines(trials[3].bindings) == ["CROPS = 2"]


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
          [config, *search_recipes.gin_files(value)],
          ["IMAGES = 'x'", *search_recipes.gin_lines(value)],
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


@pytest.mark.parametrize("text", ["3", "[]", "{X: 3}", "[{}]", "[a, b]", "{"])
def test_a_file_that_is_no_trials_is_named_in_the_error(write, text):
  file = write("a.yaml", text)
  with pytest.raises(errors.UsageError, match=f"--trials={file}"):
    search_recipes.read_trials(file)


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
  budget = search_recipes.Budget("cpu", 10.0)
  plan = search_recipes.rounds(9, budget, 3, 0)
  assert [(n, b.seconds) for n, b in plan] == [(9, 10), (3, 30), (1, 90)]
  assert len(search_recipes.rounds(9, budget, 3, 2)) == 2
  assert search_recipes.rounds(9, budget, 0, 0) == [(9, budget)]


def test_trials_are_sorted_by_the_mean_of_their_seeds_and_failures_come_last():
  rows = [
    _row(0, 0.5),
    _row(0, 0.3, seed=1),
    _row(1, None),
    _row(2, 0.45),
    _row(3, 0.2, budget=3.0),
  ]
  lines = search_recipes.summed_up(rows)
  assert [line.trial for line in lines] == [3, 2, 0, 1]
  assert lines[2].means["knn_trained"] == pytest.approx(0.4)
  assert lines[2].spread == pytest.approx(0.2)
  text = search_recipes.markdown(rows, "Title")
  assert text.index("x = 2") < text.index("x = 0") < text.index("failed")


def test_a_measure_without_labels_ranks_as_the_knn_or_against_it():
  rows = [
    _row(i, 0.1 * i, effective_rank=i**3, alignment=i, uniformity=5)
    for i in range(1, 5)
  ]
  found = search_recipes.rank_correlations(search_recipes.summed_up(rows))
  assert found["effective_rank"] == pytest.approx(1)
  assert found["alignment"] == pytest.approx(-1)  # Smaller is better.
  assert math.isnan(found["uniformity"])


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
  assert set(search_recipes.LABEL_FREE) <= set(result["after"])
  assert result["cpu_seconds"] > 0 and result["images_per_second"] > 0
  assert "LearningRate" in (tmp_path / "config.gin").read_text()
  assert not (tmp_path / "run").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
