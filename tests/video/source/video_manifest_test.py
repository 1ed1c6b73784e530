"""Tests of tf_ssl.video.source.video_manifest."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.video.source import video_manifest


def write(folder, text):
  path = folder / "list.csv"
  path.write_bytes(text)
  return str(path)


def test_blank_cells_are_unknown(tmp_path):
  file = write(tmp_path, b"path,label,start,end\na.mp4,run,1.5,3\nb.mp4,,,\n")
  assert video_manifest.read(file) == [
    (2, "a.mp4", "run", 1.5, 3.0),
    (3, "b.mp4", None, None, None),
  ]


def test_label_and_part_are_optional_and_paths_may_be_any_bytes(tmp_path):
  file = write(tmp_path, b"\xef\xbb\xbfPath\n\na\xff.mp4\n")
  assert video_manifest.read(file) == [(3, "a\udcff.mp4", None, None, None)]


@pytest.mark.parametrize(
  "text, message",
  [
    (b"file\nb.mp4\n", "line 1: .*'file'.*path"),
    (b"path,start\nb.mp4,2\n", "line 1: .*path,start"),
    (b"path,start,end\nb.mp4,2,1\n", "line 2: start 2, end 1"),
    (b"path,start,end\nb.mp4,x,1\n", "line 2: start 'x'"),
    (b"path,start,end\nb.mp4,-1,1\n", "line 2: start '-1'"),
    (b"path,label\nb.mp4\n", "line 2: 1 cells.*2"),
    (b"path,label\n,run\n", "line 2: .*path"),
    (b"path\n", "line 1: "),
  ],
)
def test_a_malformed_manifest_is_refused_with_its_line(tmp_path, text, message):
  with pytest.raises(errors.UsageError, match=f"list.csv, {message}"):
    video_manifest.read(write(tmp_path, text))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
