"""Imported encoders compute the features of their projects."""

import builtins
import contextlib
import hashlib
import os
import pickle
import resource
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.export import torch_resnet_reference as torch_resnet
from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.export import (
  foreign_resnet,
  model_garden_checkpoint,
  saved_model,
  torchvision_names,
  weight_files,
)
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


@pytest.mark.parametrize(
  ("layout", "prefix", "others"),
  [
    ("torch.compile", "_orig_mod.", []),
    ("torch.compile in DDP", "model.module._orig_mod.", []),
    ("DDP in torch.compile", "model._orig_mod.module.", []),
    ("torch.compile in Lightning", "state_dict.model._orig_mod.", []),
    ("DINO", "teacher.backbone.", ["student.module.backbone."]),
    ("Barlow Twins", "model.module.backbone.", []),
    ("SupContrast", "model.encoder.module.", []),
    (
      "OpenSelfSup MoCo",
      "state_dict.backbone.",
      ["state_dict.encoder_q.0.", "state_dict.encoder_k.0."],
    ),
    ("mmselfsup MoCo", "state_dict.backbone.", ["state_dict.encoder_k.0."]),
    (
      "mmengine",
      "state_dict.backbone.",
      ["ema_state_dict.module.backbone."],
    ),
    (
      "BYOL (lucidrains)",
      "target_encoder.net.",
      ["online_encoder.net.", "net."],
    ),
    (
      "BYOL (sthalles)",
      "target_network_state_dict.encoder.",
      ["online_network_state_dict.encoder."],
    ),
    ("own project", "any.1.deep.net_a.body.", []),
  ],
)
def test_an_encoder_is_found_under_any_prefix(
  tmp_path, model, layout, prefix, others
):
  content = torch_resnet.checkpoint(layout, model)
  path = _saved(content, tmp_path / "a.pth")
  encoder, record = weights_lib.read_encoder(path)
  assert record["prefix"] == prefix
  assert record["other_prefixes"] == others
  images = torch_resnet.random_images()
  expected = torch_resnet.features(model, images)
  np.testing.assert_allclose(_features(encoder, images), expected, atol=1e-4)
  assert record["differences_from_torchvision"] == {}
  unused = [name for names in record["ignored"].values() for name in names]
  used = torchvision_names.variables(encoder)
  assert len(unused) + len(used) == len(weight_files.read(path))


def test_the_user_chooses_among_encoders_by_prefix(tmp_path, model):
  content = torch_resnet.checkpoint("DINO", model)
  path = _saved(content, tmp_path / "a.pth")
  teacher, _ = weights_lib.read_encoder(path, prefix="teacher.backbone")
  student, record = weights_lib.read_encoder(path, prefix="student")
  assert record["prefix"] == "student.module.backbone."
  found, other = map(torchvision_names.state_dict, (student, teacher))
  for name, array in found.items():
    np.testing.assert_allclose(array, other[name] + 1, atol=1e-6)
  for prefix, message in (("wrong", "0 ResNets"), ("backbone", "2 ResNets")):
    with pytest.raises(
      errors.UsageError, match=f"a.pth: {message} .*'teacher.backbone.'"
    ):
      weights_lib.read_encoder(path, prefix=prefix)


def test_another_encoder_does_not_stand_in_for_a_damaged_one(tmp_path, model):
  content = torch_resnet.checkpoint("MoCo", model)
  del content["state_dict"]["module.encoder_q.bn1.weight"]
  path = _saved(content, tmp_path / "a.pth")
  with pytest.raises(errors.UsageError, match="missing: bn1.weight"):
    weights_lib.read_encoder(path)


@pytest.mark.parametrize("padding", [None, 1, 2])
def test_the_padding_of_an_unknown_projects_small_stem_is_said_and_set(
  tmp_path, padding
):
  images = torch_resnet.random_images()
  model = torch_resnet.ResNet(stem="small", stem_padding=padding or 1)
  torch_resnet.trained(model, images)
  content = torch_resnet.checkpoint("Barlow Twins", model)
  path = _saved(content, tmp_path / "a.pth")
  encoder, record = weights_lib.read_encoder(path, stem_padding=padding)
  expected = torch_resnet.features(model, images)
  np.testing.assert_allclose(_features(encoder, images), expected, atol=1e-4)
  [line] = record["assumed"]
  assert f"3x3 stem has stride 1, {padding or 1} px" in line
  assert "stem_padding" in line and record["kind"] == "backbone"


def test_a_padding_is_refused_where_it_has_no_meaning(tmp_path, model, small):
  for network, padding, message in (
    (model, 1, "stem_padding=1: the stem is not of 3x3"),
    (small, 9, "stem_padding=9: expected 1, 2 or 3"),
  ):
    path = _saved(network.state_dict(), tmp_path / "a.pth")
    with pytest.raises(errors.UsageError, match=message):
      weights_lib.read_encoder(path, stem_padding=padding)


@pytest.mark.parametrize("layout", ["MoCo", "DINO"])
def test_arrays_of_numpy_give_the_same_encoder(tmp_path, model, layout):
  def as_arrays(value):
    if isinstance(value, dict):
      return {key: as_arrays(item) for key, item in value.items()}
    return value.numpy() if torch.is_tensor(value) else value

  content = torch_resnet.checkpoint(layout, model)
  expected, _ = weights_lib.read_encoder(_saved(content, tmp_path / "a.pth"))
  arrays = as_arrays(content)
  with open(tmp_path / "b.pkl", "wb") as file:
    pickle.dump(arrays, file)
  for path in (_saved(arrays, tmp_path / "b.pth"), str(tmp_path / "b.pkl")):
    encoder, _ = weights_lib.read_encoder(path)
    for ours, theirs in zip(encoder.weights, expected.weights, strict=True):
      np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("shape", [(0, 3, 7, 7), (2**20, 3, 7, 7)])
def test_a_stem_of_impossible_width_is_refused_before_it_is_built(
  tmp_path, model, shape
):
  state = _state(model)
  state["conv1.weight"] = torch.zeros(1).expand(shape)
  path = _saved(state, tmp_path / "a.pth")
  with pytest.raises(errors.UsageError, match="of shape|fill the memory"):
    weights_lib.read_encoder(path)


def test_arrays_far_larger_than_their_file_are_refused(tmp_path, monkeypatch):
  arrays = torchvision_names.state_dict(_encoder())
  path = str(tmp_path / "a.npz")
  np.savez_compressed(path, **{n: np.zeros_like(a) for n, a in arrays.items()})
  weights_lib.read_encoder(path)
  monkeypatch.setattr(weight_files, "_MAX_SMALL_BYTES", 0)
  monkeypatch.setattr(weight_files, "_MAX_EXPANSION", 1)
  monkeypatch.setattr(torchvision_names, "build", pytest.fail)
  with pytest.raises(errors.UsageError, match="made to fill the memory"):
    weights_lib.read_encoder(path)


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
    (
      lambda s: s.update({"layer1.0.se.weight": torch.ones(1)}),
      "unknown: layer1.0.se.weight",
    ),
    (lambda s: s.update({"bn2.bias": torch.ones(4)}), "unknown: bn2.bias"),
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


def test_what_is_outside_the_encoder_is_listed_as_unused(tmp_path, model):
  content = torch_resnet.checkpoint("MoCo", model)
  content["state_dict"]["module.decoder.weight"] = torch.ones(1)
  content["state_dict"]["module.encoder_q.extra"] = torch.ones(1)
  path = _saved(content, tmp_path / "a.pth")
  _, record = weights_lib.read_encoder(path)
  assert record["ignored"]["no part of the encoder"] == [
    "state_dict.module.decoder.weight"
  ]
  assert record["ignored"]["beside the encoder"] == [
    "state_dict.module.encoder_q.extra"
  ]


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


@pytest.mark.parametrize("folder", ["[v1] a*", os.fsdecode(b"caf\xe9")])
@pytest.mark.parametrize("kind", ["a.npz", "a.pth", "model", "a.ckpt"])
def test_weights_are_written_and_read_in_a_folder_of_any_name(
  tmp_path, folder, kind
):
  encoder = resnet.resnet18(width=1 / 16)
  encoder(np.zeros([1, 32, 32, 3], np.float32))
  path = str(tmp_path / folder / kind)
  if kind == "model":
    saved_model.export_encoder(encoder, None, path, provenance={})
  elif kind == "a.ckpt":
    model_garden_checkpoint.write(encoder, path)
  else:
    weights_lib.write_encoder(encoder, path)
  kernel = np.sort(encoder.stem_conv.kernel.numpy().ravel())
  assert any(
    array.shape and np.array_equal(np.sort(array.read().ravel()), kernel)
    for array in weight_files.read(path).values()
  )


@contextlib.contextmanager
def _full_disk():
  """No file can become larger than 4 KiB."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", [".npz", ".pth", ".onnx", ".ckpt"])
def test_on_a_full_disk_the_earlier_file_stays_whole(tmp_path, suffix):
  if suffix == ".onnx":
    pytest.importorskip("tf2onnx", reason="needs tf2onnx to write the file")
  encoder, path = _encoder(), tmp_path / f"a{suffix}"
  write = weights_lib.write_encoder
  if suffix == ".ckpt":
    encoder = resnet.resnet18(width=1 / 16)
    encoder(np.zeros([1, 32, 32, 3], np.float32))
    write = model_garden_checkpoint.write
  write(encoder, str(path))

  def content():
    return {
      file.relative_to(tmp_path): file.read_bytes()
      for file in tmp_path.rglob("*")
      if file.is_file()
    }

  before = content()
  assert max(map(len, before.values())) > 4096
  with _full_disk(), pytest.raises(errors.UsageError) as failed:
    write(encoder, str(path), overwrite=True)
  message = str(failed.value)
  assert f"cannot write to {path}: File too large" in message
  assert "\n" not in message
  assert content() == before


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
