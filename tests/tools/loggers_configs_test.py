"""The gin fragments of loggers, after the configs they are for."""

import pathlib
import re
import sys

import gin
import pytest

from tf_ssl import errors
from tf_ssl.training import settings as settings_lib
from tf_ssl.training.monitors import loggers
from tools import train
from tools._cli import gin_files, gin_runs

LOGGERS = {
  "wandb": loggers.WeightsAndBiases,
  "mlflow": loggers.Mlflow,
  "trackio": loggers.Trackio,
}
CONFIGS = sorted(
  str(path)
  for folder in ("pretrain", "video")
  for path in pathlib.Path("gin_configs", folder).glob("*.gin")
)


def load(files, bindings=()):
  """Reads configs; each macro that must be set is a text."""
  bindings = list(bindings)
  while True:
    gin.clear_config()
    try:
      return gin_files.load(files, bindings)
    except errors.UsageError as error:
      missing = re.match(r"(\w+) must be set", str(error))
      assert missing, error
      bindings.append(f"{missing[1]}='given'")


@pytest.mark.parametrize("tracker", LOGGERS)
def test_a_fragment_adds_its_logger_with_the_users_names(tracker):
  with gin_runs._own_config():
    load(
      [
        "gin_configs/pretrain/moco_v2_folder.gin",
        "gin_configs/base/watch_invariances.gin",
        f"gin_configs/base/log_to_{tracker}.gin",
      ],
      ["LOG_PROJECT='mine'", "LOG_NAME='first'"],
    )
    found = gin_files.configured(settings_lib.Pretraining)()
  [made] = found.loggers
  assert isinstance(made, LOGGERS[tracker])
  assert made.project == "mine" and made.name == "first"
  assert len(found.more_monitors) == 1 and made in found.all_monitors


@pytest.mark.parametrize("config", CONFIGS)
def test_every_recipe_takes_a_logger(config):
  with gin_runs._own_config():
    load([config, "gin_configs/base/log_to_mlflow.gin"])
    [reference] = gin.query_parameter("settings.Pretraining.loggers")
    assert reference.configurable.wrapped is loggers.Mlflow


def test_a_missing_tracker_is_one_line_before_any_work(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.setitem(sys.modules, "wandb", None)  # As if not installed.
  monkeypatch.setattr(sys, "argv", ["train"])
  with gin_runs._own_config(), pytest.raises(SystemExit) as end:
    train.TOOL.run(
      [
        "--gin_file=gin_configs/pretrain/moco_v2_folder.gin",
        "--gin_file=gin_configs/base/log_to_wandb.gin",
        f"--gin_bindings=IMAGES='{tmp_path}/none'",
        f"--model_dir={tmp_path}/run",
      ]
    )
  assert end.value.code == 2
  [line] = capsys.readouterr().err.splitlines()
  assert "Weights & Biases" in line and "pip install 'tf_ssl[wandb]'" in line
  assert not (tmp_path / "run").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
