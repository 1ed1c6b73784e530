"""Tests that the config of a run folder cannot execute code."""

import importlib.util
import sys

import gin
import pytest

from tf_ssl import errors
from tools._cli import gin_files


@pytest.fixture(autouse=True)
def _no_config():
  gin.clear_config()
  yield
  gin.clear_config()


def _config(folder, text):
  path = folder / "operative_config.gin"
  path.write_text(f"from __gin__ import dynamic_registration\n{text}\n")
  return str(path)


_SETTINGS = "from tf_ssl.training import settings\n"


@pytest.mark.parametrize(
  ("text", "named"),
  [
    ("import os\nSEED = @os.system()\nos.system.command = 'touch x'", "os"),
    ("import subprocess as moco\nSEED = @moco.run()", "subprocess"),
    ("from tf_ssl.ops import child_process", "child_process"),
    ("from tf_ssl.experiment import steps", "tf_ssl.experiment.steps"),
    (f"{_SETTINGS}SEED = @settings.os.system()", "settings.os.system"),
    (f"{_SETTINGS}SEED = [{{1: @settings.os.system()}}]", "settings.os.system"),
    (f"{_SETTINGS}SEED = @a/settings.os.system()", "settings.os.system"),
    (f"{_SETTINGS}settings.os.system.command = 'x'", "settings.os.system"),
    (f"{_SETTINGS}settings.os.system:\n  command = 'x'", "settings.os.system"),
    ("import tensorflow as tf\nSEED = @tf.io.write_file()", "tf.io.write_file"),
    (
      "import tensorflow_addons as tfa\n"
      "SEED = @tfa.optimizers.lamb.tf.io.write_file()",
      "tfa.optimizers.lamb.tf.io.write_file",
    ),
    ("import keras\nSEED = @keras.optimizers.deserialize()", "deserialize"),
    (
      "from tf_ssl.training import retracking\nSEED = @retracking.retracked()",
      "calls retracking.retracked",
    ),
    ("include '/etc/hostname'", "/etc/hostname"),
    ("include 'gin_configs/../x.gin'", "gin_configs/../x.gin"),
  ],
)
def test_code_in_the_config_of_a_run_is_refused(tmp_path, text, named):
  path = _config(tmp_path, text)
  with pytest.raises(errors.UsageError, match=named) as raised:
    gin_files.load([path], [], of_run=True)
  assert path in str(raised.value)
  assert "SEED" not in gin.config_str()


_LAMB = """
import tensorflow_addons as tfa
settings.Pretraining.optimizer = @tfa.optimizers.LAMB
"""


def test_what_the_projects_own_configs_name_is_read(tmp_path):
  path = _config(
    tmp_path,
    f"""{_SETTINGS}
from tf_ssl.augment import recipes
from tf_ssl.methods import moco
from tf_ssl.training import retracking
include 'gin_configs/base/two_cores.gin'
MOMENTUM = 0.9
moco.build_moco.momentum = %MOMENTUM
settings.Pretraining.images = @retracking.retracked
settings.Pretraining.method = @moco.build_moco
settings.Pretraining.recipe = @recipes.moco_v2()
{_LAMB if importlib.util.find_spec("tensorflow_addons") else ""}""",
  )
  gin_files.load([path], [], of_run=True)
  assert "moco.build_moco.momentum = %MOMENTUM" in gin.config_str()


def test_the_users_own_gin_file_may_import_any_module(tmp_path):
  gin_files.load(
    [_config(tmp_path, "import string\nstring.capwords.sep = ' '")], []
  )
  assert "capwords" in gin.config_str()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
