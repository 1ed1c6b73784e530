"""Tests of tf_ssl.ops.operative_config."""

import sys

import gin
import pytest

from tf_ssl.ops import operative_config

CONFIG = r"""
from __gin__ import dynamic_registration
from tf_ssl.training import settings

# Macros:
# ==============================================================================
BATCH_SIZE = 128
IMAGES = 'photos = "all"'

# Parameters for moco.build_moco:
# ==============================================================================
moco.build_moco.encoder = @resnet.resnet18
small/moco.build_moco.momentum = 0.99
settings.Pretraining.batch_size = %BATCH_SIZE
settings.Pretraining.monitors = \
    [@representation.Representation(),
     @views.Views()]
settings.Pretraining.phases = \
    [{'until': 0.5},
     {'until': 0.75}]
settings.Pretraining.recipe = %gin.REQUIRED
# None.
"""


def test_each_binding_is_one_line():
  assert operative_config.bindings(CONFIG) == {
    "BATCH_SIZE": "128",
    "IMAGES": "'photos = \"all\"'",
    "moco.build_moco.encoder": "@resnet.resnet18",
    "small/moco.build_moco.momentum": "0.99",
    "settings.Pretraining.batch_size": "%BATCH_SIZE",
    "settings.Pretraining.monitors": (
      "[@representation.Representation(), @views.Views()]"
    ),
    "settings.Pretraining.phases": "[{'until': 0.5}, {'until': 0.75}]",
    "settings.Pretraining.recipe": "%gin.REQUIRED",
  }


def test_settings_are_python_values_and_each_macro_counts_once():
  found = operative_config.settings(operative_config.bindings(CONFIG))
  assert found["BATCH_SIZE"] == 128
  assert found["IMAGES"] == 'photos = "all"'
  assert found["moco.build_moco.encoder"] == "@resnet.resnet18"
  assert found["settings.Pretraining.phases"] == [
    {"until": 0.5},
    {"until": 0.75},
  ]
  assert "settings.Pretraining.batch_size" not in found
  assert found["settings.Pretraining.recipe"] == "%gin.REQUIRED"


@pytest.mark.parametrize(
  "name, value",
  [
    ("settings.Pretraining.batch_size", 128),
    ("small/moco.build_moco.momentum", 0.99),
    ("missing", None),
    ("loop", "%loop"),
    ("nothing", None),
  ],
)
def test_a_single_value_is_found_behind_its_macros(name, value):
  bound = operative_config.bindings(
    f"{CONFIG}\nloop = %loop\nnothing = %unknown\n"
  )
  assert operative_config.value(bound, name) == value


def test_what_gin_writes_is_read():
  values = {"number": -1.5e-7, "text": "a\nb = 3", "many": list(range(80))}

  def built(number, text, many):
    return number, text, many

  gin.clear_config()
  configured = gin.external_configurable(built, name="operative_config_built")
  for name, value in values.items():
    gin.bind_parameter(f"operative_config_built.{name}", value)
  configured()
  text = gin.operative_config_str()
  gin.clear_config()
  found = operative_config.settings(operative_config.bindings(text))
  assert found == {
    f"operative_config_built.{name}": value for name, value in values.items()
  }


@pytest.mark.parametrize("text", ["", "\0\0", "a =", "= 3", "x = (((\n"])
def test_a_damaged_config_has_what_can_be_read(text):
  found = operative_config.settings(operative_config.bindings(text))
  assert found in ({}, {"x": "((("})


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
