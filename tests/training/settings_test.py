"""Tests of tf_ssl.training.settings."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.training import settings
from tf_ssl.training.monitors import base


def make(**changes):
  values = {
    "images": "photos/",
    "method": lambda: None,
    "recipe": recipes.moco_v2(),
    "image_size": 32,
    "batch_size": 512,
    "steps": 10,
    "learning_rate": 0.03,
    **changes,
  }
  return settings.Pretraining(**values)


@pytest.mark.parametrize(
  ("name", "value", "message"),
  [
    ("image_size", 1, "IMAGE_SIZE=1.*2"),
    ("batch_size", 0, "BATCH_SIZE=0"),
    ("steps", 2.5, "STEPS=2.5"),
    ("steps", True, "STEPS=True"),
    ("images", "", "IMAGES"),
    ("seed", -1, "SEED"),
    ("learning_rate", -1.0, "LEARNING_RATE"),
    ("learning_rate", float("nan"), "LEARNING_RATE"),
    ("initialize", "pca", "initialize 'pca': expected a function or None"),
    ("precision", "float64", "mixed_bfloat16"),
    ("labeled_fraction", 0.0, "labeled_fraction 0.0"),
    ("decoded_mib", 2048, "decoded_mib 2048: expected at most 2047"),
    ("monitors", [print], "monitors.*print"),
  ],
)
def test_a_value_out_of_range_is_named(name, value, message):
  with pytest.raises(errors.UsageError, match=message):
    make(**{name: value})


def test_a_deterministic_run_refuses_a_data_service():
  with pytest.raises(errors.UsageError, match="data_service_address"):
    make(deterministic=True, data_service_address="localhost:5050")


def test_the_learning_rate_scales_with_the_batch_on_request():
  assert make().peak_learning_rate == 0.03
  assert make(scale_learning_rate=True).peak_learning_rate == 0.06


def test_a_source_may_be_a_function_that_returns_one():
  located = settings.locate(make(images=lambda: "rendered/"))
  assert located.images == "rendered/"


class _Named(base.Monitor):
  def __init__(self, best_metric):
    self.best_metric = best_metric
    self.found = 0

  def find_data(self):
    self.found += 1

  def measure(self, step):
    return {}


def test_the_best_checkpoint_is_chosen_by_the_first_monitor_with_a_metric():
  monitors = [_Named(None), _Named("knn_accuracy"), _Named("other")]
  assert make(monitors=()).checkpoint_metric == "loss"
  assert make(monitors=monitors).checkpoint_metric == "knn_accuracy"
  chosen = make(monitors=monitors, best_metric="loss")
  assert chosen.checkpoint_metric == "loss"


def test_a_second_list_of_monitors_adds_to_the_first():
  one, two = _Named(None), _Named(None)
  both = make(monitors=[one], more_monitors=[two])
  assert both.all_monitors == (one, two)
  settings.locate(both)
  assert (one.found, two.found) == (1, 1)
  assert len(make().all_monitors) == 3


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
