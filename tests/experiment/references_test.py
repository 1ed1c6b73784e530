"""Placeholders for paths, and digests of outside data."""

import sys

import pytest

from tf_ssl.experiment import references


def test_placeholders_become_paths():
  found = references.fill(
    ["step:a", "--images=step:b/images", "data:coco/x", "m=data:y", 3, None],
    step=lambda name: f"/made/{name}",
    data=lambda: "/real",
  )
  assert found == [
    "/made/a",
    "--images=/made/b/images",
    "/real/coco/x",
    "m=/real/y",
    3,
    None,
  ]


def test_placeholders_inside_words_stay():
  for text in ("a step:b", "metadata:x", "bigstep:a", "tfds:data:x"):
    assert references.fill(text, step=str, data=str) == text
  assert references.steps_in(["a step:b", {"x": ("step:c/d", 1)}]) == ["c"]


def test_paths_of_real_data_are_found_in_nested_values():
  values = ["--images=data:coco/x y", {"A": ("data:/b", 3, "metadata:c")}]
  assert references.data_in([values, "data:"]) == ["coco/x y", "b", ""]


def test_outside_paths_are_found_in_words_and_bindings(tmp_path):
  (tmp_path / "a").mkdir()
  (tmp_path / "b.csv").write_text("path\n")
  a, b = str(tmp_path / "a"), str(tmp_path / "b.csv")
  texts = [f"--images={a}", f'X=["{b}", "{a}"]', f"--y={a}/none", "words", "."]
  assert references.outside_paths(texts) == sorted([a, b])
  assert references.outside_paths([f"--cache_dir={a}", f'KEPT_DIR="{a}"']) == []


def test_a_folder_is_identified_by_names_and_sizes(tmp_path):
  (tmp_path / "a").mkdir()
  (tmp_path / "a/x").write_text("1")
  first = references.digest(str(tmp_path))
  assert references.digest(str(tmp_path) + "/") == first
  (tmp_path / "a/x").write_text("12")
  second = references.digest(str(tmp_path))
  (tmp_path / "a/x").rename(tmp_path / "a/y")
  assert len({first, second, references.digest(str(tmp_path))}) == 3


def test_a_file_is_identified_by_its_content(tmp_path):
  file = tmp_path / "x"
  file.write_text("1")
  first = references.digest(str(file))
  file.write_text("2")
  assert references.digest(str(file)) != first
  assert references.digest(str(tmp_path / "none")) == "absent"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
