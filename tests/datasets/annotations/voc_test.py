"""Miniatures of PASCAL VOC's folders, intact and damaged."""

import os
import pathlib
import sys
import unicodedata

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets.annotations import voc


class _Data:
  """A miniature of VOC2007: tiny JPEGs, XML, lists by class."""

  def __init__(self, root):
    self.root = root
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
      (root / folder).mkdir(parents=True)

  def image(self, name, objects, size=(20, 10), declared=True):
    """Adds an image; objects are (class, xmin, ymin, xmax, ymax, difficult)."""
    file = self.root / f"JPEGImages/{name}.jpg"
    Image.new("RGB", size, (200, 30, 30)).save(file)
    text = "<annotation><folder>VOC2007</folder>"
    if declared:
      text += f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    for of, *corners, difficult in objects:
      sides = "".join(
        f"<{side}>{value}</{side}>"
        for side, value in zip(
          ("xmin", "ymin", "xmax", "ymax"), corners, strict=True
        )
      )
      text += (
        f"<object><name>{of}</name><difficult>{difficult}</difficult>"
        f"<bndbox>{sides}</bndbox>"
        "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        "<xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"
      )
    self.annotation(name, text + "</annotation>")

  def annotation(self, name, text):
    (self.root / f"Annotations/{name}.xml").write_text(text)

  def list(self, name, *lines):
    text = "".join(f"{line}\n" for line in lines)
    (self.root / f"ImageSets/Main/{name}.txt").write_text(text)


@pytest.fixture(name="data")
def fixture_data(tmp_path):
  """Two images of trainval, one of test; classes chair and cow."""
  data = _Data(tmp_path)
  data.image("000005", [("chair", 3, 2, 7, 9, 0), ("cow", 1, 1, 20, 10, 1)])
  data.image("000007", [("cow", 5, 4, 5, 4, 0)])
  data.image("000001", [("chair", 1, 1, 2, 2, 0)])
  # As in the original: a positive has two blanks before it.
  data.list("chair_trainval", "000005  1", "000007 -1")
  data.list("cow_trainval", "000005  0", "000007  1")
  data.list("chair_test", "000001  1")
  data.list("cow_test", "000001 -1")
  data.list("trainval", "000005", "000007")
  return data


def _read(data, **options):
  options = {"split": "trainval", "max_skipped_fraction": 0.7, **options}
  return voc.read(str(data.root), **options)


def test_labels_are_those_of_the_lists(data):
  found = _read(data)
  assert found.class_names == ("chair", "cow")
  assert [found.images.name(i) for i in range(2)] == [
    "JPEGImages/000005.jpg",
    "JPEGImages/000007.jpg",
  ]
  # 1 is shown, -1 is not, 0 shows difficult ones only.
  np.testing.assert_array_equal(found.targets, [[1, -1], [0, 1]])
  assert found.image_ids == ("000005", "000007")
  np.testing.assert_array_equal(found.image_sizes, [[20, 10], [20, 10]])
  np.testing.assert_array_equal(_read(data, split="test").targets, [[1, 0]])
  assert not found.skipped and found.source == "VOC trainval"


def test_boxes_count_from_0_and_exclude_their_maximum(data):
  found = _read(data)
  np.testing.assert_array_equal(
    found.boxes, [[2, 1, 7, 9], [0, 0, 20, 10], [4, 3, 5, 4]]
  )
  np.testing.assert_array_equal(found.class_ids, [0, 1, 1])
  np.testing.assert_array_equal(found.difficult, [False, True, False])
  np.testing.assert_array_equal(found.image_index, [0, 0, 1])
  np.testing.assert_array_equal(found.areas, [40, 200, 1])
  assert not found.crowd.any() and found.clipped == 0


def test_boxes_are_clipped_at_the_border_or_skipped(data):
  data.image(
    "000007",
    [
      ("cow", -3, 1, 7, 12, 0),  # partly outside
      ("cow", 30, 1, 40, 5, 0),  # outside
      ("cow", 9, 1, 4, 5, 0),  # inverted
      ("cow", 4, 6, 9, 5, 0),  # of zero area, as it counts the last pixel
      ("cow", "nan", 1, 4, 5, 0),
      ("cow", "wide", 1, 4, 5, 0),
      ("yeti", 1, 1, 4, 5, 0),
    ],
  )
  found = _read(data)
  np.testing.assert_array_equal(found.boxes[2:], [[0, 0, 7, 10]])
  assert found.clipped == 1
  assert found.skipped == {
    "a box outside its image": ("000007.xml, object 1",),
    "a box that is inverted or of zero area": (
      "000007.xml, object 2",
      "000007.xml, object 3",
    ),
    "a box that is not finite": ("000007.xml, object 4",),
    "an object without a box": ("000007.xml, object 5",),
    "unknown class": ("000007.xml, object 6 ('yeti')",),
  }
  with pytest.raises(
    errors.UsageError, match="6 of 9 boxes .*max_skipped_fraction"
  ):
    _read(data, max_skipped_fraction=0.5)


def test_a_missing_image_is_skipped_up_to_a_maximum_fraction(data):
  (data.root / "JPEGImages/000007.jpg").unlink()
  found = _read(data)
  assert found.num_images == 1 and found.num_boxes == 2
  assert found.skipped == {"no such image": ("JPEGImages/000007.jpg",)}
  with pytest.raises(
    errors.UsageError,
    match="VOC trainval: 1 of 2 images .*no such image, such as "
    "'JPEGImages/000007.jpg'.*max_skipped_fraction",
  ):
    _read(data, max_skipped_fraction=0.05)


def test_missing_labels_and_malformed_lines_are_skipped(data):
  data.list("chair_trainval", "000005 1", "000007 2", "a b c", "../x 1", "")
  found = _read(data)
  np.testing.assert_array_equal(found.targets, [[1, -1], [-1, 1]])
  assert found.skipped == {
    "a line that is not a name and 1, 0 or -1": (
      "chair_trainval.txt, line 2",
      "chair_trainval.txt, line 3",
      "chair_trainval.txt, line 4",
    ),
    "no label for a class": ("000007, chair",),
  }


def test_an_image_without_an_annotation_is_kept(data):
  (data.root / "Annotations/000005.xml").unlink()
  found = _read(data)
  assert found.num_images == 2 and found.image_index.tolist() == [1]
  # The size is then that of the file.
  np.testing.assert_array_equal(found.image_sizes, [[20, 10], [20, 10]])
  assert found.skipped == {"no annotation": ("000005",)}


_TEXT = "<annotation><object><name>\u725b\u5976</name></object></annotation>"
_LATIN = "<annotation><object><name>caf\xe9</name></object></annotation>"


@pytest.mark.parametrize(
  ("content", "reason"),
  [
    (b"", "not XML"),
    (b"<annotation><object>", "not XML"),
    (b"\xff\xd8\xff\xe0 a picture", "not XML"),
    (b'{"objects": []}', "not XML"),
    (b"\xff\xfe<\x00a", "not XML"),
    (b"<html><p>not found</p></html>", "XML of another kind"),
    (_TEXT.encode("gbk"), "not UTF-8 but perhaps GBK: save it as UTF-8"),
    (
      _LATIN.encode("cp1252"),
      "not UTF-8 but perhaps Latin-1: save it as UTF-8",
    ),
    (
      b'<?xml version="1.0" encoding="gb2312"?>' + _TEXT.encode("gb2312"),
      "not UTF-8 but in gb2312: save it as UTF-8",
    ),
    (
      b'<?xml version="1.0" encoding="iso-8859-1"?><annotation>\xe9',
      "not XML",
    ),
    (
      b'<?xml version="1.0" encoding="utf-8"?>' + _TEXT.encode("gbk"),
      "not UTF-8 but perhaps GBK: save it as UTF-8",
    ),
    (
      b'<?xml version="1.0" encoding="klingon"?><annotation/>',
      "not UTF-8 but in klingon: save it as UTF-8",
    ),
    (
      b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>',
      "XML with a document type",
    ),
  ],
)
def test_an_unreadable_annotation_does_not_make_a_negative(
  data, content, reason
):
  (data.root / "Annotations/000007.xml").write_bytes(content)
  found = _read(data)
  assert found.image_ids == ("000005",) and found.num_boxes == 2
  np.testing.assert_array_equal(found.targets, [[1, -1]])
  assert found.skipped == {f"an annotation that is {reason}": ("000007",)}
  with pytest.raises(
    errors.UsageError, match="1 of 2 images .*that is .*max_skipped_fraction"
  ):
    _read(data, max_skipped_fraction=0.4)


def test_deep_xml_ends_no_run(data):
  data.annotation("000007", "<annotation>" + "<a>" * 300_000)
  assert _read(data).image_ids == ("000005",)
  deep = "<a>" * 300_000 + "</a>" * 300_000
  data.annotation("000007", f"<annotation>{deep}</annotation>")
  assert _read(data).num_images == 2


def test_a_pipe_among_the_annotations_is_not_opened(data):
  file = data.root / "Annotations/000007.xml"
  file.unlink()
  os.mkfifo(file)
  assert _read(data).skipped == {"an annotation that is no file": ("000007",)}


def test_a_missing_size_is_read_from_the_image(data):
  data.image("000007", [("cow", 1, 1, 9, 99, 0)], (16, 12), declared=False)
  found = _read(data)
  np.testing.assert_array_equal(found.image_sizes[1], [16, 12])
  np.testing.assert_array_equal(found.boxes[2], [0, 0, 9, 12])


def test_without_class_lists_labels_come_from_the_objects(data):
  for name in ("chair_trainval", "cow_trainval"):
    (data.root / f"ImageSets/Main/{name}.txt").unlink()
  data.list("trainval", "000005", "000007", "two words")
  found = _read(data)
  assert found.class_names == ("chair", "cow")
  np.testing.assert_array_equal(found.targets, [[1, -1], [0, 1]])
  assert found.skipped == {
    "a line that is not a name": ("trainval.txt, line 3",)
  }


@pytest.mark.parametrize(
  ("listed", "file"),
  [
    ("a", "a.png"),
    ("a", "a.JPG"),
    ("a", "a.jpeg"),
    ("a.jpg", "a.jpg"),
    ("a.JPG", "a.JPG"),
    ("my photo 1", "my photo 1.jpg"),
    ("sub/a", "sub/a.jpg"),
    ("sub\\a", "sub/a.jpg"),
    ("a_jpg.rf.0a1b", "a_jpg.rf.0a1b.jpg"),
    (" a ", "a.jpg"),
  ],
)
@pytest.mark.parametrize("xml", [".xml", ".XML"])
def test_other_tools_images_and_names_are_found(tmp_path, listed, file, xml):
  data = _Data(tmp_path)
  stem = file[: -len(pathlib.Path(file).suffix)]
  for folder in ("JPEGImages", "Annotations"):
    (tmp_path / folder / "sub").mkdir()
  data.image(stem, [("cow", 1, 1, 20, 10, 0)])
  written = tmp_path / f"JPEGImages/{stem}.jpg"
  written.rename(tmp_path / "JPEGImages" / file)
  annotation = tmp_path / f"Annotations/{stem}.xml"
  annotation.rename(annotation.with_suffix(xml))
  data.list("default", listed)
  found = _read(data, split="default")
  assert found.images.name(0) == f"JPEGImages/{file}"
  assert found.num_boxes == 1 and not found.skipped
  (tmp_path / "ImageSets/Main/default.txt").unlink()
  data.list("cow_default", f"{listed} 1")
  assert _read(data, split="default").images.name(0) == f"JPEGImages/{file}"


@pytest.mark.parametrize("name", ["a\0/b", "x" * 300 + "/b", "/", "sub/", "."])
def test_a_name_that_no_file_can_have_is_a_missing_image(data, name):
  data.list("chair_trainval", "000005 1", f"{name} 1")
  found = _read(data)
  assert found.num_images == 2
  assert sum(map(len, found.skipped.values())) <= 4


def test_a_jpg_is_preferred_to_another_image_of_its_name(data):
  (data.root / "JPEGImages/000005.bmp").write_bytes(b"another")
  assert _read(data).images.name(0) == "JPEGImages/000005.jpg"


def test_a_list_may_be_utf16(data):
  for name in ("chair_trainval", "cow_trainval"):
    (data.root / f"ImageSets/Main/{name}.txt").unlink()
  lines = data.root / "ImageSets/Main/trainval.txt"
  lines.write_text("000005\r\n000007\r\n", encoding="utf-16")
  assert _read(data).num_boxes == 3
  lines.write_bytes(b"\xff\xfe0")
  with pytest.raises(errors.UsageError, match="trainval.txt.*list of images"):
    _read(data)


@pytest.mark.parametrize(
  "size", [("0.5", "10"), ("0", "0"), ("-20", "10"), ("1099511627776", "10")]
)
def test_an_impossible_size_is_read_from_the_image(data, size):
  width, height = size
  data.annotation(
    "000007",
    f"<annotation><size><width>{width}</width><height>{height}</height></size>"
    "<object><name>cow</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
    "<xmax>20.0</xmax><ymax>10</ymax></bndbox></object></annotation>",
  )
  found = _read(data)
  np.testing.assert_array_equal(found.image_sizes, [[20, 10], [20, 10]])
  np.testing.assert_array_equal(found.boxes[2], [0, 0, 20, 10])


def test_the_error_for_missing_data_says_what_to_download(tmp_path):
  with pytest.raises(
    errors.UsageError,
    match=r"VOC test: no images in .*ImageSets/Main/\*_test.txt.*"
    r"VOCtrainval_06-Nov-2007.tar \(460 MB\) and VOCtest_06-Nov-2007.tar "
    r"\(451 MB\).*change VOC$",
  ):
    voc.read(str(tmp_path), split="test")


def parse(tmp_path, content):
  file = tmp_path / "a.xml"
  file.write_bytes(content)
  return voc._parse_xml(str(file))


def test_elements_and_their_text_are_read(tmp_path):
  root = parse(tmp_path, b"<a><b>1 &amp; 2</b><b/></a>")
  assert root.tag == "a" and root.findtext("b") == "1 & 2"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_never_expanded(tmp_path, encoding):
  entities = '<!ENTITY e0 "ha">' + "".join(
    f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12)
  )
  bomb = f'<?xml version="1.0"?><!DOCTYPE a [{entities}]><a>&e11;</a>'
  with pytest.raises(ValueError, match="^XML with a document type$"):
    parse(tmp_path, bomb.encode(encoding))


def test_other_files_are_never_read(tmp_path):
  (tmp_path / "secret").write_text("secret")
  external = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{tmp_path}/secret">]><a>&x;</a>'
  with pytest.raises(ValueError, match="^XML with a document type$"):
    parse(tmp_path, external.encode())


@pytest.mark.parametrize(
  "content",
  [b"", b"<a>", b"\xff\xd8\xff", b"<a>&x;</a>", b"<?xml version='9'?>"],
)
def test_other_content_is_not_xml(tmp_path, content):
  with pytest.raises(ValueError, match="^not XML$"):
    parse(tmp_path, content)


def test_large_and_unreadable_files_are_refused(tmp_path, monkeypatch):
  with pytest.raises(ValueError, match="^no file$"):
    voc._parse_xml(str(tmp_path))
  monkeypatch.setattr(voc, "_MAX_XML_BYTES", 7)
  with pytest.raises(ValueError, match="^larger than 7 bytes$"):
    parse(tmp_path, b"<a>1</a>")


def test_names_are_found_in_another_unicode_form(tmp_path):
  nfc, nfd = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
  data = _Data(tmp_path)
  data.image(nfd, [("cow", 1, 1, 9, 9, 0)])
  data.list("train", nfc)
  found = voc.read(str(tmp_path), split="train")
  assert (found.num_boxes, found.skipped) == (1, {})
  (tmp_path / f"Annotations/{nfd}.xml").rename(
    tmp_path / f"Annotations/{nfc}.xml"
  )
  found = voc.read_folder(
    str(tmp_path / "Annotations"), str(tmp_path / "JPEGImages")
  )
  assert (found.num_boxes, found.skipped) == (1, {})


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
