"""Tests of tf_ssl.features.store."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.features import store
from tf_ssl.models import image_model, reader


def _model(name="mean", *, scale=1.0, pause=0.0, calls=None, fails_from=None):
  """Mean color times a scale; can sleep, record batch sizes, or give NaN."""

  def run(images):
    if calls is not None:
      calls.append(len(images))
    time.sleep(pause)
    means = images.mean(axis=(1, 2)) * scale
    if fails_from is not None:
      means[means[:, 0] >= fails_from] = np.nan
    return means

  described = reader.Reader(
    kind="function",
    run=run,
    layer="mean",
    layer_chosen="all there is",
    digest=f"scale {scale}",
    preprocessing="0..255",
    image_size=(8, 8),
    is_numpy=True,
  )
  return image_model.ImageModel(name, described)


def _folder(path, count=11, step=20):
  """Writes images of one color each: (step * i, step * i, 255)."""
  path.mkdir()
  for i in range(count):
    color = (step * i, step * i, 255)
    Image.new("RGB", (8, 8), color).save(path / f"{i:03d}.png")
  return path


@pytest.fixture(name="images")
def fixture_images(tmp_path):
  return _folder(tmp_path / "images")


def _extract(models, images, folder, **options):
  records = image_folder.read(str(images), labeled=False)
  options = {"image_size": 8, "batch_size": 4, **options}
  return store.extract(models, records, str(folder), **options)


def test_several_models_share_one_pass(images, tmp_path, monkeypatch):
  passes = []
  ours = store.numbered_images.numbered_images

  def counted(*arguments, **named):
    passes.append(named["start"])
    return ours(*arguments, **named)

  monkeypatch.setattr(store.numbered_images, "numbered_images", counted)
  models = [_model("a"), _model("b/2", scale=2.0)]
  found = _extract(models, images, tmp_path / "out")
  expected = np.float32([[20 * i, 20 * i, 255] for i in range(11)])
  np.testing.assert_allclose(found.by_model["a"], expected)
  np.testing.assert_allclose(found.by_model["b/2"], 2 * expected)
  np.testing.assert_array_equal(found.index, np.arange(11))
  assert isinstance(found.by_model["a"], np.memmap)
  assert found.skipped == {}
  assert passes == [0]


def test_an_image_that_cannot_be_read_has_no_row(images, tmp_path):
  (images / "002.png").write_bytes(b"\x89PNG and no more")
  (images / "010.png").write_bytes(b"")
  found = _extract(
    [_model()], images, tmp_path / "out", max_skipped_fraction=0.5
  )
  np.testing.assert_array_equal(found.index, [0, 1, 3, 4, 5, 6, 7, 8, 9])
  np.testing.assert_allclose(found.by_model["mean"][:, 0], 20 * found.index)
  assert set(found.skipped) == {"002.png", "010.png"}
  assert found.skipped["010.png"] == "empty file"
  with pytest.raises(errors.UsageError, match="2 of 11"):
    _extract([_model()], images, tmp_path / "b", max_skipped_fraction=0.1)


def test_all_images_unreadable_is_an_error(images, tmp_path):
  for path in images.iterdir():
    path.write_bytes(b"")
  with pytest.raises(errors.UsageError, match="none of the 11 images"):
    _extract([_model()], images, tmp_path / "out", max_skipped_fraction=1.0)


def test_finished_features_are_not_computed_again(images, tmp_path):
  _extract([_model()], images, tmp_path / "out")
  calls = []
  model = _model(calls=calls)
  probe = list(calls)
  found = _extract([model], images, tmp_path / "out")
  assert calls == probe
  np.testing.assert_allclose(found.by_model["mean"][:, 1], 20 * np.arange(11))


@pytest.mark.parametrize(
  ("change", "named"),
  [
    ({"scale": 3.0}, "models"),
    ({"image_size": 6}, "image_size"),
    ({"framing": "middle"}, "framing"),
    ({"images": True}, "images"),
  ],
)
def test_a_change_replaces_the_features_with_a_warning(
  images, tmp_path, monkeypatch, change, named
):
  _extract([_model()], images, tmp_path / "out")
  warnings = []
  monkeypatch.setattr(
    logging, "warning", lambda text, *given: warnings.append(text % given)
  )
  if change.pop("images", False):
    Image.new("RGB", (9, 9)).save(images / "011.png")
  scale = change.pop("scale", 1.0)
  found = _extract([_model(scale=scale)], images, tmp_path / "out", **change)
  assert f"different: {named})" in warnings[0]
  np.testing.assert_allclose(found.by_model["mean"][:11, 2], 255 * scale)


def test_nan_is_an_error_that_names_the_images(images, tmp_path):
  model = _model("broken", fails_from=160)
  with pytest.raises(errors.UsageError) as failed:
    _extract([model], images, tmp_path / "out")
  for part in ("'broken'", "3 of 3", "008.png to 010.png"):
    assert part in str(failed.value)


def test_names_must_differ(images, tmp_path):
  with pytest.raises(errors.UsageError, match="models: a, a; .*NAME=PATH"):
    _extract([_model("a"), _model("a")], images, tmp_path / "out")
  with pytest.raises(errors.UsageError, match="models: none; .*at least one"):
    _extract([], images, tmp_path / "out")


def test_an_unwritable_folder_is_an_error(images, tmp_path):
  (tmp_path / "out").write_text("a file")
  with pytest.raises(errors.UsageError, match="cannot write to .*out: "):
    _extract([_model()], images, tmp_path / "out")


def test_a_folder_in_use_is_refused(images, tmp_path):
  inner = []

  def try_at_once():
    with pytest.raises(errors.UsageError, match="out is in use"):
      _extract([_model()], images, tmp_path / "out")
    inner.append(True)

  model = _model()
  features = model.features

  def watched(batch):
    if not inner:
      try_at_once()
    return features(batch)

  model.features = watched
  _extract([model], images, tmp_path / "out")
  assert inner == [True]


_KILLED = """
import sys
sys.path[:0] = [{tests!r}, {root!r}]
import store_test as shared
from tf_ssl.features import store as feature_store
feature_store._SAVE_SECONDS = 0.0
shared._extract(
  [shared._model(pause=0.2)], {images!r}, {out!r},
  batch_size=2, max_skipped_fraction=0.5
)
"""


def test_after_a_kill_the_next_call_resumes(tmp_path, repository):
  images = _folder(tmp_path / "images", count=200, step=1)
  (images / "001.png").write_bytes(b"")
  out = tmp_path / "out"
  code = _KILLED.format(
    tests=str(pathlib.Path(__file__).parent),
    root=str(repository),
    images=str(images),
    out=str(out),
  )
  process = subprocess.Popen(
    [sys.executable, "-c", code],
    stderr=subprocess.PIPE,
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
  )
  state_file = out / "features-state.json"
  state, deadline = {"done": 0}, time.monotonic() + 120
  while state["done"] < 10 and time.monotonic() < deadline:
    time.sleep(0.05)
    assert process.poll() is None, process.stderr.read()
    if state_file.exists():
      state = json.loads(state_file.read_text())
  process.send_signal(signal.SIGKILL)
  process.communicate()
  state = json.loads(state_file.read_text())
  assert 10 <= state["done"] < 200 and not state["finished"]
  calls = []
  model = _model(calls=calls)
  calls.clear()
  found = _extract(
    [model], images, out, batch_size=16, max_skipped_fraction=0.5
  )
  assert sum(calls) == 200 - state["done"]
  numbers = np.delete(np.arange(200), 1)
  np.testing.assert_array_equal(found.index, numbers)
  np.testing.assert_allclose(found.by_model["mean"][:, 0], numbers)
  assert set(found.skipped) == {"001.png"}


def test_features_of_a_tensorflow_model_equal_those_of_direct_calls(
  images, tmp_path
):
  weights = tf.random.stateless_normal([3, 7], [1, 2])
  described = reader.Reader(
    kind="function",
    run=lambda x: tf.reduce_mean(x, [1, 2]) @ weights,
    layer="product",
    layer_chosen="all there is",
    digest="0",
    preprocessing="imagenet",
  )
  model = image_model.ImageModel("m", described)
  found = _extract([model], images, tmp_path / "out", batch_size=3)
  pictures = np.stack(
    [np.asarray(Image.open(path)) for path in sorted(images.iterdir())]
  )
  np.testing.assert_allclose(
    found.by_model["m"], model.features(pictures), rtol=1e-4, atol=1e-5
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
