"""Both variants compared to references and hand-worked examples."""

import subprocess
import sys

import numpy as np
import pytest

from tests.invariance import invariance_reference
from tf_ssl import errors
from tf_ssl.invariance import firing, score

_SCORE = score.representation_invariance_score


def _features(kind, num_images, num_units, rng):
  features = rng.normal(size=(num_images, num_units)).astype(np.float32)
  if kind == "tied":
    return np.round(features)
  if kind == "sparse":
    return np.maximum(features - 1, 0)
  if kind == "tied and sparse":
    return np.maximum(np.round(2 * features), 0)
  if kind == "constant":
    features[:, ::3] = 7
  return features


def _sets(rng):
  """Sets of 1 to 12 images in any order, their ids not from 0."""
  sizes = rng.integers(1, 13, size=rng.integers(6, 30))
  sizes[:2] = 5
  return rng.permutation(np.repeat(3 * rng.permutation(len(sizes)), sizes))


@pytest.mark.parametrize("with_classes", [False, True])
@pytest.mark.parametrize(
  "kind", ["random", "tied", "sparse", "tied and sparse", "constant"]
)
def test_code_equals_the_authors_program_to_the_last_digit(kind, with_classes):
  rng = np.random.default_rng(0)
  for _ in range(4):
    sets = _sets(rng)
    classes = sets % 4 if with_classes else None
    features = _features(kind, len(sets), 31, rng)

    found = _SCORE(features, sets, classes)

    assert found.scores == invariance_reference.code_scores(
      features, sets, classes
    )


def test_code_is_exact_in_double_precision():
  rng = np.random.default_rng(1)
  sets = _sets(rng)
  features = rng.normal(size=(len(sets), 12))
  found = _SCORE(features, sets, top_k=(3, 7, 12))
  assert found.scores == invariance_reference.code_scores(
    features, sets, top_k=(3, 7, 12)
  )


def test_code_counts_a_class_of_small_sets_as_0():
  rng = np.random.default_rng(2)
  sets = np.repeat(np.arange(12), 5)
  classes = sets // 4
  few = np.flatnonzero((classes < 2) | (np.arange(60) % 5 < 2))  # 2 images.
  features = rng.normal(size=(len(few), 30)).astype(np.float32)

  found = _SCORE(features, sets[few], classes[few])

  assert found.scores == invariance_reference.code_scores(
    features, sets[few], classes[few]
  )
  assert found.sets.num_skipped == 4
  assert found.sets.sets_of_class.tolist() == [4, 4, 0]
  assert found.class_scores[10][2] == 0
  assert (found.top_units[2] == -1).all()


# Four objects with three images each: a unit fires on 3 of 12 images.
_OBJECTS = np.repeat(["cup", "hat", "key", "pen"], 3)  # Sorted.


def _unit(*values):
  return np.array(values, np.float32)[:, np.newaxis]


@pytest.mark.parametrize(
  ("values", "percent"),
  [
    # Fires for one object, with either sign.
    ([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [100, 0, 0, 0]),
    ([5, 5, 5, 2, 2, 2, 5, 5, 5, 5, 5, 5], [0, 100, 0, 0]),
    # High for all images but one: the negative sign fires there.
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 100 / 3]),
    # Fires on a single image.
    ([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [100 / 3, 0, 0, 0]),
    # Fires on one of the three images of three objects.
    ([1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0], [100 / 3] * 3 + [0]),
    # The positive sign fires on the cup, the negative on the pen.
    ([9, 8, 7, 4, 4, 4, 4, 4, 4, 1, 0, 1], [100, 0, 0, 100]),
  ],
)
def test_formula_equals_hand_worked_examples(values, percent):
  found = _SCORE(_unit(*values), _OBJECTS, variant="formula", top_k=(1,))
  np.testing.assert_allclose(found.unit_invariance[:, 0], percent, rtol=1e-6)
  np.testing.assert_allclose(found.class_scores[1], percent)
  assert found.scores[1] == pytest.approx(np.mean(percent))
  assert found.firing_fraction == 0.25


@pytest.mark.parametrize("variant", firing.VARIANTS)
@pytest.mark.parametrize("value", [0, 1])
def test_constant_units_are_listed_and_have_invariance_0(variant, value):
  cup = [3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  features = np.hstack([np.full([12, 1], value, np.float32), _unit(*cup)])

  found = _SCORE(features, _OBJECTS, variant=variant, top_k=(1, 2))

  assert found.constant_units.tolist() == [0]
  assert not found.unit_invariance[:, 0].any()
  assert found.top_units[0].tolist() == [1, 0]


@pytest.mark.parametrize("variant", firing.VARIANTS)
@pytest.mark.parametrize(
  "tied", [[1, 0] * 6, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]]
)
def test_units_silenced_by_ties_are_listed_and_have_invariance_0(variant, tied):
  # 3 of 12 images could fire; more share the highest value, and the lowest.
  cup = [3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  features = np.hstack([_unit(*tied), _unit(*cup)])

  found = _SCORE(features, _OBJECTS, variant=variant, top_k=(1, 2))

  assert found.silent_units.tolist() == [0]
  assert not found.constant_units.size
  assert not found.unit_invariance[:, 0].any()


def test_formula_averages_all_sets_and_code_only_those_that_fire():
  # Class 0: sets 0 and 1; class 1: sets 2 and 3; half of 12 images fire.
  sets, classes = np.repeat(np.arange(4), 3), np.repeat([0, 1], 6)
  values = _unit(9, 8, 7, 0, 1, 2, 6, 5, 0.5, 1.5, 2.5, 2.6)

  formula = _SCORE(values, sets, classes, variant="formula", top_k=(1,))
  # Above 2.5: 3 + 0 images of class 0, 2 + 1 of class 1; below 2.6 the rest.
  assert formula.scores[1] == pytest.approx(100 * (1 / 2 + 1 / 2) / 2)

  code = _SCORE(values, sets, classes, top_k=(1,))
  # 6 of 12 images are at 2.6 or above; strictly above are 3 of set 0 and 2 of
  # set 2. From the other side, below 2.5 are 3 of set 1 and 1 each of 2 and 3.
  assert code.thresholds.tolist() == [[np.float32(2.6)], [2.5]]
  assert code.scores[1] == pytest.approx(100 * (1 + (2 / 3 + 1 / 3) / 2) / 2)


@pytest.mark.parametrize("fraction", [None, 0.1])
@pytest.mark.parametrize("kind", ["random", "tied", "sparse"])
def test_formula_equals_the_definition_image_by_image(kind, fraction):
  rng = np.random.default_rng(3)
  sets = _sets(rng)
  classes = sets % 4
  features = _features(kind, len(sets), 6, rng)

  found = _SCORE(
    features,
    sets,
    classes,
    top_k=(6,),
    variant="formula",
    firing_fraction=fraction,
  )

  for unit in range(6):
    wanted = invariance_reference.formula_invariance(
      features[:, unit], sets, classes, fraction or 0.25
    )
    np.testing.assert_allclose(
      found.unit_invariance[:, unit], [wanted[c] for c in range(4)], rtol=1e-5
    )


def test_formula_excludes_classes_without_sets():
  sets = np.append(np.repeat([0, 1], 3), [2, 2])
  values = _unit(9, 8, 7, 1, 2, 3, 4, 4)
  found = _SCORE(values, sets, variant="formula", top_k=(1,))
  assert found.sets.sets_of_class.tolist() == [1, 1, 0]
  # 2 of 8 images may fire: 9 and 8 of set 0; 1 and 2 of set 1.
  assert found.scores[1] == pytest.approx(100 * 2 / 3)


def test_the_firing_fraction_can_be_given():
  rng = np.random.default_rng(4)
  sets = np.repeat(np.arange(40), 10)
  features = rng.normal(size=(400, 30)).astype(np.float32)

  by_default = _SCORE(features, sets)
  given = _SCORE(features, sets, firing_fraction=0.05)
  larger = _SCORE(features, sets, firing_fraction=0.3)

  assert by_default.firing_fraction == 0.05  # The minimum; 1 / 40 is less.
  assert _SCORE(features, sets, variant="formula").firing_fraction == 1 / 40
  assert given.scores == by_default.scores
  assert larger.rates[0] == pytest.approx(0.3)


def test_top_units_have_the_largest_invariance():
  rng = np.random.default_rng(5)
  sets = np.repeat(np.arange(20), 6)
  features = rng.normal(size=(120, 30)).astype(np.float32)

  found = _SCORE(features, sets, sets % 5, top_k=(4, 2))

  for c in range(5):
    units = found.top_units[c]
    best = found.unit_invariance[c, units]
    largest = np.sort(found.unit_invariance[c])[::-1]
    assert len(set(units)) == 4
    np.testing.assert_allclose(best, largest[:4], rtol=1e-6)
    assert found.class_scores[2][c] == pytest.approx(best[:2].mean())
  assert list(found.scores) == [4, 2]


def test_an_invariant_unit_scores_higher_than_a_variant_one():
  rng = np.random.default_rng(6)
  sets = np.repeat(np.arange(30), 20)
  kept = rng.normal(size=(30, 12))[sets].astype(np.float32)
  fresh = rng.normal(size=(600, 12)).astype(np.float32)
  for variant in firing.VARIANTS:
    high = _SCORE(kept, sets, sets % 3, variant=variant, top_k=(5,))
    low = _SCORE(fresh, sets, sets % 3, variant=variant, top_k=(5,))
    assert high.scores[5] > low.scores[5] + 5


def test_sets_and_classes_may_have_text_names():
  rng = np.random.default_rng(9)
  features = rng.normal(size=(24, 4))
  numbers = np.repeat(np.arange(6), 4)
  words = np.array(["a", "b", "c", "d", "e", "f"])[numbers]
  assert (
    _SCORE(features, words, words, top_k=(2,)).scores
    == _SCORE(features, numbers, None, top_k=(2,)).scores
  )


_GOOD = {
  "features": np.random.default_rng(10).normal(size=(24, 30)),
  "sets": np.repeat(np.arange(6), 4),
  "classes": np.repeat(np.arange(3), 8),
}


def _with(features):
  return {"features": features(_GOOD["features"].copy())}


def _damaged(features):
  features[5, 3] = np.nan
  return features


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (_with(_damaged), "1 of 24 rows"),
    (_with(np.zeros_like), "all 30 units"),
    # Half of the values are the highest, half the lowest: none fires.
    (
      _with(lambda f: np.indices(f.shape).sum(axis=0) % 2),
      "none of the 30 units.* firing_fraction",
    ),
    (_with(lambda f: f.reshape(24, 5, 2, 3)), "a map .*mean.axis=.1, 2"),
    (_with(lambda f: f[:, 0]), r"shape \(24,\); expected \[N, D\]"),
    (_with(lambda f: f[:0]), r"shape \(0, 30\)"),
    (_with(lambda f: f[:, :24]), "25 units .* 24"),
    (_with(lambda f: f > 0), "features are bool"),
    (_with(lambda f: f.tolist()), "features are list"),
    ({"top_k": (0,)}, "top_k is"),
    ({"top_k": ()}, "top_k is"),
    ({"variant": "paper"}, "'paper'; expected one of code, formula"),
    ({"sets": np.arange(23)}, r"sets have shape \(23,\) and there are 24"),
    ({"classes": np.arange(3)}, r"classes have shape \(3,\)"),
    ({"sets": np.full(24, np.nan)}, "sets contain NaN"),
    ({"sets": np.arange(24) // 2}, "all 12 sets .* has 2"),
    ({"classes": np.arange(24) // 7}, "set 1 has .* class"),
    ({"classes": np.zeros(24, int)}, "one class.* firing_fraction"),
    ({"firing_fraction": 0.0}, "firing_fraction is 0.0"),
    ({"firing_fraction": 1.0}, "firing_fraction is 1.0"),
    ({"firing_fraction": 0.04}, "0.04 of 24 images"),
    (
      {"firing_fraction": 0.04, "variant": "formula"},
      "0.04 of 24 images",
    ),
  ],
)
def test_arguments_out_of_range_are_refused(change, message):
  arguments = {**_GOOD, **change}
  with pytest.raises(errors.UsageError, match=message):
    _SCORE(arguments.pop("features"), **arguments)


def test_one_class_can_be_measured_with_a_firing_fraction():
  arguments = {**_GOOD, "classes": np.zeros(24, int)}
  found = _SCORE(**arguments, firing_fraction=0.2)
  assert 0 < found.scores[10] < 100


def test_measuring_needs_no_tensorflow(repository):
  script = (
    "import sys; from tf_ssl.invariance import chance, curve, firing,"
    " intervals, score; assert 'tensorflow' not in sys.modules"
  )
  subprocess.run(
    [sys.executable, "-c", script], cwd=repository, check=True, timeout=120
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
