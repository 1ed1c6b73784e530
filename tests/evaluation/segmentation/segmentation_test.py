"""The segmentation protocol on a tiny network."""

import contextlib
import io
import sys
import types

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from tests.models import tiny_encoder_reference
from tf_ssl import errors
from tf_ssl.datasets.masks import camvid, mask_folders
from tf_ssl.evaluation import fine_tune_loop
from tf_ssl.evaluation.segmentation import network, segmentation

pytestmark = pytest.mark.slow

_CLASSES = 3


@pytest.fixture(scope="module", name="data")
def fixture_data(tmp_path_factory):
  """Four images of colored parts; the color is the class, white is void."""
  root = tmp_path_factory.mktemp("masked")
  for name in ("images", "masks"):
    (root / name).mkdir()
  rng = np.random.default_rng(0)
  colors = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200]], np.uint8)
  for i in range(4):
    mask = np.zeros([64, 64], np.uint8)
    mask[:, 16 * (1 + i % 3) :] = 1
    mask[32:, :] = np.where(mask[32:], 2, mask[32:])
    image = colors[mask] + rng.integers(0, 20, [64, 64, 3]).astype(np.uint8)
    mask[:4] = 255
    image[:4] = 255
    Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    Image.fromarray(image).save(root / "images" / f"{i}.png")
  return mask_folders.read(str(root / "images"), str(root / "masks"))


def _subject(seed=0):
  encoder = tiny_encoder_reference.tiny(seed, width=16)
  return types.SimpleNamespace(name="tiny", trainable=encoder)


def _protocol(data, *, encoder_rate=0.05, **changes):
  settings = {
    "train": data.take([0, 1]),
    "test": data.take([-2, -1]),
    "sgd": fine_tune_loop.Sgd(
      head_learning_rate=0.05, encoder_learning_rate=encoder_rate
    ),
    "decoder": "fcn",
    "num_filters": 16,
    "image_size": (64, 64),
    "scales": (1.0, 1.5),
    "batch_size": 2,
    "steps": 6,
    "seeds": (0,),
    **changes,
  }
  return segmentation.Segmentation(**settings)


def _run(protocol, folder, subject=None):
  said = []
  folder.mkdir(exist_ok=True)
  outcome = protocol.run(
    subject or _subject(), output_dir=str(folder), say=said.append
  )
  return outcome, said


def test_two_images_are_memorized(data, tmp_path):
  two = data.take([0, 1])
  protocol = _protocol(
    data,
    train=two,
    test=two,
    decoder="deeplabv3plus",
    image_size=(128, 128),  # A position of the fine map is 2 px of a mask.
    scales=(1.0, 1.0),
    steps=150,
  )
  outcome, _ = _run(protocol, tmp_path)
  assert outcome.results["mean_iou_percent"] > 97
  assert outcome.results["pixel_accuracy_percent"] > 98


def test_scores_are_scikit_learns_on_the_same_predictions(
  data, tmp_path, monkeypatch
):
  predictions = []
  predict = network.SegmentationNetwork.predict

  def recorded(self, image, sides):
    predictions.append(predict(self, image, sides))
    return predictions[-1]

  monkeypatch.setattr(network.SegmentationNetwork, "predict", recorded)
  outcome, said = _run(_protocol(data), tmp_path)
  masks = []
  for i in range(2):
    with Image.open(data.take([2, 3]).masks.path(i)) as mask:
      masks.append(np.asarray(mask))
  truth, predicted = np.stack(masks), np.stack(predictions)
  assert truth.shape == predicted.shape  # the masks' own size
  counted = truth != 255
  truth, predicted = truth[counted], predicted[counted]
  iou = metrics.jaccard_score(
    truth, predicted, average=None, labels=range(_CLASSES)
  )
  occurs = [((truth == c) | (predicted == c)).any() for c in range(_CLASSES)]
  results = outcome.results
  assert results["mean_iou_percent"] == pytest.approx(100 * iou[occurs].mean())
  assert results["pixel_accuracy_percent"] == pytest.approx(
    100 * metrics.accuracy_score(truth, predicted)
  )
  by_class = outcome.details["iou_percent"]
  assert list(by_class) == ["class 0", "class 1", "class 2"]
  for found, expected in zip(by_class.values(), iou, strict=True):
    assert found == pytest.approx(100 * expected)
  assert "mean IoU" in said[-1]


@pytest.mark.parametrize("encoder_rate", [0.0, 0.05])
def test_only_a_fine_tuned_encoder_changes(
  data, tmp_path, monkeypatch, encoder_rate
):
  subject = _subject()
  encoder = subject.trainable
  before = [v.numpy() for v in encoder.variables]
  trained = []
  restored = encoder.restored

  @contextlib.contextmanager
  def watched():
    with restored():
      yield
      trained.extend(v.numpy() for v in encoder.variables)

  monkeypatch.setattr(encoder, "restored", watched)
  protocol = _protocol(data, encoder_rate=encoder_rate, steps=2)
  outcome, _ = _run(protocol, tmp_path, subject)
  assert outcome.settings["encoder"] == (
    "fine-tuned" if encoder_rate else "frozen"
  )
  changed = {
    not np.array_equal(old, new)
    for old, new in zip(before, trained, strict=True)
  }
  assert changed == ({True} if encoder_rate else {False})
  for old, new in zip(before, encoder.variables, strict=True):
    np.testing.assert_array_equal(old, new)  # Restored.


def test_a_resumed_run_gives_the_result_of_an_uninterrupted_one(
  data, tmp_path, monkeypatch
):
  protocol = _protocol(data)
  whole, _ = _run(protocol, tmp_path / "whole")
  monkeypatch.setattr(fine_tune_loop, "_SAVE_SECONDS", -1.0)  # after every step
  rate = fine_tune_loop.Sgd.rate

  def killed(self, step, steps):
    if step == 4:
      raise SystemExit  # no handler of ours saves anything then
    return rate(self, step, steps)

  with monkeypatch.context() as patch:
    patch.setattr(fine_tune_loop.Sgd, "rate", killed)
    with pytest.raises(SystemExit):
      _run(protocol, tmp_path / "stopped")
  done = []

  def counted(self, step, steps):
    done.append(step)
    return rate(self, step, steps)

  monkeypatch.setattr(fine_tune_loop.Sgd, "rate", counted)
  again, _ = _run(protocol, tmp_path / "stopped")
  assert done == [4, 5]
  for name, value in whole.results.items():
    assert again.results[name] == pytest.approx(value, abs=0.1)
  more, _ = _run(_protocol(data, seeds=(0, 1)), tmp_path / "stopped")
  assert done == [4, 5, *range(6)]  # seed 0 was done
  assert [run["seed"] for run in more.details["by_seed"]] == [0, 1]
  assert more.details["by_seed"][:1] == again.details["by_seed"]


def test_the_outcome_has_everything_that_the_numbers_depend_on(data, tmp_path):
  protocol = _protocol(
    data, train=data, test=None, held_out=0.25, seeds=(3, 4), steps=1
  )
  outcome, _ = _run(protocol, tmp_path)
  for name, value in {
    "decoder": "fcn",
    "image_size": [64, 64],
    "scales": [1.0, 1.5],
    "head_learning_rate": 0.05,
    "schedule": "cosine",
    "seeds": [3, 4],
    "steps": 1,
  }.items():
    assert outcome.settings[name] == value
  assert outcome.data["train"]["used"] == 3
  assert outcome.data["test"]["used"] == 1
  assert any("held out at equal distances" in note for note in outcome.notes)
  low, high = outcome.details["intervals_95"]["mean_iou_percent"][1:]
  assert low <= outcome.results["mean_iou_percent"] <= high
  picture = Image.open(io.BytesIO(outcome.pictures["predictions.png"]))
  assert picture.format == "PNG" and min(picture.size) > 100
  titles = [table.title for table in outcome.tables]
  assert titles == ["By seed", "By class, mean over seeds"]


def test_invalid_settings_are_named(data):
  for changes, message in (
    ({"train": None}, "set IMAGES and MASKS"),
    ({"steps": 0}, "steps=0"),
    ({"image_size": (64,)}, r"image_size=\(64,\).*\(height, width\)"),
    ({"seeds": (1, 1)}, r"seeds=\(1, 1\).*SEEDS"),
    ({"seeds": (-1,)}, r"seeds=\(-1,\).*SEEDS"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      _protocol(data, **changes)


def test_both_sides_must_have_the_same_classes(data, tmp_path):
  other = data.take([2])._replace(
    class_ids=(0, 1), class_names=("a", "b"), source="the other"
  )
  with pytest.raises(
    errors.UsageError, match="the other .*3 and 2|the other .*0 and 2"
  ):
    _run(_protocol(data, test=other), tmp_path)


def test_masks_of_one_class_are_refused_before_training(data, tmp_path):
  two = data.take([0, 1])._replace(void_ids=(1, 2, 255))
  with pytest.raises(errors.UsageError, match=r"CLASS_IDS=\(0, 1, 2, 255\)"):
    _run(_protocol(data, train=two, test=two), tmp_path)


def test_constant_predictions_are_a_note(data, tmp_path, monkeypatch):
  monkeypatch.setattr(
    network.SegmentationNetwork,
    "predict",
    lambda self, image, sides: np.ones(sides, np.int32),
  )
  outcome, _ = _run(_protocol(data, steps=1), tmp_path)
  assert any(
    note.startswith("segmentation: seed 0: all test pixels are predicted as")
    for note in outcome.notes
  )


def test_real_street_scenes_are_learned(shared_data, tmp_path):
  """Two CamVid images: better than predicting "road" everywhere."""
  data = camvid.read(str(shared_data / "camvid"), split="train").take([0, 1])
  protocol = _protocol(
    data, train=data, test=data, image_size=(96, 128), steps=40
  )
  outcome, _ = _run(protocol, tmp_path)
  assert outcome.results["pixel_accuracy_percent"] > 50
  assert len(outcome.details["iou_percent"]) == 11


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
