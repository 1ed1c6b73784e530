"""The detection protocol on tiny pictures."""

import dataclasses
import io
import json
import sys
import types

import numpy as np
import pytest
from PIL import Image
from pycocotools import coco as reference
from pycocotools import cocoeval

from tests.evaluation.detection import scenes_reference as scenes
from tests.models import tiny_encoder_reference
from tf_ssl import errors
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.evaluation import fine_tune_loop
from tf_ssl.evaluation.detection import coco_metrics, detection, retinanet

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow

_BOXES = [
  [(3, 6, 10, 28, 28)],
  [(18, 30, 24, 24, 32)],
]


def subject():
  encoder = tiny_encoder_reference.tiny(width=16)
  return types.SimpleNamespace(name="tiny", trainable=encoder)


def protocol(data, *, encoder_rate=0.02, **changes):
  settings = {
    "train": data,
    "sgd": fine_tune_loop.Sgd(
      head_learning_rate=0.02,
      encoder_learning_rate=encoder_rate,
      weight_decay=0.0,
    ),
    "architecture": retinanet.Architecture(
      min_level=3, max_level=4, num_filters=16, num_convs=1
    ),
    "image_size": 64,
    "batch_size": 2,
    **changes,
  }
  return detection.Detection(**settings)


def test_two_pictures_are_memorized_and_the_metrics_are_pycocotools(
  tmp_path, monkeypatch
):
  data = scenes.write(tmp_path / "data", _BOXES)
  model, said = subject(), []
  before = [v.numpy() for v in model.trainable.variables]
  memorizing = protocol(data, test=data, steps=150)
  options = {"output_dir": str(tmp_path), "say": said.append}
  outcome = memorizing.run(model, **options)

  assert outcome.results["AP_percent"] > 50
  assert outcome.results["AP50_percent"] > 90
  assert "AP_large_percent" not in outcome.results  # there is none
  assert any("AP_large" in note for note in outcome.notes)
  for old, new in zip(before, model.trainable.variables, strict=True):
    np.testing.assert_array_equal(old, new)  # Restored.

  kept = tmp_path / "detection"
  truth = reference.COCO(str(tmp_path / "data" / "boxes.json"))
  found = truth.loadRes(str(kept / "seed-0-coco-results.json"))
  evaluation = cocoeval.COCOeval(truth, found, "bbox")
  evaluation.evaluate()
  evaluation.accumulate()
  evaluation.summarize()
  for name, value in zip(coco_metrics.NAMES, evaluation.stats, strict=True):
    if value >= 0:
      expected = pytest.approx(100 * value, abs=1e-6)
      assert outcome.results[f"{name}_percent"] == expected
  best = max(
    json.loads((kept / "seed-0-coco-results.json").read_text()),
    key=lambda entry: entry["score"],
  )
  assert best["image_id"] in (100, 101)

  with Image.open(io.BytesIO(outcome.pictures["detections.png"])) as picture:
    assert picture.format == "PNG" and min(picture.size) > 300
  json.dumps([outcome.settings, outcome.details, outcome.data])
  assert outcome.settings["encoder"] == "fine-tuned"

  def never(*_, **__):
    raise AssertionError("trained again")

  monkeypatch.setattr(fine_tune_loop.FineTuneLoop, "fit", never)
  assert memorizing.run(model, **options).results == outcome.results


def test_held_out_images_without_classes_one_of_them_damaged(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(detection, "_DRAWN", 1)  # The first readable one.
  data = scenes.write(tmp_path / "data", [*_BOXES, [], *_BOXES, *_BOXES, []])
  _, held_out = annotations_lib.split_images(8, test_fraction=0.5, seed=3)
  bad = f"{held_out[0]:03d}.png"
  path = tmp_path / "data" / "images" / bad
  path.write_bytes(path.read_bytes()[:100])
  outcome = protocol(
    data,
    encoder_rate=0.0,
    held_out=0.5,
    split_seed=3,
    class_agnostic=True,
    max_skipped_fraction=0.3,
    steps=1,
    seeds=(5, 6),
  ).run(subject(), output_dir=str(tmp_path), say=lambda line: None)
  assert list(outcome.skipped) == [f"test/{bad}"]
  assert outcome.details["tested_images"] == [3, 3]
  assert outcome.data["train"]["used"] == outcome.data["test"]["used"] == 4
  assert outcome.data["train"] != outcome.data["test"]
  assert list(outcome.details["AP_percent_by_class"]) == ["object"]
  assert [run["seed"] for run in outcome.details["by_seed"]] == [5, 6]
  expected = {
    "encoder": "frozen",
    "classes": "all as one",
    "image_size": 64,
    "steps": 1,
    "batch_size": 2,
    "head_learning_rate": 0.02,
    "num_filters": 16,
    "test_images": "0.5 of the images, split seed 3",
    "seeds": [5, 6],
  }
  assert expected.items() <= outcome.settings.items()
  notes = " ".join(outcome.notes)
  assert "not a standard test set" in notes
  assert "not COCO's usual AP" in notes


def test_unusable_training_and_test_images_are_named(tmp_path):
  data = scenes.write(tmp_path / "data", _BOXES)
  crowds = data._replace(crowd=np.ones(2, bool))
  others = data._replace(class_names=("cat", "dog"))
  for changes, message in (
    ({"train": None}, "set IMAGES and ANNOTATIONS"),
    ({"test": others}, ".2 and 2.*TEST_ANNOTATIONS"),
    ({"seeds": (1, 1)}, "change SEEDS"),
    ({"steps": 0}, "steps=0.*change STEPS"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      protocol(data, **changes)
  model = subject()
  for changes, message in (
    ({"train": crowds, "test": data}, "2 train images.*ANNOTATIONS"),
    ({"test": crowds}, "2 test images.*TEST_ANNOTATIONS"),
    ({"image_size": 40, "test": data}, "expected a multiple of 16"),
    ({"held_out": 1.0}, "test_fraction is 1.0"),
  ):
    wrong = dataclasses.replace(protocol(data, steps=1), **changes)
    with pytest.raises(errors.UsageError, match=message):
      wrong.run(model, output_dir=str(tmp_path), say=lambda line: None)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
