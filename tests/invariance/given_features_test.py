"""Tests of tf_ssl.invariance.given_features and written_sets together."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import sets_manifest
from tf_ssl.invariance import (
  given_features,
  measure,
  measurement,
  written_sets,
)
from tf_ssl.models import load


@pytest.fixture(name="settings")
def fixture_settings(tmp_path):
  """Eight sets of four images of 20x12 px; only the brightness changes."""
  rng = np.random.default_rng(0)
  lines = ["path,set,class,value"]
  for group in range(8):
    picture = rng.uniform(0, 120, size=[12, 20, 3])
    for i in range(4):
      name = f"{group}_{i}.png"
      image = (picture * (1 + i / 4)).astype(np.uint8)
      Image.fromarray(image).save(tmp_path / name)
      lines.append(f"{name},s{group},c{group % 4},{i}")
  file = tmp_path / "brightness.csv"
  file.write_text("\n".join(lines) + "\n")
  sets = sets_manifest.read(str(file), invariance="of the light")
  return measurement.Measurement(
    sets=[sets], top_k=(5,), image_size=16, resamples=20
  )


def _features(folder):
  """What a program in any framework does with the folder."""
  paths = sorted(folder.glob("*/*.png"))
  images = np.stack([np.asarray(Image.open(path)) for path in paths])
  features = images.reshape(len(images), -1)[:, ::7].astype(np.float32)
  return np.array([str(path) for path in paths]), features


def _save(path, **arrays):
  np.savez(path, **arrays)
  return f"mine={path}"


def test_features_from_elsewhere_score_as_their_model(settings, tmp_path):
  written_sets.write(settings, str(tmp_path / "sets"))
  paths, _ = _features(tmp_path / "sets")
  images = np.stack([np.asarray(Image.open(path)) for path in paths])
  assert images.shape == (32, 16, 16, 3)
  model = load.load_model("pixels")
  deal = np.random.default_rng(0).permutation(len(paths))
  spec = _save(
    tmp_path / "a.npz",
    names=paths[deal],  # In any order: rows are matched by name.
    features=model.features(images)[deal],
  )
  results = measure.measure(
    [model, given_features.GivenFeatures(spec)],
    settings,
    str(tmp_path / "out"),
  )
  [one] = results.sets
  np.testing.assert_array_equal(one.features["mine"], one.features["pixels"])
  scores = one.models
  assert scores["mine"].score.scores == scores["pixels"].score.scores
  alone = measure.measure(
    [given_features.GivenFeatures(spec)], settings, str(tmp_path / "alone")
  )
  assert (
    alone.sets[0].models["mine"].score.scores == scores["mine"].score.scores
  )
  told = results.models[1]
  assert (told.name, told.kind, told.width) == (
    "mine",
    "features from elsewhere",
    768,
  )


def test_the_written_manifest_is_the_sets(settings, tmp_path):
  lines = []
  written_sets.write(settings, str(tmp_path / "sets"), say=lines.append)
  assert lines == ["of_the_light: 32 images of 16x16 px"]
  [data] = settings.sets
  again = sets_manifest.read(str(tmp_path / "sets" / "of_the_light.csv"))
  assert again.set_names == data.set_names
  assert again.class_names == data.class_names
  np.testing.assert_array_equal(again.sets, data.sets)
  np.testing.assert_array_equal(again.classes, data.classes)
  np.testing.assert_array_equal(again.factor, data.factor)
  with pytest.raises(
    errors.UsageError, match="expected an empty or new folder"
  ):
    written_sets.write(settings, str(tmp_path / "sets"))


def test_features_of_other_images_are_refused(settings, tmp_path):
  written_sets.write(settings, str(tmp_path / "sets"))
  names, features = _features(tmp_path / "sets")
  for kept, problem in (
    (slice(1, None), "missing are 1, such as of_the_light/000000.png"),
    (slice(0, 0), "missing are 32"),
  ):
    spec = _save(tmp_path / "a.npz", names=names[kept], features=features[kept])
    with pytest.raises(errors.UsageError, match=problem):
      measure.measure(
        [given_features.GivenFeatures(spec)], settings, str(tmp_path / "out")
      )
  more = np.append(names, names[-1].replace("000031", "000032"))
  spec = _save(
    tmp_path / "a.npz",
    names=more,
    features=np.append(features, [features[0]], 0),
  )
  with pytest.raises(errors.UsageError, match="of 33 images .* have 32 images"):
    measure.measure(
      [given_features.GivenFeatures(spec)], settings, str(tmp_path / "out")
    )


@pytest.mark.parametrize(
  ("arrays", "message"),
  [
    ({"features": np.ones([2, 3], "f")}, "has the arrays features; expected"),
    ({"names": np.array(["a/0.png"])}, "has the arrays none, names; expected"),
    (
      {"names": np.array(["a/0.png"]), "features": np.ones([2, 3], "f")},
      r"features float32\(2, 3\); expected",
    ),
    (
      {"names": np.array(["a/0.png"]), "features": np.full([1, 3], np.nan)},
      "features of 1 images are NaN or infinite, such as a/0.png",
    ),
    (
      {
        "names": np.array(["x/a/0.png", "y/a/0.png"]),
        "features": np.ones([2, 3], "f"),
      },
      "has y/a/0.png twice",
    ),
  ],
)
def test_an_unusable_archive_is_one_clear_line(tmp_path, arrays, message):
  with pytest.raises(errors.UsageError, match=message):
    given_features.GivenFeatures(_save(tmp_path / "a.npz", **arrays))


def test_a_file_that_is_no_archive_is_named(tmp_path):
  (tmp_path / "a.npz").write_bytes(b"PK\x03\x04nothing")
  for name in ("a.npz", "nowhere.npz"):
    with pytest.raises(errors.UsageError, match=f"{name} cannot be read"):
      given_features.GivenFeatures(f"mine={tmp_path}/{name}")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
