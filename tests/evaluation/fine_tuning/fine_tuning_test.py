"""Fine-tuning with few labels, on a tiny network."""

import io
import sys
import types

import numpy as np
import pytest
from PIL import Image

from tests.models import tiny_encoder_reference
from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.evaluation import fine_tune_loop
from tf_ssl.evaluation.fine_tuning import fine_tuning

pytestmark = pytest.mark.slow

_CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module", name="folders")
def fixture_folders(tmp_path_factory):
  """Class folders of noisy images in three colors, to train and to test."""
  root = tmp_path_factory.mktemp("colors")
  rng = np.random.default_rng(0)
  for role, count in (("train", 20), ("test", 8)):
    for number, name in enumerate(_CLASSES):
      folder = root / role / name
      folder.mkdir(parents=True)
      for i in range(count):
        image = rng.integers(0, 120, [32, 32, 3]).astype(np.uint8)
        image[..., 2 - number] += 100
        Image.fromarray(image).save(folder / f"{i}.png")
  return root


def _records(folder):
  return image_folder.read(str(folder), labeled=True)


def _subject():
  return types.SimpleNamespace(
    name="tiny", trainable=tiny_encoder_reference.tiny(width=8)
  )


def _protocol(folders, *, encoder_rate=0.02, **changes):
  settings = {
    "train": _records(folders / "train"),
    "test": _records(folders / "test"),
    "sgd": fine_tune_loop.Sgd(
      head_learning_rate=0.1, encoder_learning_rate=encoder_rate
    ),
    "label_shares": (0.1, 1.0),
    "seeds": (0, 1),
    "image_size": 32,
    "min_area": 0.5,
    "batch_size": 20,
    "epochs": 4.0,
    "min_steps": 8,
    **changes,
  }
  return fine_tuning.FineTuning(**settings)


def _run(protocol, folder, subject=None):
  said = []
  folder.mkdir(exist_ok=True)
  outcome = protocol.run(
    subject or _subject(), output_dir=str(folder), say=said.append
  )
  return outcome, said


def test_more_labels_give_higher_accuracy(folders, tmp_path):
  subject = _subject()
  before = [v.numpy() for v in subject.trainable.variables]
  outcome, said = _run(_protocol(folders), tmp_path, subject)
  for old, new in zip(before, subject.trainable.variables, strict=True):
    np.testing.assert_array_equal(old, new)
  assert set(outcome.results) == {
    "top1_at_10_percent_of_labels_percent",
    "top1_at_100_percent_of_labels_percent",
  }  # three classes have no top-5 worth telling
  assert outcome.results["top1_at_100_percent_of_labels_percent"] > 80
  assert len(said) == 4 and "10 % of labels (6 images)" in said[0]
  runs = outcome.details["runs"]
  assert [run["images"] for run in runs] == [6] * 2 + [60] * 2
  assert [run["steps"] for run in runs] == [8] * 2 + [12] * 2
  assert all(run["seconds"] > 0 for run in runs)
  cell = [run["top1"] for run in runs[:2]]
  mean, low, high = outcome.details["intervals_95"][
    "top1_at_10_percent_of_labels_percent"
  ]
  assert mean == pytest.approx(np.mean(cell)) and low <= mean <= high
  assert outcome.settings["seeds"] == [0, 1]
  assert outcome.settings["head_learning_rate"] == 0.1
  assert outcome.data["train"]["count"] == 60
  picture = Image.open(io.BytesIO(outcome.pictures["fine_tuning.png"]))
  assert picture.format == "PNG"


def test_the_same_network_also_trains_from_scratch(folders, tmp_path):
  outcome, said = _run(
    _protocol(folders, label_shares=(1.0,), seeds=(0,), from_scratch=True),
    tmp_path,
  )
  pretrained, scratch = outcome.details["runs"]
  assert (pretrained["start"], scratch["start"]) == ("pretrained", "scratch")
  assert pretrained["loss"] != scratch["loss"]
  assert outcome.results == {
    "top1_at_100_percent_of_labels_percent": pretrained["top1"],
    "top1_at_100_percent_of_labels_from_scratch_percent": scratch["top1"],
  }
  assert "from random weights" in said[1]
  assert outcome.settings["from_scratch"] is True


def test_a_stopped_run_resumes_and_other_settings_start_over(
  folders, tmp_path, monkeypatch
):
  protocol = _protocol(folders, label_shares=(1.0,), seeds=(0,))
  whole, _ = _run(protocol, tmp_path / "whole")
  rate = fine_tune_loop.Sgd.rate

  def killed(self, step, steps):
    if step == 7:
      raise KeyboardInterrupt
    return rate(self, step, steps)

  with monkeypatch.context() as patch:
    patch.setattr(fine_tune_loop.Sgd, "rate", killed)
    with pytest.raises(KeyboardInterrupt):
      _run(protocol, tmp_path / "stopped")
  again, _ = _run(protocol, tmp_path / "stopped")
  for a, b in zip(whole.details["runs"], again.details["runs"], strict=True):
    assert a["top1"] == pytest.approx(b["top1"], abs=100 / 24)
  _, said = _run(
    _protocol(
      folders, label_shares=(1.0,), seeds=(0,), epochs=0.0, min_steps=1
    ),
    tmp_path / "stopped",
  )
  assert "different: epochs, min_steps" in said[0]


def test_a_frozen_encoder_is_not_touched(folders, tmp_path):
  protocol = _protocol(
    folders, encoder_rate=0.0, label_shares=(1.0,), seeds=(0,)
  )
  outcome, _ = _run(protocol, tmp_path)
  assert outcome.settings["encoder_learning_rate"] == 0.0
  assert outcome.results["top1_at_100_percent_of_labels_percent"] > 40


def test_the_smallest_share_is_one_image_per_class_and_noted(folders, tmp_path):
  protocol = _protocol(
    folders, label_shares=(0.001,), seeds=(0,), epochs=0.0, min_steps=1
  )
  outcome, _ = _run(protocol, tmp_path)
  assert outcome.details["runs"][0]["images"] == 3
  assert any(n.startswith("0.1 % of the labels") for n in outcome.notes)


def test_classes_are_matched_by_name(folders, tmp_path):
  """The test set has two of the classes, with other label numbers."""
  part = tmp_path / "part"
  part.mkdir()
  for name in ("green", "red"):
    (part / name).symlink_to(folders / "test" / name)
  outcome, _ = _run(
    _protocol(
      folders, test=_records(part), label_shares=(1.0,), seeds=(0,), epochs=8.0
    ),
    tmp_path / "out",
  )
  assert outcome.details["runs"][0]["tested"] == 16
  assert outcome.results["top1_at_100_percent_of_labels_percent"] > 70


def test_labels_without_a_training_class_are_named(folders, tmp_path):
  records = _records(folders / "train")
  for changes, message in (
    (
      {"train": records._replace(labels=None)},
      "train.*TRAIN_IMAGES",
    ),
    (
      {"test": records._replace(labels=np.full(60, -1, np.int32))},
      "test.*TEST_IMAGES",
    ),
    (
      {"test": records._replace(class_names=("blue", "green", "purple"))},
      r"1 classes.*\(purple\)",
    ),
    (
      {"test": records._replace(labels=records.labels + np.int32(1))},
      r"TEST_IMAGES \(.*'red/0.png'.* 3.*0..2",
    ),
    (
      {
        "train": records._replace(class_names=()),
        "test": records._replace(
          class_names=(), labels=records.labels + np.int32(2)
        ),
      },
      r"2 classes.*\(3, 4\)",
    ),
  ):
    with pytest.raises(errors.UsageError, match=message):
      _run(_protocol(folders, **changes), tmp_path)


def test_images_without_a_label_are_excluded_and_counted(folders, tmp_path):
  records = _records(folders / "train")
  labels = records.labels.copy()
  labels[:5] = -1
  outcome, _ = _run(
    _protocol(
      folders,
      train=records._replace(labels=labels),
      label_shares=(1.0,),
      seeds=(0,),
      epochs=0.0,
      min_steps=1,
    ),
    tmp_path,
  )
  assert outcome.details["runs"][0]["images"] == 55
  assert outcome.notes[0].startswith("5 train images without a label")


def test_other_labels_of_the_same_images_are_another_measurement(
  folders, tmp_path, monkeypatch
):
  labels, shifted = [], np.array([1, 2, 0], np.int32)

  def learned(self, share, start, seed, folder):
    del share, start, seed, folder
    labels.append(self._sets.train.labels.tolist())
    return {"images": 60, "steps": 1, "loss": None, "tested": 24} | {
      "top1": 50.0,
      "top5": 100.0,
      "skipped": {},
    }

  monkeypatch.setattr(fine_tuning._Runs, "run", learned)
  records = _records(folders / "train")
  settings = {"label_shares": (1.0,), "seeds": (0,)}
  first, _ = _run(_protocol(folders, **settings), tmp_path)
  _run(_protocol(folders, **settings), tmp_path)
  assert labels == [records.labels.tolist()]  # once
  other = records._replace(labels=shifted[records.labels])
  second, said = _run(_protocol(folders, train=other, **settings), tmp_path)
  assert labels[1:] == [other.labels.tolist()]
  assert "different: data" in said[0]
  assert first.data["test"] == second.data["test"]
  assert first.data["train"] != second.data["train"]


def test_unreadable_images_are_named_or_stop_the_run(folders, tmp_path):
  spoiled = tmp_path / "spoiled"
  for name in _CLASSES:
    (spoiled / name).mkdir(parents=True)
    for i in range(8):
      data = (folders / "test" / name / f"{i}.png").read_bytes()
      (spoiled / name / f"{i}.png").write_bytes(data)
  (spoiled / "red" / "3.png").write_bytes(b"no picture")
  changes = {"label_shares": (1.0,), "seeds": (0,), "epochs": 0.0}
  outcome, _ = _run(
    _protocol(folders, test=_records(spoiled), **changes), tmp_path / "a"
  )
  assert outcome.details["runs"][0]["tested"] == 23
  assert list(outcome.skipped) == ["test/red/3.png"]
  with pytest.raises(errors.UsageError, match="1 of 24.*max_skipped_fraction"):
    _run(
      _protocol(
        folders,
        test=_records(spoiled),
        max_skipped_fraction=0.01,
        **changes,
      ),
      tmp_path / "b",
    )


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"label_shares": ()}, "change LABEL_SHARES"),
    ({"seeds": (0, 0)}, r"seeds=\(0, 0\).*change SEEDS"),
    ({"batch_size": 0}, "batch_size=0"),
    ({"epochs": float("nan")}, "epochs=nan"),
  ],
)
def test_invalid_settings_are_named(folders, changes, message):
  with pytest.raises(errors.UsageError, match=message):
    _protocol(folders, **changes)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
