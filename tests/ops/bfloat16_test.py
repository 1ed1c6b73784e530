"""Tests of tf_ssl.ops.bfloat16."""

import sys

import pytest
import tensorflow as tf

from tf_ssl.ops import bfloat16

ZEN_5 = (
  "model name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_bf16 rdpid\n"
)
SAPPHIRE_RAPIDS = "flags\t\t: avx512_bf16 amx_bf16 avx512_fp16 amx_tile\n"
HASWELL = "model name\t: avx512_bf16\nflags\t\t: fpu avx2 bmi2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"


@pytest.fixture(autouse=True)
def _no_devices(monkeypatch):
  monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
  _with_devices(monkeypatch, tpus=0, capabilities=[])


def _with_devices(monkeypatch, *, tpus, capabilities):
  monkeypatch.setattr(
    tf.config, "list_logical_devices", lambda kind: ["TPU"] * tpus
  )
  monkeypatch.setattr(
    tf.config, "list_physical_devices", lambda kind: capabilities
  )
  monkeypatch.setattr(
    tf.config.experimental,
    "get_device_details",
    lambda device: {} if device is None else {"compute_capability": device},
  )


@pytest.mark.parametrize(
  ("content", "in_hardware", "word"),
  [
    (ZEN_5, True, "has avx512_bf16"),
    (SAPPHIRE_RAPIDS, True, "has amx_bf16"),
    (HASWELL, False, "neither amx_bf16 nor avx512_bf16"),
    (ARM, False, "neither"),
    ("", False, "neither"),
    (None, False, "neither"),
  ],
)
def test_the_flags_of_the_processor_decide(
  tmp_path, content, in_hardware, word
):
  file = tmp_path / "cpuinfo"
  if content is not None:
    file.write_text(content)
  found = bfloat16.support(str(file))
  assert found.in_hardware == in_hardware
  assert word in found.reason


@pytest.mark.parametrize(
  ("capabilities", "in_hardware", "word"),
  [
    ([(8, 0)], True, "8.0"),
    ([(9, 0), (8, 6)], True, "8.6"),
    ([(9, 0), (7, 5)], False, "7.5, below 8.0"),
    ([None], False, "0.0"),
  ],
)
def test_gpus_decide_where_there_are_any_and_the_weakest_counts(
  tmp_path, monkeypatch, capabilities, in_hardware, word
):
  file = tmp_path / "cpuinfo"
  file.write_text(HASWELL if in_hardware else ZEN_5)
  _with_devices(monkeypatch, tpus=0, capabilities=capabilities)
  found = bfloat16.support(str(file))
  assert found.in_hardware == in_hardware
  assert word in found.reason


def test_a_tpu_has_it(tmp_path, monkeypatch):
  _with_devices(monkeypatch, tpus=1, capabilities=[(7, 0)])
  assert bfloat16.support(str(tmp_path / "none")).in_hardware


def test_without_onednn_the_processor_does_not_use_it(tmp_path, monkeypatch):
  file = tmp_path / "cpuinfo"
  file.write_text(ZEN_5)
  monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
  found = bfloat16.support(str(file))
  assert not found.in_hardware
  assert "TF_ENABLE_ONEDNN_OPTS" in found.reason


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
