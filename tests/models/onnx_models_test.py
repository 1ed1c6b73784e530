"""Tests of tf_ssl.models.onnx_models."""

import builtins
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tf_ssl import errors
from tf_ssl.models import load

_WEIGHTS = np.random.default_rng(1).normal(size=[3, 4]).astype(np.float32)


def _images(count=3, size=6):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [count, size, size, 3], np.uint8)


def _save(path, shape, nodes, outputs=("scores",), metadata=None, dtype=1):
  graph = helper.make_graph(
    nodes,
    "graph",
    [helper.make_tensor_value_info("images", dtype, shape)],
    [onnx.ValueInfoProto(name=name) for name in outputs],
    [numpy_helper.from_array(_WEIGHTS, "weights")],
  )
  opset = [helper.make_opsetid("", 17)]
  model = helper.make_model(graph, opset_imports=opset, ir_version=8)
  if metadata:
    helper.set_model_props(model, metadata)
  path.parent.mkdir(exist_ok=True)
  onnx.save(model, path)
  return str(path)


def _classifier():
  return [
    helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
    helper.make_node("Flatten", ["pooled"], ["flat"]),
    helper.make_node("MatMul", ["flat", "weights"], ["hidden"]),
    helper.make_node("Softmax", ["hidden"], ["scores"]),
  ]


def test_the_tensor_before_the_classifier_is_read(tmp_path):
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], _classifier())
  found = load.load_model(path, preprocessing="0..1")
  expected = _images().mean(axis=(1, 2)) / 255
  np.testing.assert_allclose(found.features(_images()), expected, rtol=1e-5)
  told = found.description
  assert (told.kind, told.layer, told.width) == ("ONNX file", "pooled", 3)
  assert told.layer_chosen == "the last global pooling"
  assert told.note == ""
  assert told.image_size is None and told.batch_size is None


@pytest.mark.parametrize("layer", ["hidden", "output"])
def test_any_tensor_can_be_read_by_name(tmp_path, layer):
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], _classifier())
  found = load.load_model(path, preprocessing="-1..1", layer=layer)
  expected = (_images().mean(axis=(1, 2)) / 127.5 - 1) @ _WEIGHTS
  if layer == "output":
    expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
  np.testing.assert_allclose(found.features(_images()), expected, rtol=1e-4)


def test_channels_last_and_a_fixed_batch_size(tmp_path):
  nodes = [helper.make_node("MatMul", ["images", "weights"], ["scores"])]
  path = _save(tmp_path / "a.onnx", [2, 6, 6, 3], nodes)
  found = load.load_model(path, preprocessing="0..255", layer="output")
  expected = _images().mean(axis=(1, 2)) @ _WEIGHTS
  np.testing.assert_allclose(
    found.features(_images()), expected, rtol=1e-4, atol=1e-3
  )
  assert "a map [B, h, w, C], is averaged" in found.description.note
  assert found.description.batch_size == 2
  assert found.description.image_size == [6, 6]


def test_a_channels_first_map_is_averaged_over_h_and_w(tmp_path):
  nodes = [helper.make_node("Relu", ["images"], ["scores"])]
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], nodes)
  found = load.load_model(path, preprocessing="0..255", layer="output")
  np.testing.assert_allclose(
    found.features(_images()), _images().mean(axis=(1, 2)), rtol=1e-5
  )
  assert "a map [B, C, h, w], is averaged" in found.description.note


def test_an_ambiguous_layout_is_found_by_a_test_run(tmp_path):
  nodes = [
    helper.make_node("MatMul", ["images", "weights"], ["product"]),
    helper.make_node("ReduceMean", ["product"], ["scores"], axes=[1, 2]),
  ]
  path = _save(tmp_path / "a.onnx", ["a", "b", "c", "d"], nodes)
  found = load.load_model(path, preprocessing="0..255", layer="output")
  np.testing.assert_allclose(
    found.features(_images()).reshape(3, 4),
    _images().mean(axis=(1, 2)) @ _WEIGHTS,
    rtol=1e-4,
    atol=1e-3,
  )


def test_the_pixel_range_in_the_metadata_is_used(tmp_path):
  path = _save(
    tmp_path / "a.onnx",
    ["B", 3, "H", "W"],
    _classifier(),
    metadata={"Image.NominalPixelRange": "Normalized_1_1"},
  )
  found = load.load_model(path)
  assert found.description.preprocessing == "-1..1"
  expected = _images().mean(axis=(1, 2)) / 127.5 - 1
  np.testing.assert_allclose(found.features(_images()), expected, atol=1e-5)


def test_a_file_without_metadata_needs_preprocessing(tmp_path):
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], _classifier())
  with pytest.raises(errors.UsageError, match="a.onnx.*set preprocessing"):
    load.load_model(path)


def test_damaged_files_and_unknown_tensors_are_refused(tmp_path):
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], _classifier())
  with pytest.raises(errors.UsageError, match="'x'.*pooled, flat.*`layer`"):
    load.load_model(path, layer="x", preprocessing="0..1")
  (tmp_path / "b.onnx").write_bytes(b"\xff no graph")
  with pytest.raises(errors.UsageError, match="b.onnx cannot be"):
    load.load_model(str(tmp_path / "b.onnx"), preprocessing="0..1")
  nodes = [helper.make_node("Relu", ["images"], ["scores"])]
  flat = _save(tmp_path / "c.onnx", ["B", 12], nodes)
  with pytest.raises(errors.UsageError, match="c.onnx .*rank 4"):
    load.load_model(flat, preprocessing="0..1")


def test_a_batch_that_is_fixed_inside_runs_image_by_image(tmp_path):
  shape = helper.make_node(
    "Constant",
    [],
    ["shape"],
    value=numpy_helper.from_array(np.array([1, 3]), "value"),
  )
  nodes = [
    helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
    shape,
    helper.make_node("Reshape", ["pooled", "shape"], ["scores"]),
  ]
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], nodes)
  found = load.load_model(path, preprocessing="0..255", layer="output")
  np.testing.assert_allclose(
    found.features(_images()), _images().mean(axis=(1, 2)), rtol=1e-5
  )


@pytest.mark.parametrize("location", ["/etc/hostname", "../a", "b/../../a"])
@pytest.mark.parametrize("layer", [None, "output", "flat"])
def test_weights_outside_the_folder_are_refused(tmp_path, location, layer):
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], _classifier())
  model = onnx.load(path)
  [weights] = model.graph.initializer
  onnx.external_data_helper.set_external_data(weights, location)
  weights.ClearField("raw_data")
  (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
  with pytest.raises(errors.UsageError, match=f"'{location}'.*the folder of"):
    load.load_model(path, preprocessing="0..1", layer=layer)


def test_weights_that_are_nan_are_refused(tmp_path):
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], _classifier())
  model = onnx.load(path)
  bad = numpy_helper.from_array(np.full([3, 4], np.nan, np.float32), "weights")
  model.graph.initializer[0].CopyFrom(bad)
  onnx.save(model, path)
  with pytest.raises(errors.UsageError, match="12 of 12 .*weights are NaN"):
    load.load_model(path, preprocessing="0..1")


def test_a_single_dense_layer_on_the_images_is_the_output(tmp_path):
  nodes = [helper.make_node("MatMul", ["images", "weights"], ["scores"])]
  path = _save(tmp_path / "a.onnx", ["B", "H", "W", 3], nodes)
  found = load.load_model(path, preprocessing="0..255")
  assert found.description.layer == "scores" and found.description.width == 4


def test_a_graph_that_is_a_loop_is_refused(tmp_path):
  nodes = [
    helper.make_node("Relu", ["scores"], ["other"]),
    helper.make_node("Relu", ["other"], ["scores"]),
  ]
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], nodes)
  with pytest.raises(errors.UsageError, match="cannot load .*a.onnx"):
    load.load_model(path, preprocessing="0..1")


def test_names_that_are_no_text_are_refused(tmp_path):
  path = tmp_path / "a.onnx"
  _save(path, ["B", 3, "H", "W"], _classifier())
  path.write_bytes(path.read_bytes().replace(b"pooled", b"\xffooled"))
  for layer in (None, "x"):
    with pytest.raises(errors.UsageError, match="a.onnx .*no text"):
      load.load_model(str(path), preprocessing="0..1", layer=layer)


def test_weights_in_a_file_next_to_the_model_are_read(tmp_path):
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], _classifier())
  model = onnx.load(path)
  onnx.save(
    model, path, save_as_external_data=True, location="w", size_threshold=0
  )
  assert (tmp_path / "w").stat().st_size == _WEIGHTS.nbytes
  found = load.load_model(path, preprocessing="0..255", layer="hidden")
  expected = _images().mean(axis=(1, 2)) @ _WEIGHTS
  np.testing.assert_allclose(found.features(_images()), expected, rtol=1e-4)


def test_a_missing_package_is_an_error_that_names_it(tmp_path, monkeypatch):
  path = _save(tmp_path / "a.onnx", ["B", 3, "H", "W"], _classifier())
  ours = builtins.__import__

  def importing(missing):
    def without(name, *arguments, **named):
      if name == missing:
        raise ImportError(name)
      return ours(name, *arguments, **named)

    return without

  monkeypatch.setattr(builtins, "__import__", importing("onnx"))
  found = load.load_model(path, preprocessing="0..1")
  assert found.description.layer == "scores"
  assert "pip install onnx" in found.description.layer_chosen
  monkeypatch.setattr(builtins, "__import__", importing("onnxruntime"))
  with pytest.raises(errors.UsageError, match=r"pip install tf_ssl\[onnx\]"):
    load.load_model(path, preprocessing="0..1")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
