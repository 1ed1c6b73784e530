"""Tests of benchmarks.tracking_parts."""

import sys

import numpy as np
import pytest

from benchmarks import tracking_parts
from tf_ssl.video.tracking import (
  chains,
  region_features,
  region_tracks,
  tracker,
)

HEIGHT, WIDTH = 96, 160


def _frames():
  """A patch of 32 x 32 moves over a ground that moves the other way."""
  rng = np.random.default_rng(0)
  ground = np.kron(
    rng.integers(90, 130, [HEIGHT // 8, WIDTH // 4, 3]), np.ones([8, 8, 1])
  ).astype(np.uint8)
  patch = np.kron(rng.integers(0, 256, [8, 8, 3]), np.ones([4, 4, 1]))
  frames = []
  for t in range(9):
    frame = ground[:, 3 * t : 3 * t + WIDTH].copy()
    frame[30:62, 20 + 2 * t : 52 + 2 * t] = patch
    frames.append(frame)
  return frames


def _observed():
  frames = _frames()
  return region_tracks.observe(
    frames,
    [[]] * len(frames),
    rate=8.0,
    describe=region_features.Histograms(),
    settings=tracker.Settings(),
  )


@pytest.fixture(name="complete", scope="module")
def _complete():
  return _observed()


def _equal(one, other):
  return all(
    len(a.boxes) == len(b.boxes)
    and np.array_equal(a.boxes, b.boxes)
    and np.array_equal(a.contrast, b.contrast)
    and (a.ahead is None or np.array_equal(a.ahead.boxes, b.ahead.boxes))
    for a, b in zip(one, other, strict=True)
  )


@pytest.mark.parametrize(
  "part", [name for name in tracking_parts.PARTS if "occluders" not in name]
)
def test_without_a_part_other_regions_are_observed(part, complete):
  with tracking_parts.PARTS[part]():
    assert not _equal(_observed(), complete)
  assert _equal(_observed(), complete)  # All parts are back.


def test_without_the_end_behind_occluders_hidden_regions_are_linked(complete):
  hidden = [  # Their points are lost, and nothing looks alike.
    one._replace(
      features=np.zeros_like(one.features),
      ahead=one.ahead
      and one.ahead._replace(support=np.zeros_like(one.ahead.support)),
    )
    for one in complete
  ]
  assert not chains.find(hidden, rate=8.0, min_link=1e-9)
  with tracking_parts.PARTS["an end behind occluders"]():
    assert chains.find(hidden, rate=8.0, min_link=1e-9)


def test_the_table_of_rendered_videos_has_a_row_for_each_part(
  capsys, monkeypatch
):
  monkeypatch.setattr(
    tracking_parts.tracking_films.Film, "key_frames", lambda film: ([], (0, 0))
  )
  monkeypatch.setattr(
    tracking_parts.tracking,
    "models_left_out",
    lambda examples: [chains.MODEL] * len(examples),
  )
  tracking_parts.main(
    ["--rendered=2", "--only=carried regions", "--only=salient regions"]
  )
  rows = capsys.readouterr().out.splitlines()
  assert [row.split("  ")[0] for row in rows] == [
    "all parts",
    "without salient regions",
    "without carried regions",
  ]
  assert all("1 s: precision 0.00 ± 0.00, 0.00 of 0" in row for row in rows)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
