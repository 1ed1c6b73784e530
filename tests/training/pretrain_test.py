"""Tests of tf_ssl.training.pretrain: whole runs on a few small pictures."""

import functools
import json
import os
import pathlib
import shutil
import signal
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from tests.encoders import shallow_reference
from tf_ssl import errors
from tf_ssl.augment import croppers, jigsaw, multi_crop, recipes
from tf_ssl.encoders import batch_norm, principal_filters
from tf_ssl.export import saved_model
from tf_ssl.methods import emp_ssl, hybrid, moco, pirl, supervised
from tf_ssl.methods import multi_crop as multi_crop_methods
from tf_ssl.ops import bfloat16
from tf_ssl.training import (
  assembly,
  attention_boxes,
  metrics_log,
  non_finite,
  phases,
  pretrain,
  run_directory,
  settings,
  summary,
)
from tf_ssl.training.distributed import cluster
from tf_ssl.training.monitors import (
  base,
  labeled,
  projector,
  representation,
  views,
)

pytestmark = pytest.mark.slow

CONFIG = "settings.Pretraining.steps = 6\n"


def write_images(folder: pathlib.Path, count: int, classes: int = 1):
  rng = np.random.default_rng(0)
  for i in range(count):
    path = folder / f"class{i % classes}" / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    color = rng.integers(0, 256, size=3)
    noise = rng.integers(0, 60, size=[20, 24, 3])
    image = np.clip(color + noise, 0, 255).astype(np.uint8)
    tf.io.write_file(str(path), tf.io.encode_png(image))
  return str(folder)


def tiny(folder, **changes):
  values = {
    "images": folder,
    "method": functools.partial(
      moco.build_moco,
      encoder=shallow_reference.resnet10,
      queue_size=16,
    ),
    "recipe": recipes.moco_v2(),
    "image_size": 16,
    "batch_size": 8,
    "steps": 6,
    "learning_rate": 0.03,
    "log_every": 2,
    "monitors": (representation.Representation(every=4),),
    "checkpoint_every_steps": 4,
    "precision": "float32",
    **changes,
  }
  return settings.Pretraining(**values)


def run(run_settings, model_dir, config=CONFIG, **kwargs):
  return pretrain.pretrain(
    run_settings,
    model_dir=str(model_dir),
    operative_config=lambda: config,
    command="the command",
    **kwargs,
  )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """A run that reached its end, and what it returned."""
  folder = tmp_path_factory.mktemp("run")
  images = write_images(folder / "images", 24)
  folders = write_images(folder / "labeled", 8, classes=2)
  run_settings = tiny(
    images,
    monitors=[
      representation.Representation(every=4),
      views.Views(),
      labeled.LabeledImages(train=folders, test=folders, k=3, every=4),
      projector.Projector(images=folders, every=4),
    ],
    finish_views_in_step=True,
  )
  return run_settings, run(run_settings, folder / "model")


def test_a_run_writes_the_files_that_the_docs_name(finished):
  _, result = finished
  model_dir = pathlib.Path(result.model_dir)
  assert {p.name for p in model_dir.iterdir()} == {
    ".lock",
    "checkpoints",
    "tensorboard",
    "metrics.jsonl",
    "operative_config.gin",
    "run.json",
    "saved_model",
  }
  assert result.finished
  assert result.step == 6
  assert result.checkpoint.endswith("checkpoints/step-6")
  assert (model_dir / "operative_config.gin").read_text() == CONFIG
  record = json.loads((model_dir / "run.json").read_text())
  assert record["data"]["count"] == 24
  assert record["versions"]["tensorflow"] == tf.__version__
  assert record["wall_seconds"] > 0
  assert record["peak_memory_bytes"] > 1e8
  assert record["command"] == "the command"


def test_the_metrics_have_one_record_for_each_logged_step(finished):
  _, result = finished
  records = metrics_log.read(f"{result.model_dir}/metrics.jsonl")
  assert [r["step"] for r in records] == [0, 2, 4, 6]
  assert {
    "step",
    "loss",
    "contrastive_accuracy",
    "gradient_norm",
    "learning_rate",
    "images_per_second",
    "data_wait_fraction",
  } <= set(records[1])
  measured = [r["step"] for r in records if "knn_accuracy" in r]
  assert measured == [0, 4, 6]
  for name in ("knn_accuracy", "embedding_std"):
    assert result.before[name] == records[0][name]
    assert result.after[name] == records[-1][name]
  [finding] = result.findings
  assert f"{result.before['knn_accuracy']:.1%}" in finding
  assert finding in summary.lines(result)[0]
  assert 0 < records[1]["learning_rate"] <= 0.03
  assert 0 <= records[1]["data_wait_fraction"] <= 1


def test_the_export_equals_the_trained_encoder(finished):
  run_settings, result = finished
  model, _, checkpoint = assembly.restore_method(run_settings, result.model_dir)
  assert checkpoint == result.checkpoint
  exported = tf.saved_model.load(result.saved_model)
  images = tf.random.stateless_uniform([2, 16, 16, 3], [0, 1], 0, 255)
  from tf_ssl.ops import pixels

  expected = model(pixels.normalize(images), training=False)
  np.testing.assert_allclose(exported.features(images), expected, atol=1e-5)


def test_a_finished_run_is_not_trained_again(finished):
  run_settings, result = finished
  metrics = pathlib.Path(result.model_dir, "metrics.jsonl")
  before = metrics.read_bytes()
  assert run(run_settings, result.model_dir).after == result.after
  assert metrics.read_bytes() == before


@pytest.mark.parametrize(
  "name, content",
  [
    ("run.json", b""),
    ("run.json", b'{"command": "the'),
    ("metrics.jsonl", b""),
    ("metrics.jsonl", b'{"step": 0, "knn_acc'),
    ("saved_model/saved_model.pb", b""),
    ("saved_model/provenance.json", None),
    ("checkpoints/checkpoint", None),
    ("checkpoints/checkpoint", b"\0\xff"),
  ],
)
def test_a_finished_run_with_a_damaged_file_stays_finished(
  finished, tmp_path, name, content
):
  run_settings, result = finished
  model_dir = tmp_path / "a[1]"
  shutil.copytree(result.model_dir, model_dir)
  (model_dir / name).unlink()
  if content is not None:
    (model_dir / name).write_bytes(content)
  again = run(run_settings, model_dir)
  assert again.finished and again.step == 6
  assert again.checkpoint == str(model_dir / "checkpoints" / "step-6")
  assert summary.lines(again)
  assert saved_model.is_whole(again.saved_model)
  record = json.loads((model_dir / "run.json").read_text())
  assert record["step"] == 6 and record["data"]["count"] == 24


def test_a_run_whose_checkpoints_are_gone_is_not_started_again(
  finished, tmp_path
):
  run_settings, result = finished
  model_dir = tmp_path / "run"
  shutil.copytree(result.model_dir, model_dir)
  shutil.rmtree(model_dir / "checkpoints")
  before = (model_dir / "metrics.jsonl").read_bytes()
  with pytest.raises(errors.UsageError, match="step 6.*--overwrite"):
    run(run_settings, model_dir)
  assert (model_dir / "metrics.jsonl").read_bytes() == before


def test_a_tensorboard_folder_that_cannot_be_written_is_named(tmp_path):
  model_dir = tmp_path / "run"
  model_dir.mkdir()
  (model_dir / "operative_config.gin").write_text(CONFIG)
  (model_dir / "tensorboard").write_text("a file")
  images = write_images(tmp_path / "images", 24)
  with pytest.raises(errors.UsageError, match="run/tensorboard.*--model_dir"):
    run(tiny(images), model_dir)


def test_another_encoder_is_refused_and_all_checkpoints_stay(
  finished, tmp_path
):
  run_settings, result = finished
  model_dir = tmp_path / "run"
  shutil.copytree(result.model_dir, model_dir)
  before = sorted(path.name for path in (model_dir / "checkpoints").iterdir())
  wider = tiny(
    run_settings.images,
    method=functools.partial(
      moco.build_moco,
      encoder=functools.partial(shallow_reference.resnet10, width=1 / 8),
      queue_size=16,
    ),
  )
  with pytest.raises(errors.UsageError, match="step-6.*--model_dir"):
    run(wider, model_dir)
  after = sorted(path.name for path in (model_dir / "checkpoints").iterdir())
  assert after == before


def test_the_folder_is_locked_before_the_images_are_read(tmp_path):
  model_dir = tmp_path / "run"
  with run_directory.locked(str(model_dir), cluster.read()):
    with pytest.raises(errors.UsageError, match=f"{os.getpid()}"):
      run(tiny(str(tmp_path / "no images")), model_dir)
  (tmp_path / "thesis").mkdir()
  (tmp_path / "thesis" / "text").write_text("years of work")
  with pytest.raises(errors.UsageError, match="thesis.*--model_dir"):
    run(tiny(str(tmp_path / "no images")), tmp_path / "thesis")
  assert os.listdir(tmp_path / "thesis") == ["text"]
  with pytest.raises(errors.UsageError, match="no images"):
    run(tiny(str(tmp_path / "no images")), tmp_path / "new")
  assert not (tmp_path / "new").exists()


def test_other_images_are_refused(tmp_path):
  folder = write_images(tmp_path / "images", 24)
  run(tiny(folder, steps=2), tmp_path / "run")
  write_images(tmp_path / "images", 26)
  with pytest.raises(errors.UsageError, match="24 images.*26.*--model_dir"):
    run(tiny(folder, steps=2), tmp_path / "run")


def rewind(model_dir, step):
  """Removes later checkpoints, as if the run had been killed before them."""
  for path in (model_dir / "checkpoints").glob("step-*"):
    if int(path.name.split("-")[1].split(".")[0]) > step:
      path.unlink()
  path = str(model_dir / "checkpoints" / f"step-{step}")
  tf.compat.v1.train.update_checkpoint_state(
    str(model_dir / "checkpoints"), path, [path]
  )
  shutil.rmtree(model_dir / "saved_model")


def tensors(model_dir):
  reader = tf.train.load_checkpoint(str(model_dir / "checkpoints"))
  names = reader.get_variable_to_shape_map()
  return {n: reader.get_tensor(n) for n in names if "save_counter" not in n}


ENCODER = shallow_reference.resnet10
OTHER_METHODS = {
  "pirl": {
    "method": functools.partial(
      pirl.build_pirl, encoder=ENCODER, num_negatives=5
    ),
    "recipe": (
      recipes.pirl(),
      jigsaw.pirl_patches(patch=recipes.pirl(), cell_size=6, patch_size=4),
    ),
  },
  "multi_crop_moco": {
    "method": functools.partial(
      multi_crop_methods.build_multi_crop_moco,
      moco=functools.partial(moco.build_moco, encoder=ENCODER, queue_size=16),
    ),
    "recipe": (
      recipes.moco_v2(),
      multi_crop.crops(recipe=recipes.moco_v2(), number=3, size=8),
    ),
  },
  "emp_ssl": {
    "method": functools.partial(emp_ssl.build_emp_ssl, encoder=ENCODER),
    "recipe": multi_crop.crops(
      recipe=recipes.simclr(), number=4, size=None, area=(0.25, 0.25)
    ),
    "learning_rate": 1e-3,
  },
  "supervised": {
    "method": functools.partial(supervised.build_supervised, encoder=ENCODER),
    "recipe": recipes.supervised(),
    "labels": "all",
  },
  "hybrid": {
    "method": functools.partial(
      hybrid.build_hybrid,
      contrastive=functools.partial(
        moco.build_moco, encoder=ENCODER, queue_size=16
      ),
    ),
    "labels": "some",
    "labeled_fraction": 0.5,
  },
}


@pytest.mark.parametrize(
  "name, finish_in_step, precision",
  [
    ("pirl", False, "float32"),
    ("pirl", True, "float32"),
    ("multi_crop_moco", False, "float32"),
    ("multi_crop_moco", True, "float32"),
    ("emp_ssl", False, "float32"),
    ("supervised", False, "float32"),
    ("hybrid", True, "float32"),
    ("hybrid", False, "mixed_bfloat16"),
  ],
)
def test_other_methods_resume_with_the_same_bits(
  tmp_path, name, finish_in_step, precision
):
  folder = write_images(tmp_path / "images", 24, classes=3)
  changes = {
    **OTHER_METHODS[name],
    "deterministic": True,
    "finish_views_in_step": finish_in_step,
    "monitors": (),
    "precision": precision,
  }
  model_dir = tmp_path / "run"
  assert run(tiny(folder, **changes), model_dir).finished
  expected = tensors(model_dir)
  assert (model_dir / "saved_model" / "saved_model.pb").exists()
  rewind(model_dir, 4)
  assert run(tiny(folder, **changes), model_dir).finished
  actual = tensors(model_dir)
  assert expected.keys() == actual.keys()
  for tensor, value in expected.items():
    np.testing.assert_array_equal(actual[tensor], value, err_msg=tensor)


def test_a_resumed_run_keeps_its_weights_instead_of_initializing_again(
  tmp_path,
):
  folder = write_images(tmp_path / "images", 24)
  seen = []

  def initialize(encoder, images, *, seed):
    seen.append(images.shape)
    principal_filters.initialize(encoder, images, seed=seed)

  changes = {
    "initialize": initialize,
    "deterministic": True,
    "finish_views_in_step": True,
    "monitors": (),
  }
  assert run(tiny(folder, **changes), tmp_path / "run").finished
  expected = tensors(tmp_path / "run")
  rewind(tmp_path / "run", 4)
  assert run(tiny(folder, **changes), tmp_path / "run").finished
  assert seen == [(48, 16, 16, 3)]  # All 6 batches of 8 views.
  actual = tensors(tmp_path / "run")
  for tensor, value in expected.items():
    np.testing.assert_array_equal(actual[tensor], value, err_msg=tensor)


@pytest.mark.parametrize("in_hardware", [False, True])
def test_the_precision_of_a_new_run_is_recorded_and_the_export_is_float32(
  tmp_path, monkeypatch, capsys, in_hardware
):
  support = bfloat16.Support(in_hardware, "a test says so")
  monkeypatch.setattr(bfloat16, "support", lambda: support)
  folder = write_images(tmp_path / "images", 24)
  changes = {"precision": "auto", "steps": 2, "monitors": ()}
  model_dir = tmp_path / "run"
  result = run(tiny(folder, **changes), model_dir)
  policy = "mixed_bfloat16" if in_hardware else "float32"
  line = f"Precision: {policy}, because a test says so."
  assert capsys.readouterr().err.count(line) == 1
  record = json.loads((model_dir / "run.json").read_text())
  assert record["precision"] == policy
  model = tf.saved_model.load(result.saved_model)
  graph = model.features.concrete_functions[0].graph.as_graph_def()
  kinds = {n.attr["T"].type for f in graph.library.function for n in f.node_def}
  assert tf.float32.as_datatype_enum in kinds
  assert tf.bfloat16.as_datatype_enum not in kinds
  method, _, _ = assembly.restore_method(tiny(folder, **changes), model_dir)
  assert method.encoder.compute_dtype == "float32"


@pytest.mark.parametrize(
  "name, changes, killed_at",
  [
    ("moco", {}, 1),
    ("pirl", {"steps_per_execution": 2, "finish_views_in_step": True}, 2),
  ],
)
def test_a_run_with_phases_resumes_inside_and_between_them_with_the_same_bits(
  tmp_path, name, changes, killed_at
):
  folder = write_images(tmp_path / "images", 24)
  run_settings = tiny(
    folder,
    **OTHER_METHODS.get(name, {}),
    **changes,
    phases=[
      phases.Phase(until=0.34, image_size=12, batch_size=12, min_area=0.5),
      phases.Phase(until=0.5, batch_size=4),
    ],
    deterministic=True,
    scale_learning_rate=True,
    monitors=(),
    checkpoint_every_steps=killed_at,
    keep_checkpoints=10,
    log_every=1,
  )
  model_dir = tmp_path / "run"
  assert run(run_settings, model_dir).finished
  expected = tensors(model_dir)
  metrics = (model_dir / "metrics.jsonl").read_bytes()
  log = metrics_log.read(model_dir / "metrics.jsonl")[1:]
  sizes = {2: (12, 12), 3: (16, 4), 4: (16, 8), 6: (16, 8)}
  for record in log:
    if record["step"] in sizes:
      found = (record["image_size"], record["batch_size"])
      assert found == sizes[record["step"]]
  rewind(model_dir, killed_at)
  assert run(run_settings, model_dir).finished
  actual = tensors(model_dir)
  assert expected.keys() == actual.keys()
  for tensor, value in expected.items():
    np.testing.assert_array_equal(actual[tensor], value, err_msg=tensor)
  assert (model_dir / "metrics.jsonl").read_bytes() == metrics


def test_renewed_boxes_resume_between_and_inside_parts_with_the_same_bits(
  tmp_path,
):
  folder = write_images(tmp_path / "images", 24)
  run_settings = tiny(
    folder,
    steps=5,
    cropper=croppers.ContrastiveCrop(alpha=0.1),
    boxes=attention_boxes.AttentionBoxes(renewals=2),  # At steps 2 and 3.
    deterministic=True,
    monitors=(),
    checkpoint_every_steps=1,
    keep_checkpoints=10,
    log_every=1,
  )
  model_dir = tmp_path / "run"
  assert run(run_settings, model_dir).finished
  expected = tensors(model_dir)
  assert any("boxes" in name for name in expected)
  record = json.loads((model_dir / "run.json").read_text())
  assert record["examples_without_boxes"] == 0
  metrics = (model_dir / "metrics.jsonl").read_bytes()
  for killed_at in (2, 4):  # Before the first renewal; after the second.
    rewind(model_dir, killed_at)
    assert run(run_settings, model_dir).finished
    actual = tensors(model_dir)
    assert expected.keys() == actual.keys()
    for tensor, value in expected.items():
      np.testing.assert_array_equal(actual[tensor], value, err_msg=tensor)
    assert (model_dir / "metrics.jsonl").read_bytes() == metrics


@pytest.mark.parametrize(
  "batch_size, message",
  [(28, "28, but there are only 24"), (6, r"batch of 6 \(Phase.batch_size\)")],
)
def test_a_batch_of_a_phase_that_does_not_fit_is_refused_at_the_start(
  tmp_path, batch_size, message
):
  encoder = functools.partial(
    ENCODER, batch_norm=functools.partial(batch_norm.split, groups=4)
  )
  run_settings = tiny(
    write_images(tmp_path / "images", 24),
    method=functools.partial(moco.build_moco, encoder=encoder, queue_size=16),
    phases=[phases.Phase(until=0.5, batch_size=batch_size)],
  )
  with pytest.raises(errors.UsageError, match=message):
    run(run_settings, tmp_path / "model")
  assert not (tmp_path / "model" / "metrics.jsonl").exists()


def test_a_method_that_needs_labels_asks_for_them(tmp_path):
  folder = write_images(tmp_path / "images", 24, classes=3)
  changes = {**OTHER_METHODS["supervised"], "labels": "none"}
  with pytest.raises(errors.UsageError, match="labels|classes"):
    run(tiny(folder, **changes), tmp_path / "run")


def test_another_config_is_refused_with_the_lines_that_differ(finished):
  run_settings, result = finished
  with pytest.raises(errors.UsageError) as error:
    run(run_settings, result.model_dir, config=CONFIG.replace("6", "7"))
  assert "- there, + now" in str(error.value)
  assert "-settings.Pretraining.steps = 6" in str(error.value)
  assert "+settings.Pretraining.steps = 7" in str(error.value)
  assert "--overwrite" in str(error.value)


def test_a_folder_that_is_not_a_run_is_never_touched(tmp_path):
  images = write_images(tmp_path / "images", 24)
  precious = tmp_path / "model" / "thesis.txt"
  precious.parent.mkdir()
  precious.write_text("years of work")
  for overwrite in (False, True):
    with pytest.raises(errors.UsageError, match="--model_dir"):
      run(tiny(images), precious.parent, overwrite=overwrite)
  assert precious.read_text() == "years of work"


def test_a_model_dir_that_cannot_be_written_is_one_clear_error(tmp_path):
  images = write_images(tmp_path / "images", 24)
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UsageError, match="file/model.*--model_dir"):
    run(tiny(images), tmp_path / "file" / "model")


def test_a_loss_that_is_not_finite_stops_and_can_be_replayed(tmp_path):
  images = write_images(tmp_path / "images", 24)
  run_settings = tiny(images, learning_rate=1e30, steps=20)
  with pytest.raises(non_finite.NonFiniteLossError) as error:
    run(run_settings, tmp_path / "model")
  directory = tmp_path / "model" / "non_finite"
  assert f"--model_dir={tmp_path / 'model'}" in str(error.value)
  model = assembly.build_recorded_method(run_settings, tmp_path / "model")
  assembly.compile_method(run_settings, model)
  lines = non_finite.replay(model, directory)
  assert any("NOT FINITE" in line and "gradient" in line for line in lines)
  assert not any("NOT FINITE" in line and "weight " in line for line in lines)
  assert not (tmp_path / "model" / "saved_model").exists()


class Noted(base.Monitor):
  """Notes the records it gets and how the run ends."""

  every = 0

  def __init__(self, fail_at=None):
    self.fail_at = fail_at
    self.steps = []
    self.ends = []

  def measure(self, step):
    return {"measured": float(step)}

  def on_record(self, history):
    self.steps.append([record["step"] for record in history])
    self.last = history[-1]
    if history[-1]["step"] == self.fail_at:
      raise KeyError("of the test")

  def end(self, outcome, history):
    self.ends.append((outcome, len(history)))


def test_sigterm_saves_and_stops_and_tells_how_to_resume(tmp_path):
  images = write_images(tmp_path / "images", 24)
  metrics = tmp_path / "model" / "metrics.jsonl"

  def send():
    while not any(r["step"] >= 2 for r in metrics_log.read(metrics)):
      time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

  threading.Thread(target=send, daemon=True).start()
  noted = Noted()
  result = run(tiny(images, steps=10_000, loggers=[noted]), tmp_path / "model")
  assert not result.finished
  assert noted.ends == [("stopped", len(noted.steps))]
  assert result.checkpoint.endswith(f"step-{result.step}")
  [line] = summary.lines(result)
  assert "SIGTERM" in line and f"step {result.step} of 10000" in line
  assert line.endswith(": the command")


def test_loggers_get_each_record_and_the_end_of_a_run(tmp_path):
  images = write_images(tmp_path / "images", 24)
  noted = Noted()
  run(tiny(images, loggers=[noted]), tmp_path / "run")
  assert noted.steps == [[0], [0, 2], [0, 2, 4], [0, 2, 4, 6]]
  assert noted.ends == [("finished", 4)]
  assert noted.last["measured"] == 6.0 and noted.last["gradient_norm"] > 0
  rewind(tmp_path / "run", 4)
  resumed = Noted()
  run(tiny(images, loggers=[resumed]), tmp_path / "run")
  assert resumed.steps == [[0, 2, 4, 6]]
  assert resumed.ends == [("finished", 4)]


def test_loggers_are_told_that_a_run_has_failed(tmp_path):
  images = write_images(tmp_path / "images", 24)
  failing, other = Noted(fail_at=2), Noted()
  with pytest.raises(KeyError, match="of the test"):
    run(tiny(images, loggers=[failing, other]), tmp_path / "run")
  assert failing.ends == other.ends == [("failed", 2)]


def test_tensorboard_and_the_records_have_the_gradient_norm(finished):
  _, result = finished
  records = metrics_log.read(f"{result.model_dir}/metrics.jsonl")
  paths = pathlib.Path(result.tensorboard).glob("events.*")
  drawn = {
    event.step: float(tf.make_ndarray(value.tensor))
    for path in paths
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
    if value.tag == "train/gradient_norm"
  }
  logged = {r["step"]: r["gradient_norm"] for r in records[1:]}
  assert list(logged) == [2, 4, 6]
  assert drawn == pytest.approx(logged, rel=1e-6)


def test_too_many_unusable_files_stop_the_run_and_are_named(tmp_path):
  images = write_images(tmp_path / "images", 24)
  for i in range(4):
    (tmp_path / "images" / "class0" / f"bad{i}.jpg").write_bytes(b"no image")
  with pytest.raises(errors.UsageError, match="max_skipped_fraction"):
    run(tiny(images, steps=40), tmp_path / "model")
  assert "bad" in (tmp_path / "model" / "skipped_files.txt").read_text()


def test_a_queue_as_long_as_the_dataset_is_refused(tmp_path):
  images = write_images(tmp_path / "images", 12)
  with pytest.raises(errors.UsageError, match="QUEUE_SIZE"):
    run(tiny(images), tmp_path / "model")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
