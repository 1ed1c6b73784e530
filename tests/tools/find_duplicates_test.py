"""The command that finds near-duplicates."""

import csv
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tools import find_duplicates


@pytest.fixture(name="folder")
def _folder(tmp_path):
  rng = np.random.default_rng(0)
  for name in ("a", "b"):
    (tmp_path / name).mkdir()
  for i in range(4):
    coarse = rng.integers(0, 256, [5, 5, 3], dtype=np.uint8)
    image = Image.fromarray(coarse).resize([60, 40], Image.Resampling.BICUBIC)
    image.save(tmp_path / "a" / f"{i}.png")
    if i == 2:
      image.save(tmp_path / "b" / "copy.jpg", quality=60)
      image.save(tmp_path / "a" / "again.png")
  return tmp_path


def pairs(folder):
  with open(folder / "out" / "duplicates.csv") as file:
    return [(row["first"], row["second"]) for row in csv.DictReader(file)]


def test_copies_are_listed_and_shown(folder, capsys):
  words = [f"--images={folder / 'a'}", f"--output_dir={folder / 'out'}"]
  find_duplicates.TOOL.call(words)
  assert pairs(folder) == [("2.png", "again.png")]
  assert "1 groups; 1 images are copies" in capsys.readouterr().out
  assert "data:image/jpeg" in (folder / "out" / "report.html").read_text()
  find_duplicates.TOOL.call([*words, f"--other={folder / 'b'}"])
  assert pairs(folder) == [("2.png", "copy.jpg"), ("again.png", "copy.jpg")]


def test_no_copies_give_an_empty_table(folder):
  (folder / "a" / "again.png").unlink()
  find_duplicates.TOOL.call(
    [f"--images={folder / 'a'}", f"--output_dir={folder / 'out'}"]
  )
  assert pairs(folder) == []


def test_unreadable_images_of_one_name_in_two_sets_are_two(folder, capsys):
  for name in ("a", "b"):
    (folder / name / "broken.png").write_bytes(b"")
  find_duplicates.TOOL.call(
    [
      f"--images={folder / 'a'}",
      f"--other={folder / 'b'}",
      f"--output_dir={folder / 'out'}",
    ]
  )
  said = capsys.readouterr().out
  for name in ("a", "b"):
    assert f"skipped {folder / name / 'broken.png'}: " in said
  page = (folder / "out" / "report.html").read_text()
  assert "2 images could not be read" in page


def test_a_missing_folder_is_named(folder):
  with pytest.raises(errors.UsageError, match="--images"):
    find_duplicates.TOOL.call(
      [f"--images={folder / 'z'}", f"--output_dir={folder / 'out'}"]
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
