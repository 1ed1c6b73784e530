"""Settings of a measurement, and the ranges of its curves."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.invariance import measurement


@pytest.mark.parametrize(
  ("values", "unit", "expected"),
  [
    ([0, 90, 180, 270], "degrees", (10, 20, 30, 60, 90, np.inf)),
    ([-24, 0, 24], "degrees", (10, 20, np.inf)),
    ([-0.8, 0, 0.8], "", (0.2, 0.4, 0.6, np.inf)),
    ([0, np.nan, 1], "", ()),
    ([2, 2, 2], "degrees", ()),
  ],
)
def test_the_ranges_of_a_curve_follow_the_factor(
  measured, values, unit, expected
):
  data = measured.results.sets[0].data._replace(
    factor=np.array(values, float), factor_unit=unit
  )
  assert measurement.curve_ranges(data) == expected


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"sets": []}, "no sets"),
    ({"top_k": ()}, r"top_k is \(\)"),
    ({"top_k": (0,)}, r"top_k is \(0,\)"),
    ({"variant": "paper"}, "variant is 'paper'"),
    ({"resamples": 1}, "resamples is 1"),
    ({"confidence": 95}, "confidence 95"),
    ({"permutations": 0}, "permutations is 0"),
    ({"image_size": 1}, "image_size is 1"),
    ({"batch_size": 0}, "batch_size is 0"),
    ({"firing_fraction": 2.0}, "firing_fraction is 2.0"),
    ({"max_skipped_fraction": -0.1}, "max_skipped_fraction is -0.1"),
  ],
)
def test_settings_out_of_range_are_refused_at_once(options, message):
  with pytest.raises(errors.UsageError, match=message):
    measurement.Measurement(**{"sets": ["some"], **options})


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
