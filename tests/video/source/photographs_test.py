"""Tests of tf_ssl.video.source.photographs."""

import functools
import io
import sys

import pytest
from PIL import Image

from tf_ssl.video.source import photographs


def _reason(names, sizes=((8, 6),), tags=None):
  """The reason for images with these names; `sizes` repeat."""

  def opened(name):
    file = io.BytesIO()
    exif = Image.Exif()
    for tag, value in (tags or {}).items():
      exif[tag] = value
    size = sizes[names.index(name) % len(sizes)]
    Image.new("RGB", size).save(file, "JPEG", exif=exif)
    file.seek(0)
    return file

  return photographs.reason(names, functools.cache(opened))


@pytest.mark.parametrize(
  "pattern",
  [
    "IMG_{:04}.JPG",
    "DSC{:05}.jpg",
    "P101{:04}.JPG",
    "_MG_{:04}.JPG",
    "100APPLE/IMG_{:04}.JPG",
    "IMG_20240131_{:06}.jpg",
    "20240131_{:06}.jpg",
    "PXL_20240131_{:09}.jpg",
    "IMG-20240131-WA{:04}.jpg",
  ],
)
def test_names_that_cameras_give_are_photographs(pattern):
  reason = _reason([pattern.format(number) for number in range(1, 4)])
  assert pattern.format(1) in reason


@pytest.mark.parametrize(
  "pattern",
  [
    "{}.jpg",  # TrackingNet
    "{:08}.jpg",  # GOT-10k
    "{:05}.jpg",  # DAVIS
    "img_{:05}.jpg",  # Kinetics
    "image_{:05}.jpg",
    "frame{:04}.png",
    "frame_{:010}.jpg",
    "in{:06}.jpg",
    "a/img_{:04}.jpg",
  ],
)
def test_names_that_programs_give_are_frames(pattern):
  assert _reason([pattern.format(number) for number in range(1, 4)]) is None


def test_images_of_different_sizes_are_photographs():
  names = [f"{number}.jpg" for number in range(4)]
  assert "sizes" in _reason(names, sizes=((8, 6), (6, 8)))


def test_images_with_a_camera_in_their_exif_data_are_photographs():
  names = [f"{number}.jpg" for number in range(3)]
  assert "EXIF" in _reason(names, tags={0x0110: "X100"})
  assert _reason(names, tags={0x0131: "ffmpeg"}) is None


def test_damaged_images_tell_nothing():
  assert (
    photographs.reason(["0.jpg", "1.jpg"], lambda name: io.BytesIO(b"")) is None
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
