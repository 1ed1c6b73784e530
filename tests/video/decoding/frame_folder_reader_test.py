"""Folders of numbered images, in a folder and in a zip, read as videos."""

import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from tf_ssl.video.decoding import frame_folder_reader, frames
from tf_ssl.video.source import videos

_NAMES = [f"{number}.png" for number in (2, 9, 10, 40)]  # With gaps.


def _paint(path, number, size=(12, 8)):
  Image.new("RGB", size, (10 * number, 0, 200)).save(path)


@pytest.fixture(name="folder")
def fixture_folder(tmp_path):
  """Frame n is of red 10 n."""
  folder = tmp_path / "frames"
  folder.mkdir()
  for number, name in enumerate(_NAMES):
    _paint(folder / name, number)
  return folder


@pytest.fixture(name="archive")
def fixture_archive(folder, tmp_path):
  path = tmp_path / "all.zip"
  with zipfile.ZipFile(path, "w") as archive:
    for name in _NAMES:
      archive.write(folder / name, f"a/b/{name}")
      archive.write(folder / name, name)
  return path


def _reader(path, **settings):
  return frame_folder_reader.FrameFolderReader(
    videos.Video(str(path), "v", **settings)
  )


def _numbers(found):
  return [int(frame.image[0, 0, 0]) // 10 for frame in found]


@pytest.mark.parametrize("inside", [None, "a/b", ""])
def test_frames_follow_the_numbers_of_the_files(folder, archive, inside):
  path = folder if inside is None else f"{archive}!{inside}"
  reader = _reader(path, folder_fps=4.0)
  found = list(reader.frames([0, 3, 2, 3]))
  assert _numbers(found) == [0, 3, 2, 3]
  assert [frame.number for frame in found] == [0, 3, 2, 3]
  assert [frame.time for frame in found] == [0.0, 0.75, 0.5, 0.75]
  assert found[0].image.shape == (8, 12, 3)
  assert found[0].image[0, 0].tolist() == [0, 0, 200]  # RGB, not BGR.
  assert reader.info() == frames.VideoInfo(4, 4.0, 8, 12, 1.0)
  reader.close()


def test_a_part_is_numbered_from_its_start(folder):
  reader = _reader(folder, folder_fps=2.0, start=0.5, end=1.5)
  assert _numbers(reader.frames([0, 1])) == [1, 2]
  np.testing.assert_allclose(reader.times, [0.5, 1.0])
  assert reader.info().num_frames == 2


def test_frames_are_scaled_down_only(folder):
  reader = _reader(folder)
  [small] = reader.frames([1], size=4)
  assert small.image.shape == (4, 6, 3) and _numbers([small]) == [1]
  [same] = reader.frames([1], size=100)
  assert same.image.shape == (8, 12, 3)


def _truncated_jpeg(path):
  noise = np.random.default_rng(0).integers(0, 255, [64, 64, 3], np.uint8)
  Image.fromarray(noise).save(path, "JPEG")
  path.write_bytes(path.read_bytes()[:-1000])


def _zero_filled_jpeg(path):
  """As after a crash of the machine: the file has its length, not its end."""
  _truncated_jpeg(path)
  path.write_bytes(path.read_bytes() + b"\0" * 5000)


def _huge_png(path):
  def chunk(kind, data):
    code = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", code)

  header = struct.pack(">IIBBBBB", 2**20, 2**20, 8, 2, 0, 0, 0)
  path.write_bytes(
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", header)
    + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    + chunk(b"IEND", b"")
  )


@pytest.mark.parametrize(
  "damage",
  [
    _truncated_jpeg,
    _zero_filled_jpeg,
    _huge_png,
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"\x89PNG but no more"),
    lambda path: path.unlink(),
  ],
  ids=[
    "truncated JPEG",
    "zero-filled JPEG",
    "huge PNG",
    "empty",
    "garbage",
    "gone",
  ],
)
def test_a_damaged_frame_is_named_or_omitted(folder, damage):
  reader = _reader(folder)
  damage(folder / _NAMES[1])
  with pytest.raises(frames.DecodeError, match="v: frame 1, '9.png'"):
    list(reader.frames([0, 1]))
  assert _numbers(reader.frames([0, 1, 3], skip_missing=True)) == [0, 3]
  gaps, lost = reader.notes
  assert "gaps (1)" in gaps and lost == "1 of 3 frames cannot be decoded"


def test_a_damaged_member_of_an_archive_is_omitted(archive):
  content = archive.read_bytes()
  with zipfile.ZipFile(archive) as found:
    start = found.getinfo("a/b/9.png").header_offset + 60
  archive.write_bytes(content[:start] + b"\xff" * 8 + content[start + 8 :])
  reader = _reader(f"{archive}!a/b")
  assert _numbers(reader.frames(range(4), skip_missing=True)) == [0, 2, 3]


def test_a_folder_in_which_no_frame_can_be_decoded_is_an_error(folder):
  for name in _NAMES:
    (folder / name).write_bytes(b"")
  with pytest.raises(frames.DecodeError, match="v: no frame can be decoded"):
    list(_reader(folder).frames(range(4), skip_missing=True))


def test_folders_without_frames_are_errors_with_the_reason(folder, archive):
  (folder / "empty").mkdir()
  for path, reason in (
    (folder / "empty", "no numbered images"),
    (f"{archive}!c", "no numbered images"),
    (folder / "nowhere", "cannot be listed .*nowhere"),
    (f"{folder / _NAMES[0]}.zip!a", "cannot be listed"),
  ):
    with pytest.raises(frames.DecodeError, match=f"v: .*{reason}"):
      _reader(path)
  (folder / "no.zip").write_bytes(b"PK")
  with pytest.raises(frames.DecodeError, match="zip"):
    _reader(f"{folder / 'no.zip'}!a")
  with pytest.raises(frames.DecodeError, match="between 9 s"):
    _reader(folder, start=9.0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
