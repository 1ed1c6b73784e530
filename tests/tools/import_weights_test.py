"""Weights in, as a SavedModel, and out of it, by the command line."""

import json
import os
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.export import torch_resnet_reference as torch_resnet
from tf_ssl import errors
from tf_ssl.export import foreign_resnet
from tf_ssl.export import weights as weights_lib
from tf_ssl.ops import pixels
from tools import export_weights, import_weights

pytestmark = pytest.mark.slow

torch = torch_resnet.torch


def _call(module, **arguments):
  module.TOOL.call([f"--{k}={v}" for k, v in arguments.items()])


def test_a_checkpoint_becomes_a_saved_model_and_a_state_dict_again(
  tmp_path, capsys
):
  images = torch_resnet.random_images()
  model = torch_resnet.trained(
    torch_resnet.ResNet(stem="small", stem_padding=2), images
  )
  weights = tmp_path / "solo.ckpt"
  torch.save(torch_resnet.checkpoint("solo-learn", model), weights)
  output = tmp_path / "out" / "solo"

  _call(import_weights, weights=weights, output=output)

  told = capsys.readouterr().out
  assert "solo.ckpt (solo-learn)" in told
  assert "momentum encoder" in told and "stem_padding=2" in told
  loaded = tf.saved_model.load(str(output))
  expected = torch_resnet.features(model, images)
  np.testing.assert_allclose(loaded.features(images), expected, atol=1e-4)
  provenance = json.loads((output / "provenance.json").read_text())
  assert provenance["weights"]["kind"] == "solo-learn"
  assert provenance["weights"]["file"] == "solo.ckpt"
  assert len(provenance["weights"]["sha256"]) == 64
  assert provenance["weights"]["ignored"]["head"] == [
    "state_dict.classifier.weight",
    "state_dict.projector.0.weight",
  ]

  encoder, record = weights_lib.read_encoder(str(output))
  assert isinstance(encoder, foreign_resnet.ForeignResNet)
  assert record["kind"] == "tf_ssl SavedModel"
  assert record["differences_from_torchvision"] == {"stem_padding": 2}
  features = encoder(pixels.normalize(images), training=False)
  np.testing.assert_allclose(features, expected, atol=1e-4)
  with pytest.raises(errors.UsageError, match="torchvision's ResNet.*onnx"):
    _call(export_weights, checkpoint=output, output=tmp_path / "a.pth")

  # without the difference it is torchvision's, and goes out as such
  del provenance["weights"]["differences_from_torchvision"]
  (output / "provenance.json").write_text(json.dumps(provenance))
  _call(export_weights, checkpoint=output, output=tmp_path / "a.pth")
  state = torch.load(tmp_path / "a.pth", weights_only=True)
  for name, tensor in state.items():
    assert torch.equal(tensor, model.state_dict()[name]), name
  assert len(state) == len(
    [
      name
      for name in model.state_dict()
      if not name.endswith("num_batches_tracked") and "fc." not in name
    ]
  )
  (output / "provenance.json").write_text('{"weights": 3}')
  with pytest.raises(errors.UsageError, match="provenance.json is damaged"):
    _call(export_weights, checkpoint=output, output=tmp_path / "b.pth")


def test_the_encoder_taken_and_the_others_are_printed(tmp_path, capsys):
  images = torch_resnet.random_images()
  model = torch_resnet.trained(torch_resnet.ResNet(stem="small"), images)
  weights = tmp_path / "dino.pth"
  torch.save(torch_resnet.checkpoint("DINO", model), weights)
  _call(import_weights, weights=weights, output=tmp_path / "a")
  told = capsys.readouterr().out
  assert "encoder: the arrays teacher.backbone.*" in told
  assert "--prefix can choose: student.module.backbone." in told
  assert "1 arrays, training state (optimizer.state.0." in told
  loaded = tf.saved_model.load(str(tmp_path / "a"))
  expected = torch_resnet.features(model, images)
  np.testing.assert_allclose(loaded.features(images), expected, atol=1e-4)

  prefix = "student.module.backbone"
  _call(
    import_weights,
    weights=weights,
    output=tmp_path / "b",
    prefix=prefix,
    stem_padding=2,
  )
  told = capsys.readouterr().out
  assert f"encoder: the arrays {prefix}.*" in told
  assert "different from torchvision's network: stem_padding=2" in told
  record = json.loads((tmp_path / "b" / "provenance.json").read_text())
  assert record["weights"]["other_prefixes"] == ["teacher.backbone."]


def test_what_is_missing_is_named(tmp_path):
  with pytest.raises(errors.UsageError, match="--output=... is missing"):
    _call(import_weights, weights=tmp_path)
  with pytest.raises(errors.UsageError, match="nowhere: no such file"):
    _call(import_weights, weights=tmp_path / "nowhere", output=tmp_path / "out")
  with pytest.raises(errors.UsageError, match="no checkpoint at .*nowhere"):
    _call(
      export_weights,
      checkpoint=tmp_path / "nowhere",
      output=tmp_path / "a.npz",
    )


class _Call:
  """Pickles as a call of any function."""

  def __init__(self, function, *arguments):
    self._call = function, arguments

  def __reduce__(self):
    return self._call


def test_a_file_that_tries_to_run_something_is_refused(tmp_path, capsys):
  proof = tmp_path / "proof"
  content = torch_resnet.checkpoint("MoCo", torch_resnet.ResNet())
  content["args"] = _Call(os.system, f"touch {proof}")
  torch.save(content, tmp_path / "a.pth.tar")
  with pytest.raises(SystemExit) as end:
    import_weights.TOOL.run(
      [f"--weights={tmp_path}/a.pth.tar", f"--output={tmp_path}/out"]
    )
  assert end.value.code == 2
  message = capsys.readouterr().err
  assert "a.pth.tar" in message and "posix.system" in message
  assert not proof.exists() and not (tmp_path / "out").exists()
  torch.load(tmp_path / "a.pth.tar", weights_only=False)
  assert proof.exists()  # the file would have done it


def test_a_run_is_restored_and_written(tmp_path, monkeypatch):
  """How a run is restored is tested with export_encoder."""
  weights = tmp_path / "a.pth"
  model = torch_resnet.ResNet()
  torch.save(model.state_dict(), weights)
  encoder, _ = weights_lib.read_encoder(str(weights))
  given = []
  monkeypatch.setattr(
    "tools._cli.gin_runs.restore_encoder",
    lambda path: given.append(path) or encoder,
  )
  _call(export_weights, checkpoint="runs/a", output=tmp_path / "a.npz")
  assert given == ["runs/a"]
  with np.load(tmp_path / "a.npz") as written:
    expected = model.state_dict()["layer3.0.conv1.weight"]
    np.testing.assert_array_equal(written["layer3.0.conv1.weight"], expected)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
