"""The gin files of linear SVMs, bound to miniatures; nothing is measured."""

import sys

import gin
import pytest

from tests.evaluation.svm import voc_reference
from tf_ssl import errors
from tf_ssl.evaluation import evaluate
from tools._cli import gin_files


@pytest.fixture(name="protocol")
def fixture_protocol():
  """Returns the protocol that a config binds, with bindings."""

  def protocol(config, *bindings):
    gin_files.load([f"gin_configs/evaluate/{config}.gin"], bindings)
    return gin_files.configured(evaluate.Evaluation)().protocol

  yield protocol
  gin.clear_config()
  gin.config._IMPORTS.clear()


_VOC = ("voc07_svm", "voc07_svm_boxes", "voc07_low_shot")
_COCO = ("coco_svm", "coco_svm_boxes")


@pytest.mark.parametrize("config", _VOC)
def test_voc_is_read_from_its_folder(protocol, config, tmp_path):
  voc_reference.write(tmp_path / "voc", counts=(("trainval", 4), ("test", 3)))
  found = protocol(config, f'VOC="{tmp_path}/voc"')
  assert found.examples.train.source == "VOC trainval"
  assert found.examples.test.source == "VOC test"
  assert found.examples.test.num_images == 3
  assert found.examples.image_size == 224
  boxes = config == "voc07_svm_boxes"
  assert found.examples.boxes == boxes
  # A box of a difficult car is no counterexample of a car; a whole image is
  # one in the benchmark's code.
  ignored = "ignored" if boxes else "negative"
  assert found.examples.difficult_in_training == ignored
  assert found.svm.costs == (0.01, 0.1, 1, 2, 5, 10, 15, 20, 50, 100, 1000)


def test_few_examples_are_those_of_the_benchmark(protocol, tmp_path):
  voc_reference.write(tmp_path / "voc", counts=(("trainval", 4), ("test", 3)))
  found = protocol("voc07_low_shot", f'VOC="{tmp_path}/voc"', "DRAWS=7")
  assert found.ks == (1, 2, 4, 8, 16, 32, 64, 96) and found.draws == 7


@pytest.mark.parametrize("config", _VOC)
def test_without_voc_it_says_what_to_set_and_to_download(protocol, config):
  with pytest.raises(errors.UsageError, match="VOC must be set"):
    protocol(config)
  with pytest.raises(errors.UsageError, match="VOCtrainval.*change VOC"):
    protocol(config, 'VOC="nowhere"')


@pytest.mark.parametrize("config", _COCO)
def test_annotations_are_split_where_none_are_for_testing(
  protocol, config, shared_data
):
  train = (
    f'TRAIN_ANNOTATIONS="{shared_data}/coco/annotations/'
    'instances_train2017.json"',
    f'TRAIN_IMAGES="{shared_data}/coco/train2017"',
  )
  found = protocol(config, *train, "SPLIT_SEEDS=(5, 6)").examples
  assert found.train.num_images == 128 and found.test is None
  assert found.split_seeds == (5, 6) and found.test_fraction == 0.5
  assert found.boxes == (config == "coco_svm_boxes")
  assert found.difficult_in_training == "ignored"


def test_annotations_for_testing_are_read(protocol, shared_data):
  folder = f"{shared_data}/coco"
  found = protocol(
    "coco_svm_boxes",
    *(
      f'{side}_{macro}="{folder}/{path}"'
      for side in ("TRAIN", "TEST")
      for macro, path in (
        ("ANNOTATIONS", "annotations/instances_train2017.json"),
        ("IMAGES", "train2017"),
      )
    ),
    "BOX_MIN_SIZE=48",
    "BOX_CONTEXT=0.25",
  ).examples
  assert found.test.num_images == found.train.num_images == 128
  assert found.min_size == 48 and found.context == 0.25


@pytest.mark.parametrize("config", _COCO)
def test_without_annotations_it_says_what_to_set(protocol, config):
  with pytest.raises(errors.UsageError, match="TRAIN_.* must be set"):
    protocol(config)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
