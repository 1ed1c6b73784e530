"""Imported encoders compute the features of their projects."""

import builtins
import hashlib
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.export import torch_resnet_reference as torch_resnet
from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.export import foreign_resnet, torchvision_names
from tf_ssl.export import weights as weights_lib
from tf_ssl.models import load
from tf_ssl.ops import pixels

torch = torch_resnet.torch
_LAYOUTS = [
  "torchvision",
  "MoCo",
  "MoCo notebook",
  "VISSL",
  "lightly",
  "lightly MoCo",
  "lightly DINO",
  "lightly student",
  "solo-learn",
]


@pytest.fixture(scope="module", name="small")
def fixture_small():
  """A network of small stem, of basic blocks."""
  images = torch_resnet.random_images()
  model = torch_resnet.ResNet((1, 2, 1, 1), stem="small")
  return torch_resnet.trained(model, images)


@pytest.fixture(scope="module", name="model")
def fixture_model():
  images = torch_resnet.random_images()
  model = torch_resnet.ResNet((1, 2, 1, 1), bottleneck=True)
  return torch_resnet.trained(model, images)


def _saved(content, path):
  torch.save(content, path)
  return str(path)


def _features(encoder, images):
  return encoder(pixels.normalize(images), training=False).numpy()


@pytest.mark.parametrize("layout", _LAYOUTS)
def test_features_equal_pytorchs(tmp_path, model, small, layout):
  network = small if layout == "MoCo notebook" else model
  content = torch_resnet.checkpoint(layout, network)
  path = _saved(content, tmp_path / "weights.pth.tar")
  encoder, record = weights_lib.read_encoder(path)
  images = torch_resnet.random_images()
  np.testing.assert_allclose(
    _features(encoder, images),
    torch_resnet.features(network, images),
    atol=1e-4,
  )
  kind = "lightly" if layout.startswith("lightly") else layout
  assert record["kind"] == kind.removesuffix(" notebook")
  assert record["file"] == "weights.pth.tar"
  with open(path, "rb") as file:
    assert record["sha256"] == hashlib.sha256(file.read()).hexdigest()
  assert record["differences_from_torchvision"] == {}
  ignored = {name for names in record["ignored"].values() for name in names}
  assert all("conv" not in name or "_" in name for name in ignored)
  counts = record["ignored"]["counts of batches"]
  assert all(name.endswith("num_batches_tracked") for name in counts)


def test_unused_arrays_are_listed_with_the_reason(tmp_path, model):
  content = torch_resnet.checkpoint("MoCo", model)
  path = _saved(content, tmp_path / "a.pth")
  ignored = weights_lib.read_encoder(path)[1]["ignored"]
  assert ignored["head"] == [
    "state_dict.module.encoder_q.fc.0.weight",
    "state_dict.module.encoder_q.fc.2.bias",
  ]
  assert ignored["queue or memory bank"] == [
    "state_dict.module.queue",
    "state_dict.module.queue_ptr",
  ]
  assert ignored["training state"] == ["optimizer.state.0.momentum_buffer"]
  momentum = ignored["momentum encoder"]
  assert "state_dict.module.encoder_k.layer4.0.bn3.running_var" in momentum


@pytest.mark.parametrize(
  ("layout", "blocks", "bottleneck"),
  [
    ("torchvision", (2, 2, 2, 2), False),
    ("lightly MoCo", (3, 4, 6, 3), False),
    ("VISSL", (3, 4, 6, 3), True),
  ],
)
def test_real_photos_through_networks_of_full_width(
  tmp_path, shared_data, layout, blocks, bottleneck
):
  files = sorted((shared_data / "imagenette" / "train").glob("*/*.JPEG"))[:2]
  images = np.stack(
    [cv2.resize(cv2.imread(str(f)), (224, 224))[..., ::-1] for f in files]
  )
  model = torch_resnet.ResNet(blocks, width=64, bottleneck=bottleneck)
  torch_resnet.trained(model, images)
  path = _saved(torch_resnet.checkpoint(layout, model), tmp_path / "a.torch")
  encoder, _ = weights_lib.read_encoder(path)
  expected = torch_resnet.features(model, images)
  assert np.abs(expected).max() > 0.1
  np.testing.assert_allclose(_features(encoder, images), expected, atol=1e-4)


def test_a_small_stem_has_the_padding_of_its_project(tmp_path):
  images = torch_resnet.random_images()
  model = torch_resnet.ResNet(stem="small", stem_padding=2)
  torch_resnet.trained(model, images)
  content = torch_resnet.checkpoint("solo-learn", model)
  encoder, record = weights_lib.read_encoder(
    _saved(content, tmp_path / "a.ckpt")
  )
  np.testing.assert_allclose(
    _features(encoder, images),
    torch_resnet.features(model, images),
    atol=1e-4,
  )
  assert record["differences_from_torchvision"] == {"stem_padding": 2}
  assert "2 px of padding" in record["assumed"][0]


def test_lightlys_numbered_network_has_no_relu_after_the_stem(tmp_path, small):
  content = torch_resnet.checkpoint("lightly's own ResNet", small)
  encoder, record = weights_lib.read_encoder(
    _saved(content, tmp_path / "a.ckpt")
  )
  assert record["kind"] == "lightly"
  assert record["differences_from_torchvision"] == {"stem_relu": False}
  images = torch_resnet.random_images()
  small.relu = torch.nn.Identity()
  try:
    expected = torch_resnet.features(small, images)
  finally:
    small.relu = torch.nn.ReLU()
  np.testing.assert_allclose(_features(encoder, images), expected, atol=1e-4)
  with pytest.raises(errors.UsageError, match="stem_relu.*write .onnx"):
    weights_lib.write_encoder(encoder, str(tmp_path / "b.npz"))


def test_split_batch_norms_of_lightly_are_averaged(tmp_path, small):
  content = torch_resnet.checkpoint("lightly", small)
  state = content["state_dict"]
  for name, value in state.items():
    if name.endswith(("running_mean", "running_var")):
      state[name] = torch.cat([value * 0.5, value * 1.5])
  encoder, record = weights_lib.read_encoder(
    _saved(content, tmp_path / "a.ckpt")
  )
  images = torch_resnet.random_images()
  np.testing.assert_allclose(
    _features(encoder, images), torch_resnet.features(small, images), atol=1e-4
  )
  assert record["assumed"][0] == (
    "batch norm was in 2 splits, whose statistics are averaged"
  )
  state["backbone.1.running_mean"] = torch.ones(7)  # of 4 channels
  with pytest.raises(
    errors.UsageError, match=r"bn1.running_mean \[7\] instead"
  ):
    weights_lib.read_encoder(_saved(content, tmp_path / "b.ckpt"))


def _state(model):
  return dict(torch_resnet.checkpoint("torchvision", model))


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda s: s.pop("layer2.1.bn2.running_var"), "missing: layer2.1.bn2.run"),
    (lambda s: s.update(extra=torch.ones(1)), "unknown: extra"),
    (
      lambda s: s.update({"layer1.0.conv1.bias": torch.ones(4)}),
      "unknown: layer1.0.conv1.bias",
    ),
    (
      lambda s: s.update({"layer1.0.bn1.weight": torch.ones(5)}),
      r"layer1.0.bn1.weight \[5\] instead of \[4\]",
    ),
    (
      lambda s: s.update({"layer1.0.bn1.weight": torch.full([4], np.nan)}),
      "layer1.0.bn1.weight .*not finite",
    ),
    (
      lambda s: s.update({"conv1.weight": torch.ones(4, 3, 5, 5)}),
      r"conv1.weight of shape \[4, 3, 5, 5\]; expected",
    ),
    (lambda s: s.pop("conv1.weight"), "found .* arrays: bn1.weight"),
    (lambda s: s.clear(), "0 arrays"),
  ],
)
def test_names_and_shapes_that_do_not_fit_are_listed(
  tmp_path, model, change, message
):
  state = _state(model)
  change(state)
  with pytest.raises(errors.UsageError, match=message):
    weights_lib.read_encoder(_saved(state, tmp_path / "a.pth"))


def test_an_unknown_name_outside_the_encoder_is_listed(tmp_path, model):
  content = torch_resnet.checkpoint("MoCo", model)
  content["state_dict"]["module.decoder.weight"] = torch.ones(1)
  with pytest.raises(errors.UsageError, match="unknown.*: .*decoder.weight"):
    weights_lib.read_encoder(_saved(content, tmp_path / "a.pth"))


@pytest.mark.parametrize("suffix", [".pth", ".npz"])
def test_exported_weights_can_be_imported(tmp_path, suffix):
  encoder = _encoder()
  path = str(tmp_path / "folder" / f"a{suffix}")
  weights_lib.write_encoder(encoder, path)
  back, record = weights_lib.read_encoder(path)
  assert record["kind"] == "torchvision"
  ours, theirs = map(torchvision_names.state_dict, (encoder, back))
  for name, array in ours.items():
    np.testing.assert_array_equal(theirs[name], array)
  images = torch_resnet.random_images()
  np.testing.assert_array_equal(
    _features(back, images), _features(encoder, images)
  )


def _encoder(difference=None, stem="imagenet", stack=resnet.basic_stack):
  """Untrained, with moved statistics."""
  settings = {
    "stack": stack,
    "blocks": (1, 1, 1, 1),
    "width": 1 / 16,
    "stem": stem,
    "batch_norm": resnet.batch_norms.plain,
  }
  if difference is None:
    encoder = resnet.ResNet(**settings)
  else:
    encoder = foreign_resnet.ForeignResNet(difference=difference, **settings)
  images = torch_resnet.random_images()
  encoder(pixels.normalize(images), training=True)
  return encoder


def test_pytorch_loads_what_is_written_and_computes_the_same(tmp_path):
  encoder = _encoder()
  path = str(tmp_path / "a.pth")
  weights_lib.write_encoder(encoder, path)
  model = torch_resnet.ResNet()
  state = torch.load(path, weights_only=True)
  loaded = model.load_state_dict(state, strict=False)
  assert not loaded.unexpected_keys
  assert {
    name
    for name in loaded.missing_keys
    if not name.endswith("num_batches_tracked")
  } == {"fc.weight", "fc.bias"}
  images = torch_resnet.random_images()
  np.testing.assert_allclose(
    torch_resnet.features(model.eval(), images),
    _features(encoder, images),
    atol=1e-4,
  )


@pytest.mark.parametrize(
  ("difference", "stem", "stack"),
  [
    (None, "imagenet", resnet.bottleneck_stack),
    (None, "small", resnet.basic_stack),
    (
      foreign_resnet.Difference(stem_padding=2, stem_relu=False),
      "small",
      resnet.basic_stack,
    ),
    (
      foreign_resnet.Difference(
        unit_range=True, same_max_pool=True, always_project=True
      ),
      "imagenet",
      resnet.basic_stack,
    ),
  ],
)
def test_an_onnx_file_computes_the_same(tmp_path, difference, stem, stack):
  pytest.importorskip("tf2onnx", reason="needs tf2onnx to write the file")
  pytest.importorskip("onnxruntime", reason="needs ONNX Runtime to run it")
  encoder = _encoder(difference, stem, stack)
  path = str(tmp_path / "a.onnx")
  weights_lib.write_encoder(encoder, path)
  found = load.load_model(path)  # which takes the pixel range from the file
  assert found.description.preprocessing == "0..255"
  for images in (
    torch_resnet.random_images(),
    torch_resnet.random_images(3, 64, 48),
  ):
    np.testing.assert_allclose(
      found.features(images), _features(encoder, images), atol=1e-4
    )


def test_an_encoder_that_is_not_a_resnet_can_only_be_exported_as_onnx(tmp_path):
  pytest.importorskip("tf2onnx", reason="needs tf2onnx to write the file")
  pytest.importorskip("onnxruntime", reason="needs ONNX Runtime to run it")
  encoder = tf.keras.Sequential(
    [
      tf.keras.layers.Conv2D(3, 3, input_shape=[None, None, 3]),
      tf.keras.layers.GlobalAveragePooling2D(),
    ]
  )
  weights_lib.write_encoder(encoder, str(tmp_path / "a.onnx"))
  images = torch_resnet.random_images()
  np.testing.assert_allclose(
    load.load_model(str(tmp_path / "a.onnx")).features(images),
    _features(encoder, images),
    atol=1e-4,
  )
  with pytest.raises(errors.UsageError, match="Sequential.*onnx"):
    weights_lib.write_encoder(encoder, str(tmp_path / "a.npz"))


def test_outputs_that_cannot_be_written_are_named(tmp_path, monkeypatch):
  encoder = _encoder()
  taken = tmp_path / "a.npz"
  taken.write_text("kept")
  for path, message in (
    (taken, "overwrite"),
    (tmp_path / "a.zip", "unknown suffix '.zip'; expected one of .pth"),
    (taken / "b.npz", "cannot write"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      weights_lib.write_encoder(encoder, str(path))
  assert taken.read_text() == "kept"
  ours = builtins.__import__

  def without(name, *arguments, **named):
    if name in ("torch", "onnx", "tf2onnx"):
      raise ImportError(name)
    return ours(name, *arguments, **named)

  monkeypatch.setattr(builtins, "__import__", without)
  for suffix, message in (
    (".pth", "pip install torch.*.npz"),
    (".onnx", r"pip install tf_ssl\[onnx\]"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      weights_lib.write_encoder(encoder, str(tmp_path / f"b{suffix}"))
  assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
