"""The whole answer on a few small pictures: raw pixels and random weights."""

import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.evaluation import labeled_sets, protocol
from tf_ssl.evaluation.fine_tuning import fine_tuning
from tf_ssl.evaluation.label_efficiency import (
  did_it_help,
  leakage,
  measure,
  pretraining,
  report,
)

_COLORS = [(200, 60, 60), (60, 200, 60), (60, 60, 200)]


def paint(rng, color):
  """A picture whose structure is random and whose mean color is its class."""
  coarse = rng.integers(-60, 60, [4, 4, 3]) + color
  image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8))
  return image.resize([32, 32], Image.Resampling.BICUBIC)


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
  """Three classes, 16 training and 6 test images each; two planted copies."""
  folder = tmp_path_factory.mktemp("labeled")
  rng = np.random.default_rng(0)
  for role, count in (("train", 16), ("test", 6)):
    for number, color in enumerate(_COLORS):
      path = folder / role / f"class{number}"
      path.mkdir(parents=True)
      for i in range(count):
        paint(rng, color).save(path / f"{i}.png")
  train, test = folder / "train", folder / "test"
  with Image.open(train / "class0" / "3.png") as image:
    image.save(test / "class0" / "copy.jpg", quality=70)
  with Image.open(test / "class1" / "0.png") as image:
    image.save(test / "class1" / "copy.png")
  return folder


def test_planted_copies_leave_the_test_set(folder):
  sets = did_it_help.split(str(folder))
  assert (sets.train.num_images, sets.test.num_images) == (48, 20)
  found = leakage.find(sets.train, sets.test, {"a's pretraining": sets.train})
  names = {sets.test.name(i) for i in found.copies}
  assert names == {"class0/copy.jpg", "class1/copy.png"}
  left = leakage.without(sets.test, found.copies)
  assert left.num_images == 18
  assert (
    "1 of 20 test images are near-duplicates of training" in found.text()[1]
  )
  assert "near-duplicates of a's pretraining images" in found.text()[2]
  with pytest.raises(errors.UsageError, match="drop_duplicates"):
    leakage.without(sets.test, np.arange(20))


def test_images_that_look_alike_are_all_counted_and_one_of_them_is_kept(
  folder, tmp_path
):
  shutil.copytree(folder / "test", tmp_path / "test")
  source = tmp_path / "test" / "class1" / "0.png"
  shutil.copy(source, source.with_name("second_copy.png"))
  sets = did_it_help.split(str(folder / "train"), str(tmp_path / "test"))
  found = leakage.find(sets.train, sets.test)
  assert found.text()[0].startswith(
    "3 of 21 test images are near-duplicates of one another (groups: 1; copies"
    " of others: 2; pairs by Hamming distance: 3 at 0"
  )
  assert found.affected(leakage.WITHIN) == 3
  # With the one that is a copy of a training image.
  assert len(found.copies) == 3
  assert leakage.without(sets.test, found.copies).num_images == 18


def test_images_of_all_runs_are_opened_once_and_missing_ones_are_named(folder):
  recorded = {
    "a": str(folder / "train"),
    "b": f"{folder}/test/../train/",
    "c": str(folder / "test"),
    "gone": str(folder / "removed"),
    "imagenet": None,
  }
  found = pretraining.open_all(None, recorded)
  counts = {whose: each.num_images for whose, each in found.images.items()}
  assert counts == {"a and b's pretraining": 48, "c's pretraining": 20}
  gone, unknown = found.not_checked
  assert gone.startswith(
    "not checked: copies of test images in gone's pretraining images: "
  )
  assert str(folder / "removed") in gone and "--pretraining_images" in gone
  assert "in imagenet's pretraining images, which are unknown" in unknown
  given = pretraining.open_all(str(folder / "test"), recorded)
  assert list(given.images) == ["pretraining"] and not given.not_checked
  with pytest.raises(errors.UsageError, match="--pretraining_images"):
    pretraining.open_all(str(folder / "removed"), {"a": str(folder / "train")})


def test_images_that_cannot_be_read_are_counted_beside_the_copies(
  folder, tmp_path
):
  shutil.copytree(folder / "train", tmp_path / "train")
  for path in (tmp_path / "train" / "class0").iterdir():
    path.write_bytes(b"")
  sets = did_it_help.split(str(folder))
  images = image_folder.read(str(tmp_path / "train"))
  found = leakage.find(sets.train, sets.test, {"pretraining": images})
  assert "cannot be read" not in found.text()[1]
  assert "images that cannot be read: 16" in found.text()[2]


def test_one_labeled_set_is_divided_by_class(folder):
  sets = did_it_help.split(str(folder / "train"), test_fraction=0.25)
  assert np.bincount(sets.test.labels).tolist() == [4, 4, 4]
  assert np.bincount(sets.train.labels).tolist() == [12, 12, 12]


@pytest.mark.slow
def test_pixels_are_worth_more_than_random_weights_on_colors(
  folder, tmp_path, monkeypatch
):
  settings = measure.Settings(
    shares=(0.01, 0.02, 0.25, 1.0),
    seeds=(0, 1),
    image_size=16,
    k=3,
    inverse_penalties=(1e-2,),
  )
  lines = []

  def answer():
    return did_it_help.did_it_help(
      [protocol.Subject("raw=pixels")],
      did_it_help.split(str(folder)),
      str(tmp_path),
      settings=settings,
      drop_duplicates=True,
      say=lines.append,
    )

  found = answer()
  assert found.dropped == 2
  # One of each class at 1 and at 2 %, then 4 of each, then all.
  assert found.measured.labels == [3, 12, 48]
  notes = " ".join(found.measured.notes)
  assert "2 % of 48 labels are no more than 1 %" in notes
  assert "fewer than the 3 classes" in notes
  assert "raw is not fine-tuned" in notes and "ResNet-18" in notes
  raw = found.measured.curve("raw", measure.LINEAR)
  assert raw.percent.shape == (2, 3) and raw.percent[:, -1].mean() > 80
  assert found.measured.curve("raw", measure.FINE_TUNED) is None
  assert any(
    "linear probe: with 12 labels, raw is" in s for s in found.sentences
  )
  assert any("--pretraining_images" in s for s in found.sentences)
  page = report.write(found, str(tmp_path), command="the command")
  content = json.loads((tmp_path / "did_it_help.json").read_text())
  assert content["dropped_test_images"] == 2
  assert len(content["accuracies"]) == 2 * 2 * 3
  assert "near-duplicates" in open(page).read()
  # Nothing is measured again.
  monkeypatch.setattr(measure._Runner, "_of_seed", None)
  again = answer()
  np.testing.assert_array_equal(
    again.measured.curve("raw", measure.KNN).percent,
    found.measured.curve("raw", measure.KNN).percent,
  )


class _Hub(tf.Module):
  """A reusable SavedModel whose variables have unknown initial values."""

  variables = trainable_variables = ()

  def __init__(self):
    super().__init__()
    self.scale = tf.Variable(tf.eye(3))
    self.variables = self.trainable_variables = [self.scale]

  @tf.function
  def __call__(self, images, training=False):
    return tf.reduce_mean(images, [1, 2]) @ self.scale


@pytest.fixture(name="hub", scope="module")
def _hub(tmp_path_factory):
  path = str(tmp_path_factory.mktemp("hub"))
  module = _Hub()
  for training in (True, False):
    module.__call__.get_concrete_function(
      tf.TensorSpec([None, None, None, 3], tf.float32), training
    )
  tf.saved_model.save(module, path)
  return protocol.Subject(f"hub={path}")


@pytest.fixture(name="small", scope="module")
def _small(tmp_path_factory):
  """A network whose weights can be drawn."""
  path = tmp_path_factory.mktemp("small") / "small.keras"
  images = tf.keras.Input([None, None, 3])
  maps = tf.keras.layers.Conv2D(4, 3, strides=2)(images)
  pooled = tf.keras.layers.GlobalAveragePooling2D()(maps)
  tf.keras.Model(images, pooled).save(path)
  return protocol.Subject(f"small={path}", preprocessing="0..1")


@pytest.fixture(name="measured")
def _measured(folder, tmp_path, monkeypatch):
  """Function measured(subjects): measures without reading images."""

  def extracted(self, encode):
    return {
      role: labeled_sets.Features(
        np.asarray(encode(_plain(records.labels))),
        records.labels,
        np.arange(records.num_images),
        {},
      )
      for role, records in (("train", sets.train), ("test", sets.test))
    }

  def run(self, share, start, seed, working):
    return {
      "images": 48,
      "steps": 1,
      "loss": 1.0,
      "tested": 20,
      "top1": 50.0,
      "top5": 100.0,
      "skipped": {},
      "seconds": 2.0,
    }

  monkeypatch.setattr(measure._Runner, "extracted", extracted)
  monkeypatch.setattr(
    measure._Runner,
    "features",
    lambda self, subject, _: self.extracted(subject.frozen.features),
  )
  monkeypatch.setattr(fine_tuning._Runs, "run", run)
  sets = did_it_help.split(str(folder))
  settings = measure.Settings(shares=(1.0,), seeds=(0, 1))
  return lambda *subjects: did_it_help.did_it_help(
    subjects, sets, str(tmp_path), settings=settings
  )


def _plain(labels):
  """[N, 8, 8, 3] images of the colors of the classes."""
  colors = np.array(_COLORS, np.float32)[labels]
  return tf.constant(np.tile(colors[:, None, None], [1, 8, 8, 1]))


def test_random_weights_are_of_the_first_network_that_can_be_drawn(
  measured, hub, small
):
  found = measured(hub, small).measured
  models = [c.model for c in found.curves if c.method == measure.FINE_TUNED]
  assert models == [measure.RANDOM, "small", "hub"]
  assert found.curve("hub", measure.FINE_TUNED).seconds == 4.0
  [note] = found.notes
  assert "are those of the network of small, drawn by the seed" in note
  assert "whatever its own network" in note
  assert "not those of hub: model 'hub': the initialization of" in note


def test_a_repeated_call_keeps_the_notes_and_the_minutes(
  measured, hub, small, monkeypatch
):
  found = measured(hub, small).measured
  monkeypatch.setattr(measure._Runner, "_of_seed", None)
  monkeypatch.setattr(fine_tuning._Runs, "run", None)
  again = measured(hub, small).measured
  assert again.notes == found.notes
  for one, other in zip(found.curves, again.curves, strict=True):
    assert one.seconds == other.seconds > 0


def test_minutes_that_an_earlier_version_did_not_keep_are_unknown(
  measured, small, tmp_path
):
  measured(small)
  for path in tmp_path.rglob("*-of-labels-*.json"):
    kept = json.loads(path.read_text())
    del kept["seconds"]
    path.write_text(json.dumps(kept))
  found = measured(small)
  assert found.measured.curve("small", measure.FINE_TUNED).seconds is None
  report.write(found, str(tmp_path))


def test_a_model_whose_fine_tuning_fails_is_left_out_with_the_reason(
  measured, hub, small, monkeypatch
):
  def fails(self, *args):
    raise errors.UsageError("the loss is nan")

  monkeypatch.setattr(fine_tuning._Runs, "run", fails)
  found = measured(hub, small).measured
  assert {c.method for c in found.curves} == {measure.KNN, measure.LINEAR}
  assert found.notes[1:] == [
    "small and random weights are not fine-tuned: the loss is nan",
    "hub is not fine-tuned: the loss is nan",
  ]


def test_a_model_whose_weights_cannot_be_drawn_still_has_a_report(
  measured, hub, tmp_path
):
  found = measured(hub)
  curve, notes = found.measured.curve, found.measured.notes
  assert curve("hub", measure.FINE_TUNED) is not None
  assert curve(measure.RANDOM, measure.LINEAR) is not None
  assert curve(measure.RANDOM, measure.FINE_TUNED) is None
  assert (
    "in the images of pretraining, which are unknown" in found.sentences[-1]
  )
  assert "those of a ResNet-18" in notes[0]
  assert "random weights are not fine-tuned" in notes[1]
  assert notes[1] in open(report.write(found, str(tmp_path))).read()


def test_models_of_similar_names_keep_their_own_results(
  measured, small, monkeypatch
):
  path = small.path
  models = [
    protocol.Subject(f"{name}={path}", preprocessing=values)
    for name, values in (
      ("a.b", "0..1"),
      ("a-b", "-1..1"),
      ("random-weights", "imagenet"),
    )
  ]
  found = measured(*models).measured
  monkeypatch.setattr(measure._Runner, "_of_seed", None)
  monkeypatch.setattr(fine_tuning._Runs, "run", None)
  again = measured(*models).measured
  assert [c.seconds for c in again.curves] == [c.seconds for c in found.curves]


def test_names_must_differ(folder, tmp_path):
  subjects = [protocol.Subject("a=pixels")] * 2
  with pytest.raises(errors.UsageError, match="different names"):
    did_it_help.did_it_help(
      subjects, did_it_help.split(str(folder)), str(tmp_path)
    )


def test_unreadable_images_count_as_allowed(folder, tmp_path):
  shutil.copytree(folder, tmp_path / "data")
  for i in range(5):  # Of 48.
    (tmp_path / "data" / "train" / "class0" / f"{i}.png").write_bytes(b"")
  sets = did_it_help.split(str(tmp_path / "data"))
  settings = measure.Settings(image_size=8, max_skipped_fraction=0.2)
  runner = measure._Runner(settings, sets, {}, str(tmp_path), print)
  found = runner.extracted(lambda images: images.numpy().mean((1, 2)))
  assert len(found["train"].index) == 43


def test_minutes_of_pretraining_are_those_of_the_run_of_a_model(tmp_path):
  model = tmp_path / "a.onnx"
  model.write_bytes(b"")
  for path in (str(model), "pixels", str(tmp_path)):
    assert did_it_help._minutes(path) is None
  (tmp_path / "run.json").write_text(json.dumps({"wall_seconds": 90.0}))
  for path in (tmp_path, tmp_path / "saved_model", model):
    assert did_it_help._minutes(str(path)) == 1.5


def test_shares_out_of_range_are_refused():
  with pytest.raises(errors.UsageError, match="--shares"):
    measure.Settings(shares=(0.1, 2.0))


def test_a_class_of_one_image_cannot_be_divided(folder, tmp_path):
  shutil.copytree(folder / "train", tmp_path / "data")
  alone = tmp_path / "data" / "alone"
  alone.mkdir()
  shutil.copy(folder / "train" / "class0" / "0.png", alone)
  with pytest.raises(errors.UsageError, match="--labeled .*: alone; .*--test_"):
    did_it_help.split(str(tmp_path / "data"))


def test_a_class_whose_test_images_are_all_copies_is_left_out_and_named(
  folder, tmp_path
):
  shutil.copytree(folder, tmp_path / "data")
  test = tmp_path / "data" / "test" / "class1"
  shutil.rmtree(test)
  shutil.copytree(tmp_path / "data" / "train" / "class1", test)
  sets = did_it_help.split(str(tmp_path / "data"))
  copies = leakage.find(sets.train, sets.test).copies
  left, sentence = did_it_help._without_copies(sets, copies)
  assert left.class_names == ("class0", "class2")
  assert np.bincount(left.train.labels).tolist() == [16, 16]
  assert np.bincount(left.test.labels).tolist() == [6, 6]
  assert sentence.startswith("1 of 3 classes were left out of training and ")
  assert sentence.endswith(": class1.")


def test_classes_that_differ_are_told_by_the_folders_of_the_flag(
  folder, tmp_path
):
  shutil.copytree(folder, tmp_path / "data")
  shutil.rmtree(tmp_path / "data" / "test" / "class1")
  with pytest.raises(errors.UsageError, match="--labeled/test.*--labeled/trai"):
    did_it_help.split(str(tmp_path / "data"))


def test_a_folder_without_a_test_set_is_one_set(folder):
  records = image_folder.read(str(folder / "test"), labeled=True)
  sets = did_it_help.split(str(folder / "test"), test_fraction=0.3)
  assert sets.train.num_images + sets.test.num_images == records.num_images


def test_the_checkpoints_of_a_run_but_the_last_are_measured_too(tmp_path):
  folder = tmp_path / "run" / "checkpoints"
  folder.mkdir(parents=True)
  for step in (2, 10, 30, 100, 200, 300):
    (folder / f"step-{step}.index").write_bytes(b"")
    (folder / f"step-{step}.data-00000-of-00001").write_bytes(b"")
  subjects = [
    protocol.Subject(f"own={tmp_path / 'run'}"),
    protocol.Subject("raw=pixels"),
  ]
  found = did_it_help.checkpoints(subjects, protocol.Subject)
  assert [(one.name, one.path) for one in found["own"]] == [
    (f"own at step {step}", str(folder / f"step-{step}"))
    for step in (10, 30, 100, 200)
  ]
  assert found["raw"] == []


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
