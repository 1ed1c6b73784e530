"""Tests of tf_ssl.training.settings."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.augment import recipes
from tf_ssl.training import settings


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
    ("image_size", 1, "IMAGE_SIZE=1: expected a whole number of at least 2"),
    ("batch_size", 0, "BATCH_SIZE=0"),
    ("steps", 2.5, "STEPS=2.5"),
    ("steps", True, "STEPS=True"),
    ("images", "", "IMAGES"),
    ("seed", -1, "SEED"),
    ("learning_rate", -1.0, "LEARNING_RATE"),
    ("learning_rate", float("nan"), "LEARNING_RATE"),
    ("precision", "float64", "mixed_bfloat16"),
    ("labeled_images", "cats/", "HELD_OUT_IMAGES"),
  ],
)
def test_a_value_out_of_range_is_named(name, value, message):
  with pytest.raises(errors.UsageError, match=message):
    make(**{name: value})


def test_a_data_service_keeps_no_order():
  with pytest.raises(errors.UsageError, match="data_service_address"):
    make(deterministic=True, data_service_address="localhost:5050")


def test_the_learning_rate_scales_with_the_batch_on_request():
  assert make().peak_learning_rate == 0.03
  assert make(scale_learning_rate=True).peak_learning_rate == 0.06


def test_a_source_may_be_a_function_that_says_where():
  located = settings.locate(make(images=lambda: "rendered/"))
  assert located.images == "rendered/"
  assert located.labeled_images is None


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
