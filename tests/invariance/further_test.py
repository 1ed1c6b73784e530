"""Encoders that are invariant, equivariant or neither by construction."""

import sys

import numpy as np
import pytest

from tf_ssl.datasets import records
from tf_ssl.datasets.invariance_sets import invariance_sets
from tf_ssl.invariance import further, measure, measurement, summary

_SETS, _IMAGES, _UNITS = 60, 12, 64


def _data():
  """60 objects of 6 classes, each turned all around; nothing is read."""
  count = _SETS * _IMAGES
  rng = np.random.default_rng(5)
  sets = np.repeat(np.arange(_SETS), _IMAGES)
  start = rng.uniform(0, 360, size=_SETS)[sets]
  angles = start + np.tile(np.arange(_IMAGES), _SETS) * 360 / _IMAGES
  return invariance_sets.InvarianceSets(
    source="test",
    invariance="viewpoint",
    images=records.ImageRecords(
      "", np.array([b"x"] * count), np.ones(count, np.int64)
    ),
    sets=sets,
    classes=sets % 6,
    set_names=tuple(map(str, range(_SETS))),
    class_names=tuple("abcdef"),
    factor=angles % 360,
    factor_name="azimuth",
    factor_unit="degrees",
    factor_period=360.0,
    image_size=16,
    skipped={},
  )


def _measured(features, data, **settings):
  settings = measurement.Measurement(
    sets=[data], top_k=(5,), resamples=200, **settings
  )
  found, _ = measure._model_score(
    features.astype(np.float32),
    data,
    np.arange(len(features)),
    settings,
    features.shape[1],
  )
  return found


def _invariant(data, rng):
  """Units that depend on the object only, but for a little noise."""
  identity = rng.normal(size=[_SETS, _UNITS])[data.sets]
  return identity + 0.05 * rng.normal(size=identity.shape)


def _equivariant(data, rng):
  """Units that depend on the object and turn with it."""
  angle = np.radians(data.factor)[:, np.newaxis]
  phase = rng.uniform(0, 2 * np.pi, size=_UNITS)
  identity = rng.normal(size=[_SETS, _UNITS])[data.sets]
  return 0.3 * identity + np.cos(angle - phase)


def _random(data, rng):
  return rng.normal(size=[len(data.sets), _UNITS])


@pytest.mark.parametrize(
  ("encoder", "verdict"),
  [
    (_invariant, "invariant"),
    (_equivariant, "equivariant (R² 1.0)"),
    (_random, "neither"),
  ],
)
def test_an_encoder_is_found_out(encoder, verdict):
  data = _data()
  found = _measured(encoder(data, np.random.default_rng(0)), data)
  assert further.verdict(found, 5) == verdict
  whole = found.whole
  if encoder is _invariant:
    assert found.score.scores[5] > 90
    # A threshold lies within one object for each unit.
    assert found.cross_fitted.scores[5] > 75
    assert whole.correlation > 0.95 and whole.reidentified.estimate == 100
    assert found.decoded.r2 < 0.1
  else:
    assert whole.correlation < 0.2
    assert found.cross_fitted.scores[5] < 50
  if encoder is _random:
    interval = found.cross_fitted.intervals[5]
    assert interval.low < found.cross_fitted.chance[5] < interval.high
    assert whole.reidentified.estimate < 2 * whole.chance < 4
    assert found.decoded.low < 0.05


def test_invariant_units_beside_equivariant_ones_are_equivariant():
  # The best units do not change, and the angle is still there.
  data, rng = _data(), np.random.default_rng(0)
  both = np.concatenate(
    [_invariant(data, rng), _equivariant(data, rng)], axis=1
  )
  found = _measured(both, data)
  assert found.score.scores[5] > 90
  assert further.verdict(found, 5).startswith("equivariant")


def test_without_values_there_is_no_verdict():
  data = _data()
  data = data._replace(factor=np.full(len(data.sets), np.nan))
  found = _measured(_invariant(data, np.random.default_rng(0)), data)
  assert found.decoded is None and further.verdict(found, 5) == ""
  text = summary.further_scores(found, 5)
  assert "R²" not in text and "correlation" in text


def test_where_each_class_has_one_set_the_score_itself_decides():
  data = _data()
  data = data._replace(classes=data.sets)
  found = _measured(_invariant(data, np.random.default_rng(0)), data)
  assert found.cross_fitted is None
  assert further.verdict(found, 5) == "invariant"


def test_each_column_has_a_cell_and_a_sentence():
  data = _data()
  found = _measured(_equivariant(data, np.random.default_rng(0)), data)
  cells = {x.title: x.cell(found, 5) for x in further.COLUMNS}
  assert cells["Score"].value.startswith(f"{found.score.scores[5]:.1f} (")
  assert f"{found.chance.scores[5]:.1f}" in cells["Score"].beside
  assert "equivariant" in cells["Decoded, R²"].beside
  for column in further.COLUMNS:
    assert column.title and column.sentence.endswith(".")
  text = summary.further_scores(found, 5)
  assert f"cross-fitted {found.cross_fitted.scores[5]:.1f}" in text
  assert "equivariant (R² 1.0)" in text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
