"""Rules, and exact thresholds and counts compared to full sorts."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.invariance import firing


def _features(kind, num_images=3000, num_units=7, seed=0):
  rng = np.random.default_rng(seed)
  features = rng.normal(size=(num_images, num_units)).astype(np.float32)
  if kind == "tied":
    features = np.round(features)
  if kind == "sparse":
    features = np.maximum(features - 1.5, 0)
  if kind == "rare":
    features = np.maximum(features - 3, 0)
  if kind == "sorted":
    features = np.sort(features, axis=0)
  if kind == "negative":
    features = -np.maximum(features, 0)
  return features


def _membership(num_images, num_sets, seed=1):
  return np.random.default_rng(seed).integers(num_sets + 1, size=num_images)


_KINDS = ["normal", "tied", "sparse", "rare", "sorted", "negative"]


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("rank", [0, 1, 1500, 2850, 2998, 2999])
def test_thresholds_and_counts_equal_those_of_a_full_sort(kind, rank):
  features = _features(kind)
  membership = _membership(3000, 40)

  found = firing.measure(features, membership[np.newaxis], 40, rank=rank)

  high = np.sort(features, axis=0)[rank]
  low = np.sort(features, axis=0)[::-1][rank]
  np.testing.assert_array_equal(found.high, high)
  np.testing.assert_array_equal(found.low, low)
  np.testing.assert_array_equal(found.at_or_above, (features >= high).sum(0))
  for one in range(40):
    images = features[membership == one]
    np.testing.assert_array_equal(found.above[0, one], (images > high).sum(0))
    np.testing.assert_array_equal(found.below[0, one], (images < low).sum(0))


def test_several_memberships_are_counted_in_one_pass():
  features = _features("normal")
  memberships = np.stack([_membership(3000, 9, seed) for seed in range(3)])

  found = firing.measure(features, memberships, 9, rank=2700)

  for row, membership in enumerate(memberships):
    alone = firing.measure(features, membership[np.newaxis], 9, rank=2700)
    np.testing.assert_array_equal(found.above[row], alone.above[0])
    np.testing.assert_array_equal(found.below[row], alone.below[0])


def test_rows_choose_the_images():
  features = _features("normal")
  rows = np.flatnonzero(np.arange(3000) % 3)
  membership = _membership(len(rows), 5)[np.newaxis]

  found = firing.measure(features, membership, 5, rank=1800, rows=rows)

  copied = firing.measure(features[rows], membership, 5, rank=1800)
  for one, other in zip(found, copied, strict=True):
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
  "change",
  [
    np.asfortranarray,
    lambda features: features.astype(np.float64),
    lambda features: np.repeat(features, 2, axis=1)[:, ::2],
  ],
)
def test_the_layout_of_the_features_does_not_matter(change):
  features = _features("normal")
  membership = _membership(3000, 5)[np.newaxis]

  found = firing.measure(change(features), membership, 5, rank=2700)

  np.testing.assert_array_equal(found.high, np.sort(features, axis=0)[2700])


def test_half_precision_and_integers_are_sorted_exactly():
  membership = _membership(3000, 5)[np.newaxis]
  for dtype in (np.float16, np.int64, np.uint8):
    features = (50 + 10 * _features("normal")).astype(dtype)
    found = firing.measure(features, membership, 5, rank=2700)
    np.testing.assert_array_equal(found.high, np.sort(features, axis=0)[2700])
    np.testing.assert_array_equal(
      found.low, np.sort(features, axis=0)[::-1][2700]
    )


def test_sets_of_more_than_255_images_do_not_overflow():
  features = _features("normal", num_units=2)
  found = firing.measure(features, np.zeros([1, 3000], int), 1, rank=1000)
  assert found.above.tolist() == [[[1999, 1999]]]


def test_a_unit_with_one_value_is_constant_and_fires_nowhere():
  features = _features("normal")
  features[:, 4] = 2.5
  found = firing.measure(
    features, _membership(3000, 5)[np.newaxis], 5, rank=2700
  )
  assert np.flatnonzero(found.constant).tolist() == [4]
  assert not found.above[..., 4].any() and not found.below[..., 4].any()
  assert found.at_or_above[4] == 3000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_with_nan_or_infinity_are_counted(value):
  features = _features("normal")
  features[[3, 700, 700], [1, 2, 3]] = value
  with pytest.raises(errors.UsageError, match="2 of 3000 rows"):
    firing.measure(features, _membership(3000, 5)[np.newaxis], 5, rank=2700)


def test_a_memory_map_is_never_loaded_at_once(tmp_path, repository):
  features = np.lib.format.open_memmap(
    tmp_path / "features.npy", "w+", np.float32, (16_000, 1_024)
  )  # 66 MB
  block = np.random.default_rng(0).normal(size=(1_000, 1_024))
  for start in range(0, 16_000, 1_000):
    features[start : start + 1_000] = block + start / 16_000
  features.flush()
  script = textwrap.dedent("""
    import pathlib, sys
    import numpy as np
    from tf_ssl.invariance import firing

    def memory(key):
      status = pathlib.Path("/proc/self/status").read_text()
      return 1024 * int(status.split(key + ":")[1].split()[0])

    features = np.load(sys.argv[1], mmap_mode="r")
    membership = np.arange(len(features))[np.newaxis] // 16
    before = memory("VmRSS")
    firing.measure(features, membership, 1000, rank=15_200)
    print((memory("VmHWM") - before) / features.nbytes)
  """)
  result = subprocess.run(
    [sys.executable, "-c", script, str(tmp_path / "features.npy")],
    cwd=repository,
    capture_output=True,
    text=True,
    check=True,
    timeout=120,
  )
  assert float(result.stdout) < 0.4


def test_a_private_memory_map_keeps_its_changes(tmp_path):
  np.save(tmp_path / "features.npy", _features("normal"))
  features = np.load(tmp_path / "features.npy", mmap_mode="c")
  features[:, 0] = np.arange(3000)

  found = firing.measure(
    features, _membership(3000, 5)[np.newaxis], 5, rank=2700
  )

  assert found.high[0] == 2700
  assert features[5, 0] == 5


@pytest.mark.parametrize("num_images", [12, 100, 997])
def test_a_rule_lets_units_without_ties_fire_on_its_fraction(num_images):
  values = np.random.default_rng(0).permutation(num_images).astype(float)
  for variant in firing.VARIANTS:
    rule = firing.rule(variant, 0.25, num_images=num_images, num_classes=4)
    found = firing.measure(
      values[:, np.newaxis], np.zeros([1, num_images], int), 1, rank=rule.rank
    )
    expected = int(num_images * 0.25)
    assert expected - 1 <= found.above[0, 0, 0] <= expected
    assert rule.percent == 25


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
