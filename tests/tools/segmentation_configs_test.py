"""The gin files of fine-tuning and segmentation and their protocols."""

import sys

import gin
import pytest

from tf_ssl import errors
from tf_ssl.evaluation import evaluate
from tools._cli import gin_files

_REQUIRED = {
  "fine_tuning_folder": ("TRAIN_IMAGES", "TEST_IMAGES"),
  "segmentation_folder": ("IMAGES", "MASKS"),
  "segmentation_coco": ("IMAGES", "MASKS", "CLASSES"),
  "segmentation_camvid": ("CAMVID",),
  "segmentation_ade20k": ("ADE20K",),
  "segmentation_voc": ("VOC",),
}


@pytest.fixture
def protocol():
  """Returns the protocol that a config binds, with bindings."""

  def protocol(config, *bindings):
    gin_files.load([f"gin_configs/evaluate/{config}.gin"], bindings)
    return gin_files.configured(evaluate.Evaluation)().protocol

  yield protocol
  gin.clear_config()
  gin.config._IMPORTS.clear()


@pytest.mark.parametrize("config", _REQUIRED)
def test_missing_settings_are_named(protocol, config):
  with pytest.raises(errors.UsageError, match="must be set") as refused:
    protocol(config)
  assert all(name in str(refused.value) for name in _REQUIRED[config][:1])


@pytest.mark.parametrize(
  "config", ["segmentation_camvid", "segmentation_ade20k", "segmentation_voc"]
)
def test_a_wrong_folder_says_what_to_get_and_change(protocol, config, tmp_path):
  (name,) = _REQUIRED[config]
  with pytest.raises(errors.UsageError, match=f"; or change {name}"):
    protocol(config, f'{name}="{tmp_path}"')


def test_real_data_are_bound(protocol, shared_data):
  found = protocol(
    "segmentation_camvid",
    f'CAMVID="{shared_data}/camvid"',
    "DECODER='fcn'",
    "ENCODER_LEARNING_RATE=0.01",
    "SEEDS=(4,)",
    "IMAGE_SIZE=(96,128)",
  )
  assert (found.train.num_images, found.test.num_images) == (41, 26)
  assert (found.decoder, found.seeds) == ("fcn", (4,))
  assert found.image_size == (96, 128)
  assert not found.sgd.is_frozen


def test_masks_of_categories_are_bound_with_and_without_test_images(
  protocol, shared_data
):
  coco = f"{shared_data}/coco"
  bindings = [
    f'IMAGES="{coco}/train2017"',
    f'MASKS="{coco}/semantic_masks/train2017"',
    f'CLASSES="{coco}/semantic_masks/classes.yaml"',
  ]
  found = protocol("segmentation_coco", *bindings, "HELD_OUT=0.3")
  assert found.test is None and found.held_out == 0.3
  assert found.train.void_ids == (0,) and found.sgd.is_frozen
  gin.clear_config()
  found = protocol(
    "segmentation_coco",
    *bindings,
    f'TEST_IMAGES="{coco}/train2017"',
    f'TEST_MASKS="{coco}/semantic_masks/train2017"',
  )
  assert found.test.class_names == found.train.class_names
  gin.clear_config()
  with pytest.raises(errors.UsageError, match="TEST_IMAGES and TEST_MASKS"):
    protocol("segmentation_coco", *bindings, f'TEST_IMAGES="{coco}/train2017"')


def test_labeled_folders_are_bound(protocol, shared_data):
  found = protocol(
    "fine_tuning_folder",
    f'TRAIN_IMAGES="{shared_data}/cifar10/train"',
    f'TEST_IMAGES="{shared_data}/cifar10/test"',
    "LABEL_SHARES=(0.1,)",
    "FROM_SCRATCH=True",
  )
  assert found.train.num_images == 10000 and len(found.test.class_names) == 10
  assert found.label_shares == (0.1,) and found.from_scratch
  assert found.steps(100) == 300 and found.steps(10000) == 4688


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
