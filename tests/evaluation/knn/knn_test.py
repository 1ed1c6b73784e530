"""Tests of tf_ssl.evaluation.knn.knn."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.evaluation import protocol
from tf_ssl.evaluation.knn import classifier as knn_lib
from tf_ssl.evaluation.knn import knn


def _folder(path, seed, counts):
  """Writes images of colored noise, a folder for each class."""
  rng = np.random.default_rng(seed)
  for name, count in counts.items():
    (path / name).mkdir(parents=True)
    color = np.random.default_rng(ord(name[0])).uniform(60, 190, 3)
    for i in range(count):
      pixels = rng.normal(color, 60, [8, 8, 3]).clip(0, 255)
      Image.fromarray(pixels.astype(np.uint8)).save(path / name / f"{i}.png")
  return open_images.open_images(str(path), labeled=True)


@pytest.fixture(name="train", scope="module")
def fixture_train(tmp_path_factory):
  folder = tmp_path_factory.mktemp("images") / "train"
  return _folder(folder, 0, {"b": 6, "c": 7, "a": 8, "d": 3, "e": 3, "f": 3})


@pytest.fixture(name="test", scope="module")
def fixture_test(tmp_path_factory):
  folder = tmp_path_factory.mktemp("images") / "test"
  found = _folder(folder, 1, {name: 3 for name in "abcdef"})
  (folder / "a" / "1.png").write_bytes(b"no image")
  return found


def _run(settings, folder):
  subject = protocol.Subject("mine=pixels")
  return settings.run(subject, output_dir=str(folder), say=print)


def test_the_outcome_equals_knn_on_the_kept_features(train, test, tmp_path):
  settings = knn.Knn(
    train=train,
    test=test,
    k=(5, 1),
    temperature=(0.1, 1.0),
    image_size=8,
    max_skipped_fraction=0.2,
  )
  outcome = _run(settings, tmp_path)
  train_features, test_features = (
    np.load(tmp_path / "features" / role / "features-0-mine.npy")
    for role in ("train", "test")
  )
  kept = [i for i in range(18) if test.name(i) != "a/1.png"]
  assert len(kept) == len(test_features) == 17
  for (k, t), name in {
    (5, 0.1): "top1_percent",
    (1, 0.1): "top1_k1_t0.1_percent",
    (5, 1.0): "top1_k5_t1_percent",
  }.items():
    expected = knn_lib.knn_accuracy(
      train_features,
      train.labels,
      test_features,
      test.labels[kept],
      k=k,
      temperature=t,
    )
    assert outcome.results[name] == 100 * expected
  assert 30 < outcome.results["top1_percent"] < 100
  assert outcome.results["top1_percent"] < outcome.results["top5_percent"]
  assert outcome.settings["k"] == [5, 1]
  assert outcome.settings["headline"] == "k 5, temperature 0.1"
  assert list(outcome.skipped) == ["a/1.png"]
  assert outcome.data["test"]["count"] == 18
  assert len(outcome.tables[0].rows) == 4
  assert outcome.details["by_k_and_temperature"][3]["k"] == 1


def test_too_large_a_k_is_refused_before_any_image_is_read(
  train, test, tmp_path
):
  settings = knn.Knn(train=train, test=test, image_size=8)
  with pytest.raises(errors.UsageError, match="200 .* 30 images.* K"):
    _run(settings, tmp_path)
  assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"k": ()}, r"\[\].* K"),
    ({"k": (5, 5)}, r"\[5, 5\].* K"),
    ({"k": (0,)}, r"\[0\].* K"),
    ({"temperature": (-0.1,)}, "-0.1.*TEMPERATURE"),
  ],
)
def test_settings_out_of_range_are_refused(change, message, train, test):
  with pytest.raises(errors.UsageError, match=message):
    knn.Knn(train=train, test=test, **change)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
