"""Own pictures: sets, features of versions, known invariances, refusals."""

import csv
import sys
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tests.models import function_model_reference
from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.features import store
from tf_ssl.invariance import (
  alterations,
  given_features,
  measure,
  measurement,
  own_pictures,
  report,
  settings_choice,
  summary,
  written_sets,
)
from tf_ssl.models import image_model

SIDE = 16
COUNT = 60
NAMES = "rotation,noise,horizontal_flip,gray"


def _write(folder, count=COUNT):
  folder.mkdir()
  for i in range(count):
    rng = np.random.default_rng(i)
    noise = ndimage.gaussian_filter(rng.normal(size=[40, 52, 3]), [4, 4, 0])
    noise = (noise - noise.min()) / np.ptp(noise)
    Image.fromarray((255 * noise).astype(np.uint8)).save(
      folder / f"{i:03d}.png"
    )
  return folder


def _settings(folder, **options):
  options = {"alterations": NAMES, "image_size": SIDE, **options}
  return settings_choice.of_pictures(
    lambda sets: measurement.Measurement(
      sets=sets, top_k=(5, 10), resamples=50
    ),
    str(folder),
    **options,
  )


def _model(name, run):
  return function_model_reference.of(name, run, SIDE)


def _hashed(images):
  """40 random numbers for each image, equal for equal images."""
  return np.stack(
    [
      np.random.default_rng(zlib.crc32(image.tobytes())).normal(size=40)
      for image in np.ascontiguousarray(images, np.uint8)
    ]
  )


def _mirrored(images):
  """Sees everything but which side is left."""
  images = np.rint(images).astype(np.int64)
  return _hashed((images + images[:, :, ::-1]) // 2)


def _shades(images):
  """Sees shades coarsely, and no colors: 40 places of the image."""
  gray = images @ np.array([0.299, 0.587, 0.114])
  places = np.random.default_rng(0).permutation(SIDE**2)[:40]
  return gray.reshape([len(images), -1])[:, places]


@pytest.fixture(scope="module", name="folder")
def fixture_folder(tmp_path_factory):
  return _write(tmp_path_factory.mktemp("own") / "photos")


@pytest.fixture(scope="module", name="measured")
def fixture_measured(folder):
  output = folder.parent / "out"
  models = [_model("mirrored", _mirrored), _model("shades", _shades)]
  results = measure.measure(models, _settings(folder), str(output))
  report.write(results, str(output))
  return results, output


def _found(measured, alteration, model):
  [result] = [one for one in measured[0].sets if one.label == alteration]
  return result.models[model]


def test_each_picture_is_a_set_with_its_versions(folder):
  settings = _settings(folder)
  assert settings.firing_fraction == 0.05
  assert settings.labels == tuple(NAMES.split(","))
  rotation = settings.sets[0]
  assert rotation.images.num_images == 6 * COUNT
  assert rotation.set_names[:2] == ("000.png", "001.png")
  assert rotation.factor[:7].tolist() == [0, 10, 30, 60, 90, 180, 0]
  assert rotation.levels[:7].tolist() == [0, 1, 2, 3, 4, 5, 0]
  assert rotation.targets[0].tolist() == [0, 1]
  assert np.allclose(np.abs(rotation.targets[4]), [1, 0])
  assert settings.pictures.num_versions == 1 + 5 + 4 + 1 + 2
  assert settings.pictures.columns(2).tolist() == [0, 10]


def test_the_photos_for_the_check_are_spread_over_all_pictures(folder):
  photos = _settings(folder).pictures.photos()
  assert photos.shape == (COUNT, SIDE, SIDE, 3) and photos.dtype == np.uint8
  many = _settings(folder).pictures
  many = many._replace(records=records.take(many.records, np.arange(200) % 60))
  found = many.photos()
  assert len(found) == 64
  for place, number in ((0, 0), (63, 199)):
    np.testing.assert_array_equal(found[place], photos[number % 60])


def test_an_encoder_that_is_invariant_by_construction_is_found_out(measured):
  flip = _found(measured, "horizontal_flip", "mirrored")
  [point] = flip.strengths
  assert point.scores[5] > 80 > 65 > point.chance[5]
  assert flip.whole.correlation > 0.99
  assert flip.whole.reidentified.estimate == 100
  gray = _found(measured, "gray", "shades")
  assert gray.whole.correlation > 0.99
  assert not _found(measured, "gray", "mirrored").whole.correlation > 0.1


def test_an_encoder_that_sees_every_change_is_at_chance(measured):
  for alteration in ("rotation", "noise", "gray"):
    found = _found(measured, alteration, "mirrored")
    for point in found.strengths:
      assert abs(point.scores[10] - point.chance[10]) < 12
    assert found.whole.correlation < 0.1


def test_weak_noise_leaves_more_than_strong_noise(measured):
  points = _found(measured, "noise", "shades").strengths
  assert [point.strength for point in points] == [8, 16, 32, 64]
  scores = [point.scores[10] for point in points]
  assert scores[0] > scores[-1] + 5
  assert all(p.intervals[10].low <= p.intervals[10].high for p in points)


def test_the_report_has_the_scores_by_strength(measured):
  _, output = measured
  with open(output / "strengths.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 2 * 2 * (5 + 4 + 1 + 2)  # Models, K, strengths.
  assert rows[0]["alteration"] == "rotation" and rows[0]["strength"] == "10.0"
  assert (output / "invariance_strengths.png").is_file()
  page = (output / "report.html").read_text(encoding="utf-8")
  assert "Scores by strength of the alteration" in page
  assert "60 pictures" in page and "1 classes" not in page


def test_features_are_those_of_the_versions_and_are_kept(
  folder, measured, monkeypatch
):
  _, output = measured
  settings = _settings(folder)
  stored = np.load(output / "features" / "pictures" / "features-1-shades.npy")
  assert stored.shape == (COUNT * 13, 40)
  whole = np.asarray(Image.open(folder / "007.png"))[:, 6:46]
  whole = np.asarray(
    Image.fromarray(whole).resize(
      [alterations.whole_side(SIDE)] * 2, Image.BILINEAR
    )
  )
  expected = _shades(settings.pictures.versions().make(whole, 7))
  # The resizing of Pillow and of the pipeline differ by a gray level.
  off = np.abs(stored[7 * 13 : 8 * 13] - expected)
  assert np.median(off) < 1.5

  def never(self, images):
    raise AssertionError("computed again")

  monkeypatch.setattr(image_model.ImageModel, "features", never)
  models = [_model("mirrored", _mirrored), _model("shades", _shades)]
  again = measure.measure(models, settings, str(output))
  assert again.sets[0].models["shades"].score.scores == (
    _found(measured, "rotation", "shades").score.scores
  )


def test_extraction_resumes_after_an_interruption(folder, tmp_path):
  pictures = _settings(folder).pictures
  calls = []

  def stops(images):
    calls.append(len(images))
    if len(calls) == 20:
      raise KeyboardInterrupt
    return _shades(images)

  def extract(model):
    return store.extract(
      [model],
      pictures.records,
      str(tmp_path / "f"),
      image_size=SIDE,
      versions=pictures.versions(),
    )

  with pytest.raises(KeyboardInterrupt):
    extract(_model("a", stops))
  found = extract(_model("a", _shades))
  fresh = store.extract(
    [_model("a", _shades)],
    pictures.records,
    str(tmp_path / "g"),
    image_size=SIDE,
    versions=pictures.versions(),
  )
  assert np.array_equal(found.index, np.arange(COUNT * 13))
  assert np.array_equal(found.by_model["a"], fresh.by_model["a"])
  assert found.images_per_second > 0


def test_a_damaged_picture_is_left_out_of_all_alterations(tmp_path):
  folder = _write(tmp_path / "photos", 55)
  (folder / "004.png").write_bytes(b"no image")
  results = measure.measure(
    [_model("shades", _shades)], _settings(folder), str(tmp_path / "out")
  )
  for result in results.sets:
    assert [*result.unreadable] == ["004.png"]
    assert "1 of 55 pictures could not be read" in summary.exclusions(result)[0]
    sets = result.models["shades"].score.sets
    assert len(sets.ids) == 54 and 4 not in sets.ids


def test_features_from_elsewhere_score_as_those_of_the_model(
  folder, measured, tmp_path
):
  settings = _settings(folder)
  written_sets.write(settings, str(tmp_path / "sets"))
  files = sorted((tmp_path / "sets" / "pictures").glob("*.png"))
  assert len(files) == COUNT * 13
  images = np.stack([np.asarray(Image.open(file)) for file in files])
  np.savez(
    tmp_path / "shades.npz",
    names=[f"pictures/{file.name}" for file in files],
    features=_shades(images).astype(np.float32),
  )
  given = given_features.GivenFeatures(str(tmp_path / "shades.npz"))
  results = measure.measure([given], settings, str(tmp_path / "out"))
  found = results.sets[1].models["shades"]
  assert found.score.scores == pytest.approx(
    _found(measured, "noise", "shades").score.scores
  )
  with open(tmp_path / "sets" / "noise.csv", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == COUNT * 5
  assert rows[1]["path"] == "pictures/000006.png"
  assert rows[1]["value"] == "8.0"


def test_versions_have_the_size_that_the_models_require(folder):
  settings = _settings(folder, image_size=0)
  assert settings.pictures.image_size == own_pictures.IMAGE_SIZE
  models = [_model("mirrored", _mirrored), _model("shades", _shades)]
  sized = settings_choice.sized_for(settings, models)
  assert sized.pictures.image_size == SIDE
  assert {data.image_size for data in sized.sets} == {SIDE}


def test_few_of_many_pictures_are_chosen_at_random(folder):
  chosen = own_pictures.choose(str(folder), max_pictures=50, seed=3)
  names = [chosen.records.name(i) for i in range(50)]
  assert names == sorted(names) and names != [f"{i:03d}.png" for i in range(50)]
  other = own_pictures.choose(str(folder), max_pictures=50, seed=4)
  assert names != [other.records.name(i) for i in range(50)]


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"alterations": "rotation,spin"}, "alterations='rotation,spin'"),
    ({"max_pictures": 5}, "pictures=5"),
    ({"image_size": 4}, "image_size is 4"),
    ({"variant": "formula"}, "variant=formula.*--variant=code"),
    ({"has_other_sets": True}, "--manifest and --gin_file"),
  ],
)
def test_bad_settings_are_refused(folder, options, message):
  with pytest.raises(errors.UsageError, match=message):
    _settings(folder, **options)


def test_a_handful_of_pictures_is_refused(tmp_path):
  folder = _write(tmp_path / "photos", 5)
  with pytest.raises(errors.UsageError, match="5 pictures; expected at least"):
    _settings(folder)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
