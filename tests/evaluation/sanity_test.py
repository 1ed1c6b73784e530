"""Tests of tf_ssl.evaluation.sanity."""

import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.evaluation import sanity


@pytest.mark.parametrize(
  ("train", "test", "message"),
  [
    ({"a": 3}, {"a": 2}, r"TRAIN_IMAGES has a single class, 'a' \(3 images\)"),
    ({"a": 3, "b": 0}, {"a": 2, "b": 9}, "single class, 'a'"),
    ({}, {"a": 2}, "TRAIN_IMAGES has no images"),
    ({"a": 3, "b": 1}, {"a": 0}, "TEST_IMAGES has no images"),
  ],
)
def test_classes_on_which_every_model_is_equal_are_refused(
  train, test, message
):
  with pytest.raises(errors.UsageError, match=message):
    sanity.check_classes(train, test)


def test_two_classes_on_both_sides_pass_silently():
  assert sanity.check_classes({"a": 1, "b": 2}, {"b": 1, "a": 1}) == []


def test_classes_of_one_side_are_named_and_counted():
  train = {"a": 5, "b": 1, "only": 7}
  test = {"a": 5, "b": 1, "new": 2, "newer": 3}
  first, second = sanity.check_classes(train, test)
  assert first == (
    "2 of 5 classes have no train images: 'newer' (3 test images), 'new' (2 "
    "test images)"
  )
  assert second.startswith("1 of 5 classes have no test images: 'only' (7 tra")


def test_a_single_test_class_is_named():
  found = sanity.check_classes({"a": 5, "b": 1}, {"b": 4})
  assert any("all test images have one class, 'b' (4" in one for one in found)


def test_many_classes_are_shortened():
  test = {f"class {i}": 1 for i in range(9)}
  found, *_ = sanity.one_sided({"a": 1}, test, unit="objects")
  assert found.startswith("9 of 10 classes have no train objects")
  assert found.count("test objects") == 5 and found.endswith(", ...")


_TARGETS = np.array([[1, 0, 1], [0, 1, 1], [0, 0, -1], [1, 0, 1]])
_NAMES = ("cat", "dog", "person")


def test_classes_in_every_test_example_are_named():
  (found,) = sanity.check_targets(_TARGETS, _TARGETS[:2], _NAMES, "mine")
  assert "all test examples show person" in found and "100 %" in found
  assert sanity.check_targets(*[_TARGETS[:, :2]] * 2, _NAMES, "") == []


@pytest.mark.parametrize(
  ("train", "test"),
  [
    (_TARGETS[:1], _TARGETS),
    (_TARGETS, _TARGETS[2:3]),
    (_TARGETS[:, 2:], _TARGETS[:2, 2:]),
  ],
)
def test_targets_without_a_measurable_class_are_refused(train, test):
  names = _NAMES[: train.shape[1]]
  with pytest.raises(errors.UsageError, match="mine: none of the .*'?cat"):
    sanity.check_targets(train, test, names, "mine")


def _check_losses(losses, steps=100):
  for i in range(len(losses)):
    sanity.check_loss(
      losses[: i + 1], step=i + 1, steps=steps, title="a", remedy="lower it"
    )


def test_losses_of_zero_from_the_start_are_refused():
  _check_losses([0.0] * 9)
  _check_losses([0.0] * 9 + [1e-9] + [0.0] * 20)
  with pytest.raises(errors.UsageError, match="a: .*exactly 0 at 10 steps"):
    _check_losses([0.0] * 10)
  with pytest.raises(errors.UsageError, match="exactly 0 at 2 steps"):
    _check_losses([0.0] * 2, steps=2)


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_refused(loss):
  with pytest.raises(errors.UsageError, match="at step 2 of 100: .*lower it"):
    _check_losses([1.0, loss])


def test_constant_predictions_are_named_with_their_share():
  counts = np.array([[0, 3], [0, 1]])
  (found,) = sanity.of_predictions(counts, ["a", "b"])
  assert "'b'" in found and "25.00 %" in found
  assert sanity.of_predictions(counts + np.eye(2, dtype=int), ["a", "b"]) == []


def test_equal_features_are_named(monkeypatch):
  monkeypatch.setattr(sanity, "_ROWS", 2)
  equal, other = np.ones([5, 3]), np.ones([5, 3])
  other[4, 2] = 2.0
  assert sanity.of_features({"train": other, "one": equal[:1]}) == []
  (found,) = sanity.of_features({"train": other, "test": equal})
  assert found.startswith("all 5 test examples have the same features")


def test_full_scores_and_equal_images_are_named():
  results = {
    "top1_percent": 100.0,
    "mean_iou_percent": 100.0,
    "top5_percent": 100.0,
    "chance_voc07_mean_ap_percent": 100.0,
    "width": 100.0,
  }
  data = {"train": {"sha256": "1"}, "test": {"sha256": "1"}}
  same, full = sanity.of_outcome(results, data)
  assert same.startswith("test and training images have the same names")
  assert full.startswith("top1, mean iou: exactly 100 %")
  results = {"top1_percent": 99.99}
  assert sanity.of_outcome(results, data | {"test": {"sha256": "2"}}) == []
  assert sanity.of_outcome(results, {"train and test": {"sha256": "1"}}) == []


def test_warnings_are_logged_by_the_name_of_the_protocol(caplog):
  assert sanity.warned("knn", ["one", "two"]) == ["knn: one", "knn: two"]
  assert [record.getMessage() for record in caplog.records] == [
    "knn: one",
    "knn: two",
  ]
  assert {record.levelname for record in caplog.records} == {"WARNING"}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
