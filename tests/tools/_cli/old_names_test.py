"""Tests of tools._cli.old_names: gin files of earlier versions."""

import sys

import gin
import pytest
from absl import logging

from tf_ssl import errors
from tf_ssl.ops import optimizers
from tf_ssl.training import settings
from tools._cli import gin_files, old_names

# As the previous version wrote it, with every setting that Pretraining had.
_OPERATIVE_CONFIG = """from __gin__ import dynamic_registration
from tf_ssl.augment import recipes
from tf_ssl.encoders import batch_norm
from tf_ssl.encoders import heads
from tf_ssl.encoders import resnet
from tf_ssl.methods import moco
from tf_ssl.training import optimizers
from tf_ssl.training import settings

# Macros:
BATCH_SIZE = 32
DETERMINISTIC = True
HELD_OUT_IMAGES = 'photos/test'
IMAGE_SIZE = 32
IMAGES = 'photos/train/airplane'
LABELLED_IMAGES = 'photos/test'
LEARNING_RATE = 0.03
QUEUE_SIZE = None
SEED = 0
STEPS = 24

# Parameters for moco.build_moco:
moco.build_moco.encoder = @resnet.resnet18
moco.build_moco.momentum = 0.99
moco.build_moco.projection_head = @heads.MlpHead
moco.build_moco.queue_size = %QUEUE_SIZE
moco.build_moco.symmetric = False
moco.build_moco.temperature = 0.2

# Parameters for optimizers.LearningRate:
optimizers.LearningRate.drop_factor = 0.1
optimizers.LearningRate.drops = (0.6, 0.8)
optimizers.LearningRate.final = 0.0
optimizers.LearningRate.hold = 1
optimizers.LearningRate.kind = 'cosine'
optimizers.LearningRate.warmup_steps = 0

# Parameters for heads.MlpHead:
heads.MlpHead.embedding_size = 128
heads.MlpHead.hidden_size = None

# Parameters for recipes.moco_v2:
recipes.moco_v2.blur_probability = 0.5
recipes.moco_v2.blur_sigma = (0.1, 2.0)
recipes.moco_v2.jitter_strength = 1.0
recipes.moco_v2.min_area = 0.2
recipes.moco_v2.size = None

# Parameters for optimizers.MomentumSgd:
optimizers.MomentumSgd.name = 'MomentumSgd'
optimizers.MomentumSgd.sgd_momentum = 0.9
optimizers.MomentumSgd.weight_decay = 0.0001

# Parameters for settings.Pretraining:
settings.Pretraining.baseline = None
settings.Pretraining.baseline_name = 'baseline'
settings.Pretraining.batch_size = %BATCH_SIZE
settings.Pretraining.checkpoint_every_minutes = 10.0
settings.Pretraining.checkpoint_every_steps = 1000
settings.Pretraining.data_service_address = None
settings.Pretraining.deterministic = %DETERMINISTIC
settings.Pretraining.finish_views_in_step = False
settings.Pretraining.held_out_images = %HELD_OUT_IMAGES
settings.Pretraining.held_out_tracks = None
settings.Pretraining.image_size = %IMAGE_SIZE
settings.Pretraining.images = %IMAGES
settings.Pretraining.invariance_every = 0
settings.Pretraining.invariance_sets = ()
settings.Pretraining.jit_compile = False
settings.Pretraining.keep_checkpoints = 3
settings.Pretraining.knn_image_size = None
settings.Pretraining.knn_k = 20
settings.Pretraining.knn_temperature = 0.1
settings.Pretraining.labelled_fraction = 1.0
settings.Pretraining.labelled_images = %LABELLED_IMAGES
settings.Pretraining.labels = 'none'
settings.Pretraining.learning_rate = %LEARNING_RATE
settings.Pretraining.linear_probe = True
settings.Pretraining.log_every = 50
settings.Pretraining.max_skipped_fraction = 0.05
settings.Pretraining.method = @moco.build_moco
settings.Pretraining.monitor_every = 1000
settings.Pretraining.next_command = None
settings.Pretraining.optimizer = @optimizers.MomentumSgd
settings.Pretraining.precision = 'float32'
settings.Pretraining.recipe = @recipes.moco_v2()
settings.Pretraining.scale_learning_rate = True
settings.Pretraining.schedule = @optimizers.LearningRate
settings.Pretraining.seed = %SEED
settings.Pretraining.steps = %STEPS
settings.Pretraining.steps_per_execution = 1
settings.Pretraining.strategy = 'auto'
settings.Pretraining.threads_per_operation = 0
settings.Pretraining.worker_seconds = 300.0

# Parameters for resnet.resnet18:
resnet.resnet18.batch_norm = @batch_norm.split
resnet.resnet18.stem = 'imagenet'
resnet.resnet18.width = 1.0

# Parameters for batch_norm.split:
batch_norm.split.groups = 8
"""


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()


def test_the_config_of_an_earlier_run_is_read(tmp_path):
  (tmp_path / "operative_config.gin").write_text(_OPERATIVE_CONFIG)
  gin_files.load([str(tmp_path / "operative_config.gin")], [], of_run=True)
  found = gin_files.configured(settings.Pretraining)()
  assert (found.steps, found.image_size, found.labeled_fraction) == (24, 32, 1)
  optimizer = found.optimizer(0.25)
  assert isinstance(optimizer, optimizers.MomentumSgd)
  assert optimizer.l2 == 0.0001
  assert len(found.all_monitors) == 3


def _warnings(monkeypatch):
  found = []
  monkeypatch.setattr(
    logging, "warning", lambda text, *values: found.append(text % values)
  )
  return found


_USERS_FILE = """# Mine.
from __gin__ import dynamic_registration
from tf_ssl.datasets import synthetic
from tf_ssl.training import optimizers
from tf_ssl.training import settings as mine
include "gin_configs/base/labelled_images.gin"
mine.Pretraining.labelled_fraction = 0.5
optimizers.MomentumSgd.sgd_momentum = 0.8
"""


def test_a_users_file_is_translated_line_by_line_and_one_line_tells_it(
  monkeypatch,
):
  warnings = _warnings(monkeypatch)
  text = old_names.translate(_USERS_FILE, "my.gin", of_run=False)
  assert text == (
    _USERS_FILE.replace("tf_ssl.datasets import", "tf_ssl.rendering import")
    .replace("tf_ssl.training import opt", "tf_ssl.ops import opt")
    .replace("labelled", "labeled")
  )
  [line] = warnings
  assert "my.gin" in line
  assert "from tf_ssl.ops import optimizers" in line


def test_a_module_with_another_name_keeps_its_old_name_in_the_file():
  old = "from tf_ssl.evaluation import fitting\nfitting.Sgd.schedule = 1\n"
  new = old_names.translate(old, "my.gin", of_run=True)
  assert new.splitlines()[1] == "fitting.Sgd.schedule = 1"
  assert new.splitlines()[0].endswith(" as fitting")


def test_a_file_of_this_version_is_left_alone(monkeypatch):
  warnings = _warnings(monkeypatch)
  text = "from tf_ssl.ops import optimizers\n\noptimizers.lars.exclude = ()\n"
  assert old_names.translate(text, "my.gin", of_run=False) == text
  assert not warnings


def test_a_setting_that_a_monitor_has_now_is_named_in_a_users_file():
  text = (
    "from tf_ssl.training import settings\n\nsettings.Pretraining.knn_k = 3\n"
  )
  with pytest.raises(
    errors.UsageError, match=r"my.gin:3.*knn_k.*labeled.LabeledImages.k\b"
  ):
    old_names.translate(text, "my.gin", of_run=False)
  kept = old_names.translate(text, "my.gin", of_run=True)
  assert kept == "from tf_ssl.training import settings\n\n\n"


@pytest.mark.parametrize("module", sorted(set(old_names._MODULES.values())))
def test_every_module_of_the_table_exists(repository, module):
  assert (repository / f"{module.replace('.', '/')}.py").is_file()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
