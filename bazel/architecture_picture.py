"""Draws docs/architecture.svg from the table of who may import whom.

`make picture` writes it; tests/architecture_test.py checks that it is current.
A room is a package of tf_ssl with its docstring as subtitle. Rooms above depend
on rooms below; all may import the two at the bottom. An arrow that follows from
two others is left out.
"""

import ast
import html
import pathlib
import textwrap
from collections.abc import Mapping

from bazel import build_files

PICTURE = "docs/architecture.svg"
# Rooms that most others import: drawn as the floor, without arrows.
_FLOOR = ("ops", "reporting")
_WIDTH, _HEIGHT = 196, 78  # Pixels of a room.
_GAP_X, _GAP_Y = 22, 46
_MARGIN = 24
_COLORS = {
  "data": "#dceaf7",
  "model": "#fde5d0",
  "measure": "#e0f0de",
  "run": "#ece3f4",
  "floor": "#eeeeee",
}
_SIDES = {
  "data": ("augment", "datasets", "input_pipeline", "rendering", "video"),
  "model": ("encoders", "export", "losses", "memory", "methods"),
  "measure": (
    "comparison",
    "dataset_bias",
    "evaluation",
    "features",
    "invariance",
    "models",
  ),
}


def draw(root: pathlib.Path) -> str:
  """Returns the picture as SVG text."""
  edges = _without_detours(
    {
      room: may - set(_FLOOR)
      for room, may in build_files.MAY_IMPORT.items()
      if room not in _FLOOR
    }
  )
  rows = _rows(edges)
  columns = max(map(len, rows))
  width = 2 * _MARGIN + columns * (_WIDTH + _GAP_X) - _GAP_X
  places = {}
  for level, row in enumerate(rows):
    left = (width - len(row) * (_WIDTH + _GAP_X) + _GAP_X) / 2
    for column, room in enumerate(row):
      top = _MARGIN + (len(rows) - 1 - level) * (_HEIGHT + _GAP_Y)
      places[room] = (left + column * (_WIDTH + _GAP_X), top)
  bottom = _MARGIN + len(rows) * (_HEIGHT + _GAP_Y)
  arrows = [
    _arrow(places[room], places[other])
    for room in sorted(edges)
    for other in sorted(edges[room])
  ]
  rooms = [
    _room(room, _subject(root, room), *places[room], _WIDTH)
    for room in sorted(places)
  ]
  half = (width - 2 * _MARGIN - _GAP_X) / 2
  rooms += [
    _room(
      room, _subject(root, room), _MARGIN + i * (half + _GAP_X), bottom, half
    )
    for i, room in enumerate(_FLOOR)
  ]
  height = bottom + _HEIGHT + _MARGIN
  return "\n".join(
    [
      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
      ' font-family="DejaVu Sans, Verdana, sans-serif">',
      '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4"'
      ' markerWidth="7" markerHeight="7" orient="auto">'
      '<path d="M0 0 8 4 0 8z" fill="#777"/></marker></defs>',
      f'<rect width="{width}" height="{height}" fill="white"/>',
      *arrows,
      *rooms,
      "</svg>\n",
    ]
  )


def _without_detours(
  edges: Mapping[str, set[str]],
) -> dict[str, set[str]]:
  """The transitive reduction of an acyclic graph."""

  def reachable(room: str) -> set[str]:
    below = set(edges.get(room, ()))
    return below.union(*map(reachable, below)) if below else below

  return {
    room: {
      other
      for other in below
      if not any(other in reachable(third) for third in below - {other})
    }
    for room, below in edges.items()
  }


def _rows(edges: Mapping[str, set[str]]) -> list[list[str]]:
  """Rooms by their longest way down, in an order that keeps arrows short.

  Rooms that no other room imports are on top.
  """

  def level(room: str) -> int:
    return 1 + max(map(level, edges[room]), default=-1)

  rows: list[list[str]] = [[] for _ in range(1 + max(map(level, edges)))]
  used = set().union(*edges.values())
  for room in sorted(edges, key=lambda name: (_side(name), name)):
    rows[level(room) if room in used else -1].append(room)
  for _ in range(4):
    place = {
      room: (i + 0.5) / len(row) for row in rows for i, room in enumerate(row)
    }
    for row in rows:
      row.sort(key=lambda room: _mean_place(room, edges, place))
  return rows


def _mean_place(room, edges, place) -> float:
  linked = edges[room] | {name for name in edges if room in edges[name]}
  return sum(place[name] for name in linked) / len(linked) if linked else 0.5


def _side(room: str) -> str:
  for side, rooms in _SIDES.items():
    if room in rooms:
      return side
  return "floor" if room in (*_FLOOR, "batches") else "run"


def _subject(root: pathlib.Path, room: str) -> str:
  folder = root / "tf_ssl" / room
  file = (
    folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
  )
  doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
  return doc.partition("\n")[0].replace("`", "")


def _room(name: str, subject: str, x: float, y: float, width: float) -> str:
  lines = textwrap.wrap(subject, int(width / 7.3))[:3]
  text = "".join(
    f'<text x="{x + 10:g}" y="{y + 38 + 15 * i:g}" font-size="11"'
    f' fill="#333">{html.escape(line)}</text>'
    for i, line in enumerate(lines)
  )
  return (
    f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{_HEIGHT}" rx="6"'
    f' fill="{_COLORS[_side(name)]}" stroke="#999"/>'
    f'<text x="{x + 10:g}" y="{y + 20:g}" font-size="14" font-weight="bold">'
    f"{html.escape(name)}</text>{text}"
  )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
  x0, y0 = start[0] + _WIDTH / 2, start[1] + _HEIGHT
  x1, y1 = end[0] + _WIDTH / 2, end[1]
  bend = (y1 - y0) / 2
  return (
    f'<path d="M{x0:g} {y0:g}C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g}'
    f' {x1:g} {y1 - 2:g}" fill="none" stroke="#777" marker-end="url(#head)"/>'
  )


def main() -> None:
  """Writes the picture of the checkout that holds this file."""
  root = pathlib.Path(__file__).resolve().parents[1]
  (root / PICTURE).write_text(draw(root), encoding="utf-8")
  print(f"wrote {PICTURE}")


if __name__ == "__main__":
  main()
