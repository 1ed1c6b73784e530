"""tools.run_experiment and the experiments of the project."""

import json
import re
import sys

import gin
import pytest

from tf_ssl import errors
from tools import run_experiment
from tools._cli import cli

pytestmark = pytest.mark.slow

_TOY = """
# A toy.
from __gin__ import dynamic_registration
from tf_ssl.experiment import experiment
from tf_ssl.experiment import steps

experiment.Experiment.title = "Toy"
experiment.Experiment.question = "Does it run?"
experiment.Experiment.seeds = %SEEDS
experiment.Experiment.steps = {
    "model": @model/steps.Command(),
    "look": @look/steps.Command(),
}
model/steps.Command.words = ["sh", "make.sh", "{output}", "{seed}"]
model/steps.Command.seeded = True
model/steps.Command.model_path = "m"
look/steps.Command.words = ["sh", "look.sh", "{output}", "{model}"]
look/steps.Command.per_model = True
look/steps.Command.results = "r"
experiment.Experiment.tables = [@experiment.Table()]
experiment.Table.title = "T"
experiment.Table.columns = {"x": "look.x"}
SEEDS = [4, 5]
"""

_PAPER = (
  "table1_invariances",
  "table2_dataset_bias",
  "table3_video_downstream",
  "table4_video_invariances",
  "remedy_full",
  "remedy_coco",
)
_MINIATURE = (
  "miniature_1_invariances",
  "miniature_2_dataset_bias",
  "miniature_3_video_downstream",
  "miniature_4_video_invariances",
  "remedy_scenes",
)
# With a pilot, and training on photos, real films or rendered videos.
_PHOTOS = (
  "photos_1_invariances",
  "photos_2_dataset_bias",
  "ablation_1_crop_area",
  "films_3_video_downstream",
  "films_4_video_invariances",
)
_PILOTED = (
  *_PHOTOS,
  "ablation_2_frame_distance",
  "rendered_3_video_downstream",
  "rendered_4_video_invariances",
)
_NUMBER_OF_MODELS = dict(
  zip(
    _PAPER + _MINIATURE + _PILOTED,
    (4, 3, 3, 3, 7, 8, 5, 4, 5, 5, 8, 6, 5, 9, 4, 4, 6, 5, 5),
    strict=True,
  )
)
# Placeholder folders of data that are not here.
_FOLDERS = {
  name: f"/data/{name.lower()}"
  for name in (
    "DATA",
    "IMAGENET",
    "IMAGENET_VAL",
    "COCO_IMAGES",
    "COCO_ANNOTATIONS",
    "SCENES",
    "BOXES",
    "VOC",
    "ADE20K",
    "VIDEOS",
    "ALOI",
    "PASCAL3D",
    "GOT10K",
  )
}


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()
  gin.config._IMPORTS.clear()


@pytest.fixture(name="toy")
def fixture_toy(tmp_path, monkeypatch):
  (tmp_path / "toy.gin").write_text(_TOY)
  (tmp_path / "make.sh").write_text("mkdir -p $1 && echo $2 > $1/m\n")
  (tmp_path / "look.sh").write_text(
    """mkdir -p $1 && printf '{"x": %s}' $(cat $2) > $1/r\n"""
  )
  monkeypatch.chdir(tmp_path)
  return tmp_path


def _run(*words):
  run_experiment.TOOL.call(words)
  gin.clear_config()


def test_a_file_without_a_flag_is_the_experiment(toy, capsys):
  _run("toy.gin", "--output_dir=out", "--jobs=2")
  assert "results: out/RESULTS.md" in capsys.readouterr().out
  page = (toy / "out/RESULTS.md").read_text()
  assert "| model | 4.5 (" in page
  assert "-m tools.run_experiment toy.gin --output_dir=out --jobs=2" in page
  kept = json.loads((toy / "out/toy/results.json").read_text())
  assert kept["tables"][0]["rows"][0]["values"] == [[4.0, 5.0]]


def test_a_dry_run_and_a_part_of_the_steps(toy, capsys):
  _run("toy.gin", "--dry_run", "--gin_bindings=SEEDS=[7]")
  shown = capsys.readouterr().out
  assert "would run look/model/seed7" in shown and not (toy / "runs").exists()
  _run("toy.gin", "--only=look/model/seed5", "--output_dir=out")
  assert "look.x of model, seed 5: 5.0" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("binding", "message"),
  [
    ("experiment.Experiment.orderings=[('a', '>', 'model', 'look.x')]", "'a'"),
    ("SEEDS=[]", "change SEEDS"),
    ("model/steps.Comand.words=[]", "Comand"),
    ('experiment.Experiment.steps={"a": @steps.Command}', "is Command"),
    ("look/steps.Command.models=['modle']", "modle"),
  ],
)
def test_a_wrong_experiment_gives_one_line_and_exit_code_2(
  toy, capsys, binding, message
):
  with pytest.raises(SystemExit) as end:
    run_experiment.TOOL.run(["toy.gin", f"--gin_bindings={binding}"])
  assert end.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("run_experiment: ") and message in line


def test_missing_real_data_give_one_line_and_exit_code_2(
  repository, tmp_path, capsys
):
  (tmp_path / "coil20").mkdir()
  name = str(repository / "gin_configs/paper/miniature_1_invariances.gin")
  with pytest.raises(SystemExit) as end:
    run_experiment.TOOL.run(
      [
        name,
        f'--gin_bindings=DATA="{tmp_path}"',
        f"--output_dir={tmp_path}/out",
      ]
    )
  assert end.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert "photometric_stereo (for stereo)" in line
  assert "change DATA" in line and not (tmp_path / "out").exists()


def test_a_missing_file_is_an_error(toy):
  with pytest.raises(errors.UsageError, match="FILE.gin"):
    _run("--dry_run")


def test_a_failed_step_is_printed_with_exit_code_1(toy, capfd):
  with pytest.raises(SystemExit) as end:
    run_experiment.TOOL.run(
      [
        "toy.gin",
        "--output_dir=out",
        "--gin_bindings=model/steps.Command.words=['sh', '-c', 'exit 9']",
      ]
    )
  assert end.value.code == 1
  assert "run_experiment: model/seed4 failed (exit code 9)" in (
    capfd.readouterr().err
  )


def test_other_tools_refuse_files():
  with pytest.raises(errors.UsageError, match="'a.gin'"):
    cli.Tool("work", "Works.", print).call(["a.gin"])


def test_every_experiment_is_tested_here(repository):
  found = {path.stem for path in repository.glob("gin_configs/paper/*.gin")}
  assert found == {*_PAPER, *_MINIATURE, *_PILOTED}


def _dry_run(name, repository, tmp_path, capsys, *bindings):
  path = str(repository / f"gin_configs/paper/{name}.gin")
  words = [f"--gin_bindings={binding}" for binding in bindings]
  _run(path, "--dry_run", f"--output_dir={tmp_path}/out", *words)
  assert not list(tmp_path.iterdir())
  return capsys.readouterr().out


@pytest.mark.parametrize("name", _PAPER + _MINIATURE + _PILOTED)
def test_a_dry_run_parses_every_configuration(
  name, repository, tmp_path, capsys
):
  text = (repository / f"gin_configs/paper/{name}.gin").read_text()
  included = re.findall(r'include "(.*)"', text)
  text += "".join((repository / file).read_text() for file in included)
  bindings = [
    f'{macro}="{folder}"'
    for macro, folder in _FOLDERS.items()
    if re.search(rf"^{macro} = %gin.REQUIRED", text, re.MULTILINE)
  ]
  if name in _MINIATURE + _PILOTED:
    bindings = ['DATA="/data"']
  if name in _PILOTED:
    bindings += ["SEEDS=[0, 1, 2]", "PILOT_SEEDS=[10]"]
  shown = _dry_run(name, repository, tmp_path, capsys, *bindings)
  assert "skipped" not in shown
  trained = re.findall(r"^would run (\w+)/seed0$", shown, re.MULTILINE)
  assert len(trained) == _NUMBER_OF_MODELS[name]
  for seed in (1, 2):
    assert shown.count(f"/seed{seed}\n") == shown.count("/seed0\n")
  looked = re.findall(r"^would run (\w+)/(\w+)/seed2$", shown, re.MULTILINE)
  assert {model for _, model in looked} == set(trained)


@pytest.mark.parametrize("name", _PILOTED)
def test_a_pilot_has_seeds_of_its_own(name, repository, tmp_path, capsys):
  path = str(repository / f"gin_configs/paper/{name}.gin")
  _run(path, "--dry_run", "--pilot", '--gin_bindings=DATA="/data"')
  assert not list(tmp_path.iterdir())
  shown = capsys.readouterr().out
  assert "/seed0\n" in shown and "/seed10\n" not in shown


@pytest.mark.parametrize("name", [*_MINIATURE, "ablation_2_frame_distance"])
def test_a_miniature_runs_without_data(name, repository, tmp_path, capsys):
  shown = _dry_run(name, repository, tmp_path, capsys)
  assert "DATA" in shown
  skipped = set(re.findall(r"^skipped (\w+)/", shown, re.MULTILINE))
  assert skipped and skipped <= {
    "coil",
    "stereo",
    "coco_images",
    "coco_boxes",
    "imagenette",
    "imagenette_knn",
    "camvid",
  }


def test_the_plan_follows_from_the_pilot(toy, capsys):
  _run("toy.gin", "--output_dir=out")
  capsys.readouterr()
  ordering = "[('model', '>', 'model', 'look.x')]"
  _run(
    "toy.gin",
    "--output_dir=out",
    "--plan",
    "--budget_hours=1",
    f"--gin_bindings=experiment.Experiment.orderings={ordering}",
  )
  shown = capsys.readouterr().out
  assert "more than 10,000 seeds" in shown and "--budget_hours=1" in shown
  with pytest.raises(errors.UsageError, match="--pilot and --plan"):
    _run("toy.gin", "--pilot", "--plan")


def test_tables_3_and_4_share_their_encoders(repository, tmp_path, capsys):
  folders = []
  for name in _MINIATURE[2:4]:
    shown = _dry_run(name, repository, tmp_path, capsys)
    folders.append(set(re.findall(r"--model_dir=(\S+)", shown)))
  assert folders[0] == folders[1] and len(folders[0]) == 15


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
