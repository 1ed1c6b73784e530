import os
import pathlib
import shutil
import sys
import unicodedata

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets import image_folder, records


def _write(folder: pathlib.Path, **contents: bytes) -> None:
  for name, content in contents.items():
    path = folder / name.replace("__", "/")
    path = path.with_name(path.name + ".jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _names(found: records.ImageRecords) -> list[str]:
  return [found.name(i) for i in range(found.num_images)]


def test_images_at_any_depth_are_sorted_by_name(tmp_path):
  _write(tmp_path, b=b"1", a__z__c=b"22", a__d=b"333", c__e=b"")
  found = image_folder.read(str(tmp_path))
  assert _names(found) == ["a/d.jpg", "a/z/c.jpg", "b.jpg", "c/e.jpg"]
  np.testing.assert_array_equal(found.sizes, [3, 2, 1, 0])
  assert found.path(1) == str(tmp_path / "a/z/c.jpg")
  assert found.labels is None and found.boxes is None


def test_the_root_is_an_absolute_path(tmp_path, monkeypatch):
  _write(tmp_path, photos__a=b"1")
  monkeypatch.chdir(tmp_path)
  found = image_folder.read("photos/")
  assert found.path(0) == str(tmp_path / "photos/a.jpg")


def test_extensions_are_case_insensitive_and_other_files_are_ignored(tmp_path):
  images = ["a.JPG", "b.Jpeg", "c.png", "d.BMP", "e.gif"]
  for name in [*images, "notes.txt", "jpg", "f.jpg.part", "g.csv"]:
    (tmp_path / name).touch()
  assert _names(image_folder.read(str(tmp_path))) == images


def test_hidden_files_and_folders_are_skipped(tmp_path):
  _write(tmp_path, a=b"1", **{"._a": b"1", ".cache__b": b"1"})
  assert _names(image_folder.read(str(tmp_path))) == ["a.jpg"]


def test_links_are_followed_but_not_in_cycles(tmp_path):
  _write(tmp_path, inside__a=b"1", inside__deep__b=b"1")
  _write(tmp_path / "elsewhere", c=b"22")
  root = tmp_path / "inside"
  (root / "up").symlink_to(root)
  (root / "deep" / "up").symlink_to(root)
  (root / "deep" / "self").symlink_to(root / "deep")
  (root / "out").symlink_to(tmp_path / "elsewhere")
  found = image_folder.read(str(root))
  assert _names(found) == ["a.jpg", "deep/b.jpg", "out/c.jpg"]


def test_service_folders_are_no_class(tmp_path):
  _write(tmp_path, cat__a=b"1", dog__a=b"1")
  _write(tmp_path, **{"@eaDir__a": b"1", "cat__@eaDir__a": b"1"})
  _write(tmp_path, **{"#recycle__a": b"1", "__MACOSX/b": b"1"})
  found = image_folder.read(str(tmp_path), labeled=True)
  assert _names(found) == ["cat/a.jpg", "dog/a.jpg"]
  assert found.class_names == ("cat", "dog")


def test_link_loops_and_pipes_are_passed_over(tmp_path):
  _write(tmp_path, a=b"1")
  (tmp_path / "self").symlink_to("self")
  (tmp_path / "one").symlink_to("two")
  (tmp_path / "two").symlink_to("one")
  os.mkfifo(tmp_path / "pipe.jpg")
  assert _names(image_folder.read(str(tmp_path))) == ["a.jpg"]


def test_one_line_says_what_is_passed_over(tmp_path, caplog):
  _write(tmp_path, a=b"1")
  image_folder.read(str(tmp_path))
  assert not caplog.records
  for name in ("b.HEIC", "c.heic", "d.txt", "e.zip", "f"):
    (tmp_path / name).touch()
  (tmp_path / "loop").symlink_to("loop")
  image_folder.read(str(tmp_path))
  [line] = [record.getMessage() for record in caplog.records]
  assert "found 1;" in line and "unpack" in line
  for part in (".heic (2)", ".txt (1)", "link loop (1)", "no extension (1)"):
    assert part in line


def test_a_folder_of_other_files_names_their_kinds(tmp_path):
  for name in ("b.heic", "c.heic"):
    (tmp_path / name).touch()
  with pytest.raises(errors.UsageError, match=r"\.heic \(2\)"):
    image_folder.read(str(tmp_path))


def test_a_dangling_link_is_listed(tmp_path):
  _write(tmp_path, a=b"1")
  (tmp_path / "b.jpg").symlink_to(tmp_path / "nowhere.jpg")
  np.testing.assert_array_equal(image_folder.read(str(tmp_path)).sizes, [1, 0])


def test_names_may_be_any_bytes(tmp_path):
  for name in ("ü ber.jpg".encode(), b"\xff\xfe.jpg"):
    with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
      file.write(b"1")
  found = image_folder.read(str(tmp_path))
  assert all(os.path.isfile(found.path(i)) for i in range(2))
  assert records.digest(found)["count"] == 2


def test_the_first_folder_names_the_class(tmp_path):
  _write(tmp_path, dog__x__a=b"1", cat__b=b"1", dog__a=b"1", ape__a=b"1")
  found = image_folder.read(str(tmp_path), labeled=True)
  assert found.class_names == ("ape", "cat", "dog")
  assert found.labels.dtype == np.int32
  assert [found.class_names[i] for i in found.labels] == [
    name.split("/")[0] for name in _names(found)
  ]


def test_class_names_fit_every_report(tmp_path):
  forms = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
  for name in (*map(os.fsencode, forms), b"b\nb", b"\xff", "漢".encode()):
    folder = os.path.join(os.fsencode(tmp_path), name)
    os.mkdir(folder)
    with open(os.path.join(folder, b"a.jpg"), "wb"):
      pass
  found = image_folder.read(str(tmp_path), labeled=True)
  assert found.class_names == (r"b\nb", "é", "漢", r"\xff")
  assert sorted(found.labels.tolist()) == [0, 1, 1, 2, 3]


def test_a_labeled_image_outside_class_folders_is_an_error(tmp_path):
  _write(tmp_path, cat__a=b"1", stray=b"1")
  with pytest.raises(errors.UsageError, match="'stray.jpg' .*CLASS"):
    image_folder.read(str(tmp_path), labeled=True)


def test_an_empty_folder_is_refused(tmp_path):
  (tmp_path / "deep" / "down").mkdir(parents=True)
  with pytest.raises(errors.UsageError, match="no image under .*"):
    image_folder.read(str(tmp_path))


def test_a_missing_folder_is_refused(tmp_path):
  with pytest.raises(errors.UsageError, match="not a folder"):
    image_folder.read(str(tmp_path / "absent"))


def test_twenty_thousand_images_are_listed(tmp_path):
  expected = []
  for folder in range(20):
    (tmp_path / f"{folder:02d}").mkdir()
    for number in range(1000):
      name = f"{folder:02d}/{number:04d}.jpg"
      os.close(os.open(tmp_path / name, os.O_CREAT))
      expected.append(name)
  found = image_folder.read(str(tmp_path), labeled=True)
  assert _names(found) == expected
  # Only a few bytes are kept per image besides its name.
  assert found.files.nbytes + found.sizes.nbytes < 20 * found.num_images


def test_a_moved_folder_keeps_its_digest_and_a_changed_one_does_not(tmp_path):
  _write(tmp_path / "old", a=b"1", c__b=b"22")
  before = records.digest(image_folder.read(str(tmp_path / "old")))
  shutil.move(tmp_path / "old", tmp_path / "new")
  assert records.digest(image_folder.read(str(tmp_path / "new"))) == before
  _write(tmp_path / "new", a=b"12")
  assert records.digest(image_folder.read(str(tmp_path / "new"))) != before


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
