"""Tests of tf_ssl.video.source.frame_names."""

import sys

import pytest

from tf_ssl.video.source import frame_names


def test_frames_are_sorted_by_number():
  names = ["10.jpg", "9.JPG", "1.png", "readme.txt", "cover.jpg", ".2.jpg"]
  assert frame_names.in_order(names) == ["1.png", "9.JPG", "10.jpg"]


def test_the_longest_series_is_used_but_never_flow():
  flow = [f"flow_x_{i}.jpg" for i in range(9)]
  images = ["img_1.jpg", "img_2.jpg"]
  assert frame_names.in_order([*flow, *images, "thumb_1.jpg"]) == images
  assert frame_names.in_order(flow) == []


def test_of_two_files_with_one_number_the_first_name_is_used():
  assert frame_names.in_order(["1.jpg", "01.png", "2.jpg"]) == [
    "01.png",
    "2.jpg",
  ]


def test_gaps_are_steps_longer_than_usual():
  def count(*numbers):
    return frame_names.gaps([f"{number:05}.jpg" for number in numbers])

  assert count(*range(10)) == count(*range(0, 50, 5)) == count(3) == 0
  assert count(1, 2, 3, 5, 6, 9) == 2


def test_archives_are_grouped_by_folders_with_two_frames():
  paths = ["b/2.jpg", "b/1.jpg", "a/1.jpg", "1.png", "2.png"]
  paths += ["__MACOSX/c/1.jpg", "__MACOSX/c/2.jpg", ".h/1.jpg", ".h/2.jpg"]
  assert frame_names.by_folder(paths) == {
    "": ["1.png", "2.png"],
    "b": ["1.jpg", "2.jpg"],
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
