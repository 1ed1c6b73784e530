"""Tests of tf_ssl.video.tracking.links on hand-made key frames."""

import sys

import numpy as np
import pytest

from tf_ssl.video.tracking import key_frames, links, point_tracks


def _key_frames(shift=6.0):
  """Two key frames with two regions each; points move right by `shift`."""
  x, y = np.meshgrid(np.arange(2.5, 160, 5), np.arange(2.5, 96, 5))
  places = np.stack([x.ravel(), y.ravel()], 1)
  followed = np.ones([2, len(places)], bool)
  boxes = np.array([[20.0, 30, 52, 62], [90, 20, 120, 70]])
  there = boxes + [shift, 0, shift, 0]
  features = np.eye(3)[:2] * 0.8 + 0.2

  def carried(boxes, by):
    points = point_tracks.PointTracks(
      np.stack([places, places + [by, 0]]), followed
    )
    return key_frames.Carried(
      points, boxes + [by, 0, by, 0], np.array([0.9, 0.6])
    )

  contrast = np.array([0.3, -0.1])
  size = (96, 160)
  first = key_frames.KeyFrame(
    0, boxes, features, contrast, size, carried(boxes, shift), None
  )
  second = key_frames.KeyFrame(
    4, there, features, contrast, size, None, carried(there, -shift)
  )
  return first, second


def _measured(first, second):
  table, is_possible = links.measure(first, second)
  return dict(zip(links.NAMES, np.moveaxis(table, -1, 0), strict=True)), (
    is_possible
  )


def test_measurements_of_a_known_motion():
  found, is_possible = _measured(*_key_frames())
  np.testing.assert_array_equal(is_possible, np.eye(2, dtype=bool))
  np.testing.assert_allclose(np.diag(found["overlap"]), 1)
  np.testing.assert_allclose(np.diag(found["shared points"]), 1, atol=0.2)
  np.testing.assert_allclose(
    np.diag(found["overlap without motion"]), [26 / 38, 24 / 36]
  )
  np.testing.assert_allclose(np.diag(found["change of size"]), 0)
  np.testing.assert_allclose(np.diag(found["support"]), [0.9, 0.6])
  np.testing.assert_allclose(np.diag(found["contrast"]), [0.3, -0.1])
  similarity = found["similarity"]
  assert similarity[0, 0] > similarity[0, 1]
  np.testing.assert_allclose(similarity.mean(), 0, atol=1e-6)


def test_measurements_do_not_depend_on_the_order_of_time():
  first, second = _key_frames()
  table, _ = links.measure(first, second)
  back, _ = links.measure(
    second._replace(ahead=second.back), first._replace(back=first.ahead)
  )
  np.testing.assert_allclose(back, table.swapaxes(0, 1))


def test_regions_whose_points_part_are_seen_only_if_they_look_alike():
  first, second = _key_frames()
  ahead = first.ahead._replace(support=np.array([0.004, 0.6]))
  first = first._replace(ahead=ahead)
  np.testing.assert_array_equal(
    links.is_seen(first, second), [[True, False], [True, True]]
  )
  other = second._replace(features=0.7 * second.features)
  np.testing.assert_array_equal(
    links.is_seen(first, other), [[False, False], [True, True]]
  )


def test_an_encoder_adds_its_similarity_to_that_of_the_histograms():
  first, second = _key_frames()
  table, _ = links.measure(first, second)
  # The encoder confuses the two regions of the second key frame.
  first = first._replace(learned=np.eye(4)[:2])
  second = second._replace(learned=np.eye(4)[1::-1])
  more, _ = links.measure(first, second)
  np.testing.assert_array_equal(more[..., :-1], table)
  np.testing.assert_allclose(more[..., -1], [[-1, 1], [1, -1]], rtol=5e-3)
  weights = dict.fromkeys((*links.NAMES, links.LEARNED), 0.0)
  for name, sure in (("similarity", True), (links.LEARNED, False)):
    model = links.Model(tuple((weights | {name: 2.0}).values()), 0.0)
    found = links.probability(first, second, model)
    assert (np.diag(found) > 0.5).all() == sure


def test_an_impossible_link_has_no_probability():
  model = links.Model((0.0,) * len(links.NAMES), 0.0)
  np.testing.assert_array_equal(
    links.probability(*_key_frames(), model), np.eye(2) / 2
  )


def test_key_frames_without_regions_have_no_links():
  first, second = _key_frames()
  none = second._replace(boxes=second.boxes[:0])
  model = links.Model((1.0,) * len(links.NAMES), 0.0)
  assert links.probability(first, none, model).shape == (2, 0)


def test_the_fit_finds_the_weights_that_made_the_links():
  rng = np.random.default_rng(0)
  table = rng.normal(size=[20_000, 3]) * [1, 2, 0.5] + [0, 3, 1]
  logit = table @ [1.5, -0.5, 0.0] + 1.0
  right = rng.uniform(size=len(table)) < 1 / (1 + np.exp(-logit))
  model = links.fit(table, right, np.ones(len(table)), penalty=0.0)
  np.testing.assert_allclose(model.weights, [1.5, -0.5, 0], atol=0.1)
  np.testing.assert_allclose(model.bias, 1.0, atol=0.15)


def test_only_the_ratio_of_the_weights_of_links_counts():
  table = np.array([[0.0], [1.0], [2.0], [1.0]])
  right = np.array([False, True, True, False])
  weight = np.array([2.0, 1.0, 1.0, 1.0])
  one, five = (links.fit(table, right, k * weight) for k in (1, 5))
  np.testing.assert_allclose(five.weights, one.weights, rtol=1e-3)
  # A wrong link of more weight lowers the probability of all.
  more = links.fit(table, right, weight * [1, 1, 1, 9])
  logits = [table[:, 0] * m.weights[0] + m.bias for m in (one, more)]
  assert (logits[1] < logits[0]).all()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
