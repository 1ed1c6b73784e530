"""Tests of tf_ssl.training.monitors.neighbor_grid."""

import sys

import numpy as np
import pytest

from tf_ssl.training.monitors import neighbor_grid

GREEN, ORANGE, GRAY = (0x00, 0x9E, 0x73), (0xD5, 0x5E, 0x00), (0xBB,) * 3


def _tile(color, **values):
  side = neighbor_grid.TILE
  image = np.full([side, side, 3], color, np.uint8)
  return neighbor_grid.Tile(image, **values)


def _place(picture, color):
  """Bounding box of a color: top, left, bottom, right, the last exclusive."""
  rows, columns = np.nonzero((picture == color).all(-1))
  return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


@pytest.fixture(name="picture", scope="module")
def fixture_picture():
  queries = [_tile((1, 0, i), name="cat") for i in range(2)]
  blocks = [
    neighbor_grid.Block(
      f"block {b}: 50% right",
      [
        [
          _tile((b, i, k), name="cat" * 20, right=bool((i + k) % 2))
          for k in range(3)
        ]
        for i in range(2, 4)
      ],
    )
    for b in range(5, 7)
  ]
  return neighbor_grid.draw(
    queries, blocks, title="A title", note="a few words " * 40
  )


def test_every_image_stands_in_its_row_and_block(picture):
  side = neighbor_grid.TILE
  tops, lefts = {}, []
  for i in range(2):
    top, left, bottom, right = _place(picture, (1, 0, i))
    assert (bottom - top, right - left) == (side, side)
    tops[i], first = top, left
  assert tops[1] >= tops[0] + side
  for b in (5, 6):
    for k in range(3):
      for i in range(2):
        top, left, bottom, right = _place(picture, (b, i + 2, k))
        assert (bottom - top, right - left) == (side, side)
        assert top == tops[i]
      lefts.append(left)
  gaps = np.diff([first, *lefts])
  assert (gaps >= side).all()
  # A wide gap stands before each block.
  assert gaps[0] == gaps[3] > gaps[1] == gaps[2] == gaps[4] == gaps[5]


def test_the_frame_tells_right_from_wrong(picture):
  for color, expected in {
    (5, 2, 0): ORANGE,
    (5, 2, 1): GREEN,
    (6, 3, 0): GREEN,
    (6, 3, 1): ORANGE,
    (1, 0, 0): GRAY,
  }.items():
    top, left, bottom, right = _place(picture, color)
    for y, x in (
      (top - 1, left),
      (bottom, left),
      (top, left - 1),
      (top, right),
    ):
      assert tuple(picture[y, x]) == expected


def test_long_text_stays_inside_the_picture(picture):
  border = np.concatenate(
    [picture[:, :4].reshape(-1, 3), picture[:, -4:].reshape(-1, 3)]
  )
  assert (border == 255).all()
  # A long name ends where its image does.
  top, left, bottom, right = _place(picture, (5, 2, 2))
  beside = picture[bottom + 6 : bottom + 16, right + 5 : right + 12]
  assert (beside == 255).all()


def test_one_block_is_narrower_than_two():
  query, row = _tile((1, 2, 3)), [_tile((4, 5, 6))] * 2
  block = neighbor_grid.Block("only", [row])
  one = neighbor_grid.draw([query], [block], title="", note="")
  two = neighbor_grid.draw([query], [block] * 2, title="", note="")
  assert one.dtype == np.uint8 and one.shape[2] == 3
  assert one.shape[0] == two.shape[0] and one.shape[1] < two.shape[1]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
