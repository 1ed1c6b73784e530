"""Tests of tf_ssl.input_pipeline.skipped."""

import sys
import threading

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.input_pipeline import skipped


def test_each_file_is_written_once_with_its_reason(tmp_path):
  path = tmp_path / "skipped_files.txt"
  record = skipped.SkippedFiles(str(path), 100)
  record.add("a b.jpg", "empty file")
  record.add("c.png", "truncated")
  record.add("a b.jpg", "empty file")
  assert path.read_text() == "a b.jpg\tempty file\nc.png\ttruncated\n"
  assert record.count == 2 and record.fatal is None


def test_a_resumed_run_remembers(tmp_path):
  path = str(tmp_path / "skipped_files.txt")
  skipped.SkippedFiles(path, 100).add("a\udcff.jpg", "empty file")
  resumed = skipped.SkippedFiles(path, 100)
  assert resumed.reasons == {"a\udcff.jpg": "empty file"}
  resumed.add("a\udcff.jpg", "empty file")
  assert len(open(path, "rb").read().splitlines()) == 1


@pytest.mark.parametrize(
  ("name", "line"),
  [
    ("a\nb.jpg", r"a\nb.jpg"),
    ("a\tb.jpg", r"a\tb.jpg"),
    ("a\\nb.jpg", r"a\\nb.jpg"),
    ("\udcff.jpg", r"\xff.jpg"),
    ("\ud800\x85", r"\ud800\u0085"),
    ("é 漢.jpg", "é 漢.jpg"),
  ],
)
def test_a_name_takes_one_line_and_counts_once(tmp_path, caplog, name, line):
  path = tmp_path / "skipped_files.txt"
  for _ in range(3):
    record = skipped.SkippedFiles(str(path), 100)
    with caplog.at_level("WARNING"):
      record.add(name, "error:\n  of\ttwo lines")
    assert record.reasons == {name: "error: of two lines"}
  assert path.read_text("utf-8") == f"{line}\terror: of two lines\n"
  assert caplog.messages == [f"skipped {line}: error: of two lines"]


def test_a_file_of_an_earlier_version_is_continued(tmp_path):
  path = tmp_path / "skipped_files.txt"
  known = ["a\tb.jpg", "\udcff.jpg", "c\n\n.jpg", "\n.jpg", "d.jpg"]
  before = "".join(f"{name}\tempty file\n" for name in known)
  path.write_bytes(before.encode("utf-8", "surrogateescape"))
  record = skipped.SkippedFiles(str(path), 200)
  for name in (*known, "e\n.jpg"):
    record.add(name, "empty file")
  assert list(record.reasons) == [*known, "e\n.jpg"]
  text = path.read_text(encoding="utf-8", errors="surrogateescape")
  assert text == before + "e\\n.jpg\tempty file\n"


@pytest.mark.parametrize("cut", ["b.j", "b.jpg", "b.jpg\t", "b.jpg\tempt"])
def test_a_line_that_a_kill_cut_spoils_no_other(tmp_path, cut):
  path = tmp_path / "skipped_files.txt"
  path.write_text(f"a.jpg\tempty file\n{cut}")
  skipped.SkippedFiles(str(path), 100).add("c.jpg", "empty file")
  names = skipped.SkippedFiles(str(path), 100).reasons
  assert set(names) - {"b.jpg"} == {"a.jpg", "c.jpg"}


def test_too_many_skipped_images_stop_the_run():
  record = skipped.SkippedFiles(None, 40, max_fraction=0.05)
  record.add("a", "r")
  record.add("b", "r")
  assert record.fatal is None
  with pytest.raises(
    errors.UsageError, match="3 of 40 .*0.05.*max_skipped_fraction"
  ):
    record.add("c", "r")
  assert "max_skipped_fraction" in record.fatal


def test_giving_up_stops_the_run():
  record = skipped.SkippedFiles(None, 1000)
  record.add("a", "empty file")
  with pytest.raises(errors.UsageError, match="8 .*max_skipped_fraction"):
    record.give_up(8)
  assert "max_skipped_fraction" in record.fatal and "'a'" in record.fatal


def test_threads_may_add_images_concurrently(tmp_path):
  path = tmp_path / "skipped_files.txt"
  record = skipped.SkippedFiles(str(path), 10**6)

  def work():
    for i in range(200):
      record.add(f"{i}.jpg", "empty file")

  threads = [threading.Thread(target=work) for _ in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert record.count == 200 == len(path.read_text().splitlines())


def test_reasons_are_those_of_the_files(tmp_path):
  good = tmp_path / "good.jpg"
  Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(good)
  data = good.read_bytes()
  (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
  (tmp_path / "empty.png").touch()
  (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
  (tmp_path / "text.gif").write_text("hello")
  Image.new("RGB", (1, 5)).save(tmp_path / "thin.png")
  records = image_folder.read(str(tmp_path))
  found = {
    records.name(i): skipped.why_unusable(records, i, None)
    for i in range(records.num_images)
  }
  assert found == {
    "cut.jpg": "truncated or corrupt JPEG, or of an unsupported kind",
    "empty.png": "empty file",
    "gone.jpg": "cannot be read: No such file or directory",
    "good.jpg": None,
    "text.gif": "not an image of a known kind",
    "thin.png": "smaller than 2 px on a side: 1x5",
  }


def test_a_kind_that_workers_of_a_service_cannot_decode_is_named(tmp_path):
  Image.new("RGB", (8, 8)).save(tmp_path / "a.webp")
  records = image_folder.read(str(tmp_path))
  assert skipped.why_unusable(records, 0, None) is None
  reason = skipped.why_unusable(records, 0, None, portable=True)
  assert "PNG" in reason and "data service" in reason


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
