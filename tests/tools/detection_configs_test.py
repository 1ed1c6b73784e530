"""The gin file of detection and the protocol that it binds."""

import sys

import gin
import pytest

from tf_ssl import errors
from tf_ssl.evaluation import evaluate
from tools._cli import gin_files


@pytest.fixture
def protocol():
  """Returns the protocol that the config binds, with bindings."""

  def protocol(*bindings):
    gin_files.load(["gin_configs/evaluate/retinanet_coco.gin"], bindings)
    return gin_files.configured(evaluate.Evaluation)().protocol

  yield protocol
  gin.clear_config()
  gin.config._IMPORTS.clear()


def test_missing_settings_are_named(protocol):
  with pytest.raises(errors.UsageError, match="ANNOTATIONS must be set"):
    protocol('IMAGES="images"')


def test_real_data_are_bound_with_and_without_test_images(
  protocol, shared_data
):
  coco = f"{shared_data}/coco"
  file = f"{coco}/annotations/instances_train2017.json"
  bindings = [f'IMAGES="{coco}/train2017"', f'ANNOTATIONS="{file}"']
  found = protocol(
    *bindings,
    "HELD_OUT=0.3",
    "CLASS_AGNOSTIC=True",
    "NUM_FILTERS=32",
    "ENCODER_LEARNING_RATE=0.0",
  )
  assert found.train.num_images == 128 and found.test is None
  assert found.held_out == 0.3 and found.class_agnostic
  assert found.architecture.num_filters == 32 and found.sgd.is_frozen
  gin.clear_config()
  found = protocol(
    *bindings, f'TEST_IMAGES="{coco}/train2017"', f'TEST_ANNOTATIONS="{file}"'
  )
  assert found.test.num_boxes == found.train.num_boxes == 939
  assert not found.sgd.is_frozen
  gin.clear_config()
  with pytest.raises(errors.UsageError, match="no folder of images was given"):
    protocol(*bindings, f'TEST_ANNOTATIONS="{file}"')


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
