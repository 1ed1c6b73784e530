"""Several layers in one pass equal each layer by itself."""

import sys
from concurrent import futures

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import helper, numpy_helper

from tf_ssl import errors
from tf_ssl.models import layers, load, reader

_layers = tf.keras.layers


def _images(count=3, size=32, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, [count, size, size, 3], np.uint8)


def _counting(calls):
  """A reader whose layer "i" is the image plus i, of 3 * (i + 1) channels."""

  def run(names):
    def outputs(images):
      calls.append(len(images))
      return [
        np.concatenate([images + int(name)] * (int(name) + 1), axis=-1)
        for name in names
      ]

    return outputs

  return reader.Reader(
    kind="function",
    run=lambda images: images,
    layer="output",
    layer_chosen="",
    digest="a",
    preprocessing="0..255",
    is_numpy=True,
    layers=reader.Layers([str(i) for i in range(40)], run),
  )


def test_one_pass_computes_all_layers_of_a_batch():
  calls = []
  found = layers.of_reader(
    _counting(calls), ["0", "2"], name="a", path="a.onnx"
  )
  assert [model.name for model in found] == ["a 0", "a 2"]
  assert [model.description.width for model in found] == [3, 9]
  assert {model.description.layer_of for model in found} == {"a"}
  calls.clear()
  images = _images()
  mean = images.mean(axis=(1, 2))
  for model, plus in zip(found, (0, 2), strict=True):
    expected = np.concatenate([mean + plus] * (plus + 1), axis=1)
    np.testing.assert_allclose(model.features(images), expected, rtol=1e-5)
  assert calls == [3]
  found[0].features(_images(seed=1))
  assert calls == [3, 3]


def test_threads_do_not_mix_their_batches():
  found = layers.of_reader(_counting([]), ["0", "1"], name="a", path="a.onnx")

  def both(seed):
    images = _images(seed=seed)
    one, other = (model.features(images) for model in found)
    mean = images.mean(axis=(1, 2))
    return np.allclose(one, mean) and np.allclose(other[:, :3], mean + 1)

  with futures.ThreadPoolExecutor(4) as pool:
    assert all(pool.map(both, range(40)))


def test_all_layers_are_spread_over_the_depth_and_wide_enough():
  found = layers.of_reader(
    _counting([]), ["*"], name="a", path="a.onnx", least_width=7
  )
  numbers = [int(model.description.layer) for model in found]
  assert len(numbers) == layers.MAX_LAYERS
  assert numbers[0] == 2 and numbers[-1] == 39  # 9 units; the deepest.
  assert numbers == sorted(numbers) and max(np.diff(numbers)) <= 3
  assert [m.description.width for m in found] == [3 * n + 3 for n in numbers]


def test_models_without_such_layers_are_refused():
  given = _counting([])
  with pytest.raises(errors.UsageError, match="no layer 77"):
    layers.of_reader(given, ["1", "77"], name="a", path="a.onnx")
  with pytest.raises(errors.UsageError, match="not available for function"):
    layers.of_reader(
      given._replace(layers=None), ["*"], name="a", path="a.onnx"
    )
  with pytest.raises(errors.UsageError, match="at least 500 units"):
    layers.of_reader(given, ["*"], name="a", path="b", least_width=500)


def test_the_stages_of_an_encoder_equal_single_layers():
  found = load.load_models(["random:resnet18"], layer=["*"])
  names = [f"random:resnet18 C{i}" for i in (2, 3, 4, 5)]
  assert [model.name for model in found] == names
  alone = load.load_model("random:resnet18", layer="C3")
  np.testing.assert_allclose(
    found[1].features(_images()), alone.features(_images()), rtol=1e-5
  )
  assert found[1].description.width == alone.description.width == 128


def test_the_block_ends_of_a_keras_model_equal_single_layers(tmp_path):
  tf.keras.utils.set_random_seed(0)
  given = maps = tf.keras.Input([None, None, 3])
  for i in range(4):
    maps = _layers.Conv2D(4 + i, 3, strides=2, name=f"conv{i}")(maps)
    maps = _layers.Activation("relu", name=f"relu{i}")(maps)
  pooled = _layers.GlobalAveragePooling2D(name="pool")(maps)
  scores = _layers.Dense(2, activation="softmax", name="head")(pooled)
  path = str(tmp_path / "a.keras")
  tf.keras.Model(given, scores).save(path)
  found = load.load_models([path], layer=["*"], preprocessing=["0..1"])
  assert [model.description.layer for model in found] == [
    *("relu0", "relu1", "relu2", "relu3"),
    "pool",
  ]
  alone = load.load_model(path, layer="relu2", preprocessing="0..1")
  np.testing.assert_allclose(
    found[2].features(_images()), alone.features(_images()), rtol=1e-5
  )


def test_the_block_ends_of_an_onnx_file_equal_single_tensors(tmp_path):
  rng = np.random.default_rng(0)
  kernel = rng.normal(size=[3, 3, 1, 1]).astype(np.float32)
  nodes, last = [], "images"
  for i in range(4):
    nodes += [
      helper.make_node("Conv", [last, "kernel"], [f"conv{i}"]),
      helper.make_node("Add", [f"conv{i}", "bias"], [f"biased{i}"]),
      helper.make_node("Add", [f"biased{i}", last], [f"sum{i}"]),
    ]
    last = f"sum{i}"
  nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"]))
  graph = helper.make_graph(
    nodes,
    "graph",
    [helper.make_tensor_value_info("images", 1, ["B", 3, "H", "W"])],
    [onnx.ValueInfoProto(name="pooled")],
    [
      numpy_helper.from_array(kernel, "kernel"),
      numpy_helper.from_array(np.ones([3, 1, 1], np.float32), "bias"),
    ],
  )
  model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
  )
  path = str(tmp_path / "a.onnx")
  onnx.save(model, path)
  found = load.load_models([path], layer=["a=*"], preprocessing=["0..1"])
  assert [model.description.layer for model in found] == [
    *("sum0", "sum1", "sum2", "sum3"),
    "pooled",
  ]
  alone = load.load_model(path, layer="sum1", preprocessing="0..1")
  np.testing.assert_allclose(
    found[1].features(_images()), alone.features(_images()), rtol=1e-5
  )


@pytest.mark.parametrize(
  ("kinds", "expected"),
  [
    ("cacacaca", "1357"),
    ("cacacacac", "13578"),  # And the last.
    ("csacsacsacsa", "1471011"),
    ("cac", "012"),
  ],
)
def test_blocks_end_in_sums_or_else_in_activations(kinds, expected):
  named = [(str(i), kind) for i, kind in enumerate(kinds)]
  found = reader.block_ends(named, (("s",), ("a",)))
  assert "".join(found) == expected


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
