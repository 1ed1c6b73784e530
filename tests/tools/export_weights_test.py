"""From a run or a SavedModel to a file of weights, by the command line."""

import sys

import gin
import numpy as np
import pytest

from tests.tools import run_reference
from tf_ssl import errors
from tf_ssl.encoders import batch_norm, resnet
from tf_ssl.export import saved_model, torchvision_names, weights
from tools import export_weights


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()


@pytest.fixture(scope="module", name="run")
def fixture_run(tmp_path_factory):
  """A run's directory and its method."""
  model_dir = tmp_path_factory.mktemp("run")
  return model_dir, run_reference.write(model_dir)


def _export(checkpoint, output, *words):
  export_weights.TOOL.call(
    [f"--checkpoint={checkpoint}", f"--output={output}", *words]
  )


def _assert_weights(path, encoder):
  found, _ = weights.read_encoder(str(path))
  expected = torchvision_names.state_dict(encoder)
  actual = torchvision_names.state_dict(found)
  assert list(actual) == list(expected)
  for name, array in expected.items():
    np.testing.assert_array_equal(actual[name], array)


@pytest.mark.parametrize("below", ["", "checkpoints/step-5"])
def test_a_run_and_one_of_its_checkpoints_are_exported(
  run, tmp_path, capsys, below
):
  model_dir, method = run
  output = tmp_path / "out/a.npz"
  _export(model_dir / below, output)
  _assert_weights(output, method.encoder)
  assert str(output) in capsys.readouterr().out


def test_a_saved_model_is_exported_with_its_own_weights(tmp_path):
  encoder = resnet.ResNet(
    stack=resnet.basic_stack,
    blocks=(1, 1, 1, 1),
    width=0.03125,
    stem="small",
    batch_norm=batch_norm.plain,
  )
  encoder(np.random.default_rng(0).normal(size=[2, 8, 8, 3]), training=True)
  saved = str(tmp_path / "saved")
  saved_model.export_encoder(encoder, None, saved, provenance={})
  _export(saved, tmp_path / "a.npz")
  _assert_weights(tmp_path / "a.npz", encoder)


def test_the_suffix_ckpt_makes_a_folder_for_model_garden(run, tmp_path):
  model_dir, _ = run
  _export(model_dir, f"{tmp_path}/a.ckpt/")  # As a shell completes it.
  assert (tmp_path / "a.ckpt").is_dir()
  assert (tmp_path / "a.ckpt/backbone.yaml").is_file()


def test_a_file_is_replaced_only_on_request(run, tmp_path):
  model_dir, method = run
  output = tmp_path / "a.npz"
  output.write_text("mine")
  with pytest.raises(errors.UsageError, match="a.npz.*overwrite"):
    _export(model_dir, output)
  assert output.read_text() == "mine"
  _export(model_dir, output, "--overwrite")
  _assert_weights(output, method.encoder)


def test_a_folder_without_a_run_and_an_unknown_suffix_are_named(run, tmp_path):
  with pytest.raises(errors.UsageError, match="nowhere"):
    _export(tmp_path / "nowhere", tmp_path / "a.npz")
  with pytest.raises(errors.UsageError, match="'.zip'"):
    _export(run[0], tmp_path / "a.zip")
  assert not list(tmp_path.iterdir())


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
