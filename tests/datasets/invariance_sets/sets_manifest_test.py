import sys
import unicodedata

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import sets_manifest


@pytest.fixture
def write(tmp_path):
  """Writes a manifest next to the images a.png (1 byte) and b.png (2)."""
  (tmp_path / "a.png").write_bytes(b"1")
  (tmp_path / "b.png").write_bytes(b"22")

  def write(*lines):
    file = tmp_path / "sets.csv"
    file.write_text("".join(f"{line}\n" for line in lines))
    return str(file)

  return write


def test_only_path_and_set_are_required(write):
  found = sets_manifest.read(write("path,set", "b.png,x", "a.png,y", "a.png,x"))
  assert found.set_names == found.class_names == ("x", "y")
  np.testing.assert_array_equal(found.sets, [0, 1, 0])
  np.testing.assert_array_equal(found.classes, [0, 1, 0])
  np.testing.assert_array_equal(found.images.sizes, [2, 1, 1])
  assert [found.images.name(i) for i in (0, 1)] == ["b.png", "a.png"]
  assert np.isnan(found.factor).all() and found.factor_name == ""
  assert (found.cropped, found.image_size, found.skipped) == (False, 224, {})


def test_all_columns_are_read_in_any_order(write):
  found = sets_manifest.read(
    write(
      "Value,class,path,xmin,ymin,xmax,ymax,set",
      "350,cat,a.png,1,2,3,4,tom",
      ",cat,a.png,,,,,tom",
      "-1.5e1,dog,b.png,0,0,9,9,rex",
      "0,cat,b.png,5,6,7,8,kit",
    ),
    invariance="viewpoint",
    factor_name="angle",
    factor_unit="degrees",
    factor_period=360.0,
    image_size=96,
  )
  assert found.set_names == ("tom", "rex", "kit")
  assert found.class_names == ("cat", "dog")
  np.testing.assert_array_equal(found.sets, [0, 0, 1, 2])
  np.testing.assert_array_equal(found.classes, [0, 0, 1, 0])
  np.testing.assert_array_equal(found.factor, [350, np.nan, -15, 0])
  np.testing.assert_array_equal(
    found.images.boxes,
    [[1, 2, 3, 4], [-1, -1, -1, -1], [0, 0, 9, 9], [5, 6, 7, 8]],
  )
  assert found.invariance == "viewpoint" and found.image_size == 96
  described = found.factor_name, found.factor_unit, found.factor_period
  assert described == ("angle", "degrees", 360.0)


@pytest.mark.parametrize(
  ("lines", "message"),
  [
    ([], "line 1: header ''; expected columns path,set"),
    (["path,class"], "line 1: header 'path,class'; expected columns path,set"),
    (["path,set,set"], "line 1: header"),
    (["path,set,color"], "line 1: header"),
    (["path,set,xmin,ymin"], "line 1: header"),
    (["path,set"], "line 1: no image follows the header"),
    (["path,set", "a.png"], "line 2: 1 cells; expected 2"),
    (["path,set", "a.png,x", ",x"], "line 3: no path"),
    (["path,set", "a.png, "], "line 2: no set"),
    (["path,set,class", "a.png,x,"], "line 2: no class"),
    (["path,set", "c.png,x", "d.png,x"], "line 2: no file '.*c.png'"),
    (["path,set,value", "a.png,x,high"], "line 2: value 'high'; expected a"),
    (["path,set,value", "a.png,x,inf"], "line 2: value 'inf'"),
    (["path,set,value", "a.png,x,-inf"], "line 2: value '-inf'"),
    (
      ["path,set,xmin,ymin,xmax,ymax", "a.png,x,1,2,1,4"],
      "line 2: box '1,2,1,4'; expected whole pixels",
    ),
    (
      ["path,set,class", "a.png,x,cat", "b.png,y,cat", "b.png,x,dog"],
      "line 4: set 'x' has class 'dog' here and 'cat' above",
    ),
  ],
)
def test_a_malformed_row_is_named_with_its_line(write, lines, message):
  with pytest.raises(errors.UsageError, match=f"sets.csv, {message}"):
    sets_manifest.read(write(*lines))


def test_a_missing_manifest_is_an_error(tmp_path):
  with pytest.raises(errors.UsageError, match="cannot read the manifest"):
    sets_manifest.read(str(tmp_path / "no.csv"))


def test_names_are_found_in_another_form_and_fit_every_report(write, tmp_path):
  nfc, nfd = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
  (tmp_path / f"{nfd}.png").write_bytes(b"333")
  found = sets_manifest.read(
    write("path,set,class", f"{nfc}.png,{nfd},x\\", f"a.png,{nfc},x\\")
  )
  assert found.images.sizes.tolist() == [3, 1]
  assert (found.set_names, found.class_names) == ((nfc,), ("x\\\\",))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
