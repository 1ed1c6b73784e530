"""The digest of sets."""

import sys

import pytest

from tf_ssl.datasets.invariance_sets import sets_manifest


@pytest.fixture(name="digest")
def fixture_digest(tmp_path):
  """The digest of a manifest of four images, given its rows."""

  def digest(*rows, header="path,set,class", folder="one"):
    (tmp_path / folder).mkdir(exist_ok=True)
    for name in "abcd":
      (tmp_path / folder / f"{name}.png").write_bytes(name.encode())
    file = tmp_path / folder / "sets.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return sets_manifest.read(str(file)).digest()

  return digest


_ROWS = ("a.png,s,x", "b.png,s,x", "c.png,t,y", "d.png,t,y")


def test_the_digest_depends_on_neither_folder_nor_order(digest):
  assert digest(*_ROWS) == digest(*_ROWS, folder="two")
  assert digest(*_ROWS) == digest(*reversed(_ROWS))


@pytest.mark.parametrize(
  "rows",
  [
    ("a.png,t,y", *_ROWS[1:]),  # another set
    ("a.png,s,y", "b.png,s,y", *_ROWS[2:]),  # another class
    _ROWS[:3],  # an image less
  ],
)
def test_the_digest_depends_on_sets_and_classes(digest, rows):
  assert digest(*rows) != digest(*_ROWS)


def test_the_digest_depends_on_boxes(digest):
  header = "path,set,xmin,ymin,xmax,ymax"
  one = digest("a.png,s,0,0,4,4", "b.png,s,0,0,4,4", header=header)
  other = digest("a.png,s,0,0,4,4", "b.png,s,0,0,4,5", header=header)
  whole = digest("a.png,s", "b.png,s", header="path,set")
  assert len({one, other, whole}) == 3


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
