import sys

import pytest

from tf_ssl import errors
from tf_ssl.ops import table

COLUMNS = {"required": ("path",), "optional": (("label",), ("start", "end"))}


@pytest.fixture
def read(tmp_path):
  """Returns a function from the bytes of a file to its table."""

  def read(content: bytes) -> table.Table:
    file = tmp_path / "things.csv"
    file.write_bytes(content)
    return table.Table(str(file), item="thing", **COLUMNS)

  return read


def test_rows_come_with_line_numbers_and_named_cells(read):
  found = read(b"end, Path ,start\n1,a,0\n\n2,b,\n")
  assert found.columns == ("end", "path", "start")
  assert list(found.rows()) == [
    (2, {"end": "1", "path": "a", "start": "0"}),
    (4, {"end": "2", "path": "b", "start": ""}),
  ]


def test_quotes_and_a_byte_order_mark_are_understood(read):
  found = read('\ufeffpath,label\r\n"a, ""b""\nü",x\r\n'.encode())
  assert list(found.rows()) == [(3, {"path": 'a, "b"\nü', "label": "x"})]


def test_bytes_that_are_not_utf8_are_kept(read):
  ((_, row),) = read(b"path\n\xff.jpg\n").rows()
  assert row["path"].encode("utf-8", "surrogateescape") == b"\xff.jpg"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_of_spreadsheets_are_understood(read, encoding):
  content = "path,label\r\na.jpg,tüte\r\n".encode(encoding)
  assert list(read(content).rows()) == [(2, {"path": "a.jpg", "label": "tüte"})]


def test_a_cut_file_in_utf16_is_named_with_its_line(read):
  content = "path\na\nb".encode("utf-16")[:-1]
  with pytest.raises(errors.UsageError, match="things.csv, line .*truncated"):
    list(read(content).rows())


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_understood(read, separator):
  content = "\npath,label\na,x\n\nb,\n".replace(",", separator)
  assert list(read(content.encode()).rows()) == [
    (3, {"path": "a", "label": "x"}),
    (5, {"path": "b", "label": ""}),
  ]
  ((_, row),) = read(f"path\na{separator}b\n".encode()).rows()
  assert row == {"path": f"a{separator}b"}


def test_empty_cells_that_spreadsheets_leave_are_passed_over(read):
  found = read(b"path,label,, \na,x,,\nb,\n,,,\nc,z, \n")
  assert [row["path"] for _, row in found.rows()] == ["a", "b", "c"]
  with pytest.raises(errors.UsageError, match="line 2: 3 cells; expected 2"):
    list(read(b"path,label,\na,x,y\n").rows())


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_the_index_that_pandas_writes_is_dropped(read, name):
  found = read(f"{name},path,label\n0,a,x\n1,b,NaN\n2,c,nan\n".encode())
  assert found.columns == ("path", "label")
  assert [row["label"] for _, row in found.rows()] == ["x", "", ""]
  with pytest.raises(errors.UsageError, match="line 2: no path"):
    list(read(b"path\nNaN\n").rows())
  with pytest.raises(errors.UsageError, match="line 2: 2 cells; expected 3"):
    list(read(f"{name},path,label\n0,a\n".encode()).rows())


@pytest.mark.parametrize(
  "header",
  ["", "label", "path,path", "path,color", "path,start", "path,label,end"],
)
def test_an_unexpected_header_is_named_with_the_expected_columns(read, header):
  with pytest.raises(
    errors.UsageError,
    match=rf"things.csv, line 1: .*'{header}'.*path\[,label\]\[,start,end\]",
  ):
    read(header.encode())


@pytest.mark.parametrize(
  ("content", "message"),
  [
    ("path", "line 1: no thing"),
    ("path\n\n", "line 1: no thing"),
    ("path,label\n\na\n", "line 3: 1 cells; expected 2"),
    ("path\na,b\n", "line 2: 2 cells; expected 1"),
    ("path,label\na,\n ,b\n", "line 3: no path"),
    ('path\na\n"b' + "x" * 200_000, "line 3: not CSV"),
  ],
)
def test_a_malformed_row_is_named_with_its_line(read, content, message):
  with pytest.raises(errors.UsageError, match=f"things.csv, {message}"):
    list(read(content.encode()).rows())


def test_a_file_that_cannot_be_read_is_named(tmp_path):
  with pytest.raises(errors.UsageError, match="gone.csv.*No such file"):
    table.Table(str(tmp_path / "gone.csv"), item="thing", **COLUMNS)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
