import pathlib
import sys
import unicodedata

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets import manifest, records

FORMS = ("NFD", "NFC")


@pytest.fixture
def write(tmp_path):
  """Writes a manifest next to the images a.jpg (1 byte), sub/b.jpg (2)."""
  (tmp_path / "a.jpg").write_bytes(b"1")
  (tmp_path / "sub").mkdir()
  (tmp_path / "sub" / "b.jpg").write_bytes(b"22")

  def write(*lines: str, encoding="utf-8", end="\n") -> str:
    path = tmp_path / "images.csv"
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return str(path)

  return write


def test_paths_are_relative_to_the_manifest(write, tmp_path, monkeypatch):
  file = pathlib.Path(write("path", "sub/b.jpg", "a.jpg"))
  monkeypatch.chdir(file.parent / "sub")
  found = manifest.read("../images.csv")
  assert [found.path(i) for i in range(2)] == [
    str(tmp_path / "sub/b.jpg"),
    str(tmp_path / "a.jpg"),
  ]
  np.testing.assert_array_equal(found.sizes, [2, 1])
  assert (found.labels, found.boxes, found.class_names) == (None, None, ())


def test_absolute_and_relative_paths_can_be_mixed(write, tmp_path):
  found = manifest.read(write("path", f"{tmp_path}/sub/b.jpg", "a.jpg"))
  # The pipeline joins root and file as text.
  assert [f"{found.root}{found.name(i)}" for i in range(2)] == [
    str(tmp_path / "sub/b.jpg"),
    str(tmp_path / "a.jpg"),
  ]


def test_names_become_sorted_class_ids(write):
  file = write("path,label", "a.jpg,dog", "sub/b.jpg,", "a.jpg,7", "a.jpg,cat")
  found = manifest.read(file)
  assert found.class_names == ("7", "cat", "dog")
  np.testing.assert_array_equal(found.labels, [2, -1, 0, 1])
  assert found.labels.dtype == np.int32


def test_integers_are_class_ids(write):
  found = manifest.read(write("path,label", "a.jpg,10", "a.jpg, 9", "a.jpg,"))
  assert found.class_names == ()
  np.testing.assert_array_equal(found.labels, [10, 9, -1])


def test_integers_may_be_floats_as_pandas_writes_them(write):
  found = manifest.read(
    write("path,label", "a.jpg,10.0", "a.jpg,2.0", "a.jpg,", "a.jpg,nan")
  )
  assert found.class_names == ()
  np.testing.assert_array_equal(found.labels, [10, 2, -1, -1])
  file = write(
    "path,xmin,ymin,xmax,ymax", "a.jpg,0.0,2.0,30.0,4.0", "a.jpg,NaN,NaN,nan,"
  )
  np.testing.assert_array_equal(
    manifest.read(file).boxes, [[0, 2, 30, 4], [-1] * 4]
  )


@pytest.mark.parametrize("other", ["1.5", "1e3", "1_0", "x"])
def test_one_label_that_is_no_integer_makes_all_names(write, other):
  found = manifest.read(write("path,label", "a.jpg,2.0", f"a.jpg,{other}"))
  assert sorted(found.class_names) == sorted(["2.0", other])


def test_paths_may_have_blanks_around_them_and_backslashes(write, tmp_path):
  rows = ["thing, a.jpg", "thing,sub\\b.jpg ", f"thing, {tmp_path}/a.jpg"]
  found = manifest.read(write("label, path", *rows))
  np.testing.assert_array_equal(found.sizes, [1, 2, 1])
  assert found.path(1) == str(tmp_path / "sub/b.jpg")


@pytest.mark.parametrize("gone", ["gone.jpg", "sub", "a\0.jpg"])
def test_one_missing_file_is_left_out_and_told(write, caplog, gone):
  rows = ["a.jpg,x", f"{gone},y", "sub/b.jpg,z", f"{gone},z"]
  found = manifest.read(write("path,label", *rows))
  np.testing.assert_array_equal(found.sizes, [1, 2])
  np.testing.assert_array_equal(found.labels, [0, 2])
  assert "2 of 4 files do not exist, the first in line 3" in caplog.text


def test_several_missing_files_are_kept_to_be_skipped_and_counted(
  write, tmp_path, caplog
):
  (tmp_path / "empty.jpg").touch()
  found = manifest.read(write("path", "b.jpg", "a.jpg", "empty.jpg", "c.jpg"))
  np.testing.assert_array_equal(found.sizes, [0, 1, 0, 0])
  assert "2 of 4 files do not exist, the first in line 2" in caplog.text


def test_boxes_are_read_and_may_be_missing(write):
  file = write(
    "path,label,xmin,ymin,xmax,ymax", "a.jpg,1,0,2,30,4", "sub/b.jpg,1,,,,"
  )
  found = manifest.read(file, labeled=True)
  np.testing.assert_array_equal(found.boxes, [[0, 2, 30, 4], [-1] * 4])
  assert found.boxes.dtype == np.int32


def test_columns_may_be_in_any_order(write):
  found = manifest.read(write("ymax,xmax,xmin,ymin,Path", "4,3,1,2,a.jpg"))
  np.testing.assert_array_equal(found.boxes, [[1, 2, 3, 4]])


def test_spreadsheets_and_quotes_are_understood(write, tmp_path):
  (tmp_path / 'a, "b" ü.jpg').touch()
  file = write(
    "path,label", '"a, ""b"" ü.jpg",x', "", encoding="utf-8-sig", end="\r\n"
  )
  assert manifest.read(file).name(0) == 'a, "b" ü.jpg'


def test_names_may_be_any_bytes(tmp_path):
  (tmp_path / "\udcff.jpg").touch()
  (tmp_path / "m.csv").write_bytes(b"path\n\xff.jpg\n")
  found = manifest.read(str(tmp_path / "m.csv"))
  assert found.files[0] == b"\xff.jpg"


def test_a_listed_name_is_found_in_another_unicode_form(write, tmp_path):
  stored, listed = (unicodedata.normalize(form, "é.jpg") for form in FORMS)
  (tmp_path / stored).write_bytes(b"333")
  found = manifest.read(write("path", listed))
  assert found.path(0) == str(tmp_path / stored)
  assert found.sizes.tolist() == [3]


def test_class_names_fit_every_report(tmp_path):
  (tmp_path / "a.jpg").touch()
  forms = [unicodedata.normalize(form, "é") for form in FORMS]
  lines = ["path,label", *(f"a.jpg,{label}" for label in (*forms, '"b\nb"'))]
  (tmp_path / "m.csv").write_bytes("\n".join(lines).encode() + b"\na.jpg,\xff")
  found = manifest.read(str(tmp_path / "m.csv"))
  assert found.class_names == (r"\xff", r"b\nb", "é")
  assert found.labels.tolist() == [2, 2, 1, 0]


def test_the_digest_depends_on_names_and_sizes(write):
  one = records.digest(manifest.read(write("path", "a.jpg", "sub/b.jpg")))
  other = records.digest(manifest.read(write("path", "sub/b.jpg", "a.jpg")))
  assert one == other
  assert (one["count"], one["bytes"]) == (2, 3)


@pytest.mark.parametrize(
  "lines, message",
  [
    (["a.jpg,3"], r"line 1: header 'a.jpg,3'; expected columns path\["),
    (["path,labels"], "line 1: header 'path,labels'"),
    (["path,path"], "line 1: header"),
    (["path,xmin,ymin,xmax"], "line 1: header"),
    ([], "line 1: header"),
    (["path"], "line 1: no image follows"),
    (["path", "gone.jpg", "old.jpg"], "line 2: no file '.*/gone.jpg'.* of 2"),
    (["path", "", "sub"], "line 3: no file '.*/sub'"),
    (["path,label", "", "a.jpg"], "line 3: 1 cells; expected 2"),
    (["path,label", "a.jpg,1,2"], "line 2: 3 cells; expected 2"),
    (["path,label", ",1"], "line 2: no path"),
    (["path,label", "a.jpg,0", "a.jpg,-1"], "line 3: label -1; expected a cla"),
    (["path,label", "a.jpg,3000000000"], "line 2: label 3000000000"),
    (["path,label", "a.jpg,10000000"], "line 2: label 10000000; .* 9999999"),
    (["path", "a.jpg", '"a' + "x" * 200_000], "line 3: not CSV"),
  ],
)
def test_a_malformed_row_is_named_with_its_line(write, lines, message):
  with pytest.raises(errors.UsageError, match=f"images.csv, {message}"):
    manifest.read(write(*lines))


@pytest.mark.parametrize(
  "box",
  [
    "1,2,1,4",
    "1,4,3,4",
    "3,2,1,4",
    "-1,0,2,2",
    "0,0,2,2.5",
    "0,0,2,",
    "a,0,2,2",
  ]
  + [f"0,0,2,{2**31}"],
)
def test_a_bad_box_is_named_with_its_line(write, box):
  file = write("path,xmin,ymin,xmax,ymax", "a.jpg,,,,", f"a.jpg,{box}")
  with pytest.raises(
    errors.UsageError, match=f"images.csv, line 3: box '{box}"
  ):
    manifest.read(file)


def test_labeled_images_need_a_column_of_labels(write):
  with pytest.raises(errors.UsageError, match="line 1: .*columns path,label"):
    manifest.read(write("path", "a.jpg"), labeled=True)


def test_labeled_images_need_a_label_each(write):
  file = write("path,label", "a.jpg,1", "a.jpg, ")
  with pytest.raises(errors.UsageError, match="line 3: no label"):
    manifest.read(file, labeled=True)


def test_a_manifest_that_cannot_be_read_is_named(tmp_path):
  with pytest.raises(
    errors.UsageError, match="cannot read .*gone.csv.*No such"
  ):
    manifest.read(str(tmp_path / "gone.csv"))


def test_a_hundred_thousand_rows_are_read(write):
  rows = (f"a.jpg,{i % 7},0,0,{i + 1},5" for i in range(100_000))
  found = manifest.read(write("path,label,xmin,ymin,xmax,ymax", *rows))
  assert found.num_images == 100_000
  np.testing.assert_array_equal(found.labels, np.arange(100_000) % 7)
  np.testing.assert_array_equal(found.boxes[:, 2], np.arange(1, 100_001))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
