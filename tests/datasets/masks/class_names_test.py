"""Class names from YAML, JSON and text files."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.datasets.masks import class_names


@pytest.mark.parametrize(
  ("name", "text", "expected"),
  [
    ("a.yaml", "# c\nclasses:\n  3: cat\n  0: void\n", {0: "void", 3: "cat"}),
    ("a.yml", "names: [cat, dog]", {0: "cat", 1: "dog"}),
    ("a.json", '{"2": "b", "1": "a"}', {1: "a", 2: "b"}),
    (
      "a.json",
      '{"categories": [{"id": 7, "name": "cat"}, {"id": 1, "name": "dog"}]}',
      {1: "dog", 7: "cat"},
    ),
    ("a.yaml", "[no, 007, 1e3, ~, 2020-01-01]", "no 007 1e3 ~ 2020-01-01"),
    ("a.json", '{"2.0": 5, " 1 ": "a"}', {1: "a", 2: "5"}),
    ("a.txt", "cat\ndining table\n\n", {0: "cat", 1: "dining table"}),
    (
      "labels.txt",
      "0: unlabeled\n1: person\n12:\n",
      {0: "unlabeled", 1: "person", 12: ""},
    ),
  ],
)
def test_all_formats_are_read(tmp_path, name, text, expected):
  if isinstance(expected, str):
    expected = dict(enumerate(expected.split()))
  for encoding in ("utf-8", "utf-8-sig", "utf-16"):
    (tmp_path / name).write_text(text, encoding=encoding)
    found = class_names.read(str(tmp_path / name))
    assert found == expected and list(found) == sorted(expected)


@pytest.mark.parametrize(
  ("name", "text"),
  [
    ("a.yaml", "3"),
    ("a.yaml", "classes: {a: b}"),
    ("a.yaml", "classes: [unclosed"),
    ("a.yaml", "!!python/object/apply:os.system ['touch x']"),
    ("a.json", "[]"),
    ("a.json", '[{"id": 1}]'),
    ("a.json", '[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]'),
    ("a.json", '{"-1": "a"}'),
    ("a.json", '{"1_0": "a"}'),
    ("a.json", '[{"id": 1.5, "name": "a"}]'),
    ("a.json", '[{"id": null, "name": "a"}]'),
    ("a.json", '[["a"]]'),
    ("a.json", "[null]"),
    ("a.json", "[" * 100_000),
    ("a.yaml", "[" * 2_000),
    ("a.yaml", "- &a [x]\n- [*a, *a]"),
    ("a.txt", ""),
  ],
)
def test_a_file_without_names_is_named(tmp_path, name, text):
  (tmp_path / name).write_text(text)
  with pytest.raises(errors.UsageError, match=f"{name}.*no class names"):
    class_names.read(str(tmp_path / name))


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(errors.UsageError, match="cannot read .*nothing.txt"):
    class_names.read(str(tmp_path / "nothing.txt"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
