"""Tests of tf_ssl.video.source.videos."""

import io
import os
import sys
import unicodedata
import zipfile

import cv2
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.video.decoding import decode
from tf_ssl.video.source import videos


def _image(value):
  return np.full([6, 8, 3], value, np.uint8)


def _frames(folder, names):
  folder.mkdir(parents=True)
  for name in names:
    number = int("".join(filter(str.isdigit, name)))
    cv2.imwrite(str(folder / name), _image(10 * number))
  return folder


def _names(source):
  return [video.name for video in videos.find_videos(str(source))]


def _values(video):
  frames = decode.iterate_frames(video)
  return [round(float(frame.image.mean()) / 10) for frame in frames]


@pytest.mark.parametrize(
  "layout, names, values",
  [
    ("frames/VIDEO", [f"{i}.jpg" for i in range(12)], list(range(12))),
    ("VIDEO", ["00000001.jpg", "00000002.jpg", "groundtruth.txt"], [1, 2]),
    ("JPEGImages/480p/VIDEO", ["00000.jpg", "00001.jpg"], [0, 1]),
    ("class a/VIDEO", ["img_00001.jpg", "img_00002.jpg"], [1, 2]),
  ],
  ids=["TrackingNet", "GOT-10k", "DAVIS", "Kinetics"],
)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_a_folder_of_numbered_images_is_a_video_sorted_by_number(
  tmp_path, layout, names, values, zipped
):
  images = [name for name in names if not name.endswith(".txt")]
  folder = _frames(tmp_path / "data" / layout, images)
  for name in set(names) - set(images):
    (folder / name).write_text("0,0,1,1")
  if zipped:
    with zipfile.ZipFile(tmp_path / "data" / "a.zip", "w") as archive:
      for file in sorted(folder.iterdir(), reverse=True):
        archive.write(file, f"{layout}/{file.name}")
        file.unlink()
  found = videos.find_videos(str(tmp_path / "data"))
  assert [v.name for v in found] == [f"a.zip!{layout}" if zipped else layout]
  assert _values(found[0]) == values


def test_video_files_are_found_by_extension_in_all_subfolders(tmp_path):
  for name in ("b/x.MP4", "a.mkv", "b/y.asf", "b/z.txt", ".h/q.mp4", "one.jpg"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
  assert _names(tmp_path) == ["a.mkv", "b/x.MP4", "b/y.asf"]


def test_a_file_a_folder_of_frames_and_a_folder_in_a_zip_are_sources(tmp_path):
  (tmp_path / "a.mp4").touch()
  folder = _frames(tmp_path / "clip", ["1.png", "2.png"])
  with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
    for file in folder.iterdir():
      archive.write(file, f"in/{file.name}")
  assert _names(tmp_path / "a.mp4") == ["a.mp4"]
  assert _names(folder) == ["clip"]
  assert _names(tmp_path / "z.zip") == ["z.zip!in"]
  assert _names(f"{tmp_path / 'z.zip'}!in") == ["z.zip!in"]


def test_flow_images_are_ignored_among_several_series(tmp_path):
  names = [f"flow_x_{i:05}.jpg" for i in range(1, 5)]
  folder = _frames(tmp_path / "v", [*names, "img_00001.jpg", "img_00002.jpg"])
  assert _values(videos.find_videos(str(folder))[0]) == [1, 2]


def test_a_manifest_sets_labels_and_parts_in_row_order(tmp_path):
  (tmp_path / "b.mp4").touch()
  _frames(tmp_path / "a", ["0.png", "1.png"])
  file = tmp_path / "list.csv"
  file.write_text(
    "path,label,start,end\nb.mp4,run,1.5,3\nb.mp4,,,\na,walk,,2\n"
  )
  first, second, third = videos.find_videos(str(file))
  assert first == videos.Video(
    str(tmp_path / "b.mp4"), "b.mp4[1.5-3]", "run", 1.5, 3.0
  )
  assert (second.name, second.label, second.start) == ("b.mp4", None, None)
  assert (third.name, third.label, third.end) == ("a[0-2]", "walk", 2.0)


def test_repeated_rows_get_different_names(tmp_path):
  (tmp_path / "b.mp4").touch()
  (tmp_path / "list.csv").write_text("path\nb.mp4\nb.mp4\n")
  assert _names(tmp_path / "list.csv") == ["b.mp4", "b.mp4#3"]


def test_a_source_without_videos_is_refused(tmp_path):
  with pytest.raises(errors.UsageError, match=f"{tmp_path}.*FILE.csv"):
    videos.find_videos(str(tmp_path))
  with pytest.raises(errors.UsageError, match=str(tmp_path / "none")):
    videos.find_videos(str(tmp_path / "none"))
  (tmp_path / "a.zip").write_text("no zip")
  with pytest.raises(errors.UsageError, match="a.zip"):
    videos.find_videos(str(tmp_path))


def test_a_manifest_finds_names_in_another_unicode_form(tmp_path):
  nfc, nfd = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
  (tmp_path / f"{nfd}.mp4").touch()
  (tmp_path / "m.csv").write_text(f"path,label\n{nfc}.mp4,{nfd}\n")
  (video,) = videos.find_videos(str(tmp_path / "m.csv"))
  assert video.path == str(tmp_path / f"{nfd}.mp4")
  assert (video.name, video.label) == (f"{nfc}.mp4", nfc)


def test_a_missing_file_of_a_manifest_is_refused_with_its_line(tmp_path):
  (tmp_path / "b.mp4").touch()
  (tmp_path / "list.csv").write_text("path\nb.mp4\nnone.mp4\n")
  with pytest.raises(errors.UsageError, match="list.csv, line 3: .*none.mp4"):
    videos.find_videos(str(tmp_path / "list.csv"))


def test_a_fingerprint_changes_with_path_part_and_file(tmp_path):
  path = tmp_path / "a.mp4"
  path.write_bytes(b"1")
  video = videos.Video(str(path), "a.mp4")
  first = videos.fingerprint(video)
  assert videos.fingerprint(video._replace(name="other")) == first
  (tmp_path / "b.mp4").write_bytes(b"1")
  others = [
    videos.fingerprint(video._replace(path=str(tmp_path / "b.mp4"))),
    videos.fingerprint(video._replace(start=1.0)),
    videos.fingerprint(video._replace(folder_fps=2.0)),
  ]
  path.write_bytes(b"12")
  others.append(videos.fingerprint(video))
  assert len({first, *others}) == 5


def test_a_damaged_image_is_an_error_and_never_replaced(tmp_path):
  folder = _frames(tmp_path / "v", ["0.jpg", "1.jpg", "2.jpg"])
  intact = (folder / "1.jpg").read_bytes()
  (folder / "1.jpg").write_bytes(intact[: len(intact) * 2 // 3])
  video = videos.find_videos(str(folder))[0]
  with pytest.raises(decode.DecodeError, match="frame 1, '1.jpg'"):
    decode.read_frames(video, [0, 1])
  assert [f.number for f in decode.iterate_frames(video)] == [0, 2]


def test_the_part_of_a_folder_of_frames_follows_its_frame_rate(tmp_path):
  folder = _frames(tmp_path / "v", [f"{i}.png" for i in range(10)])
  video = videos.Video(str(folder), "v", start=1.0, end=2.5, folder_fps=2.0)
  assert decode.probe(video) == (3, 2.0, 6, 8, 1.5)
  assert _values(video) == [2, 3, 4]


def test_a_damaged_zip_among_videos_is_skipped_and_named(tmp_path, caplog):
  (tmp_path / "a.mp4").write_bytes(b"")
  (tmp_path / "b.zip").write_bytes(b"not a zip")
  with caplog.at_level("WARNING"):
    assert _names(tmp_path) == ["a.mp4"]
  assert "b.zip" in caplog.text


def test_films_of_camcorders_discs_and_the_web_are_found(tmp_path):
  names = ["a.MTS", "b.VOB", "c.ogv", "d.gif", "e.m2ts"]
  for name in names:
    (tmp_path / name).write_bytes(b"")
  assert _names(tmp_path) == names


def test_what_is_found_and_passed_over_is_one_line(tmp_path, caplog):
  for name in ("a.mp4", "b.MP4", "c.mkv", "t/x.txt", "t/y.TXT", "z.srt", "no"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
  _frames(tmp_path / "frames", ["0.png", "1.png", "o9.png"])
  for name in ("@eaDir", "$RECYCLE.BIN", ".Trash-1000", "__MACOSX"):
    _frames(tmp_path / name, ["0.png", "1.png"])
    (tmp_path / name / "a.mp4").touch()
  (tmp_path / "loop").symlink_to(tmp_path)
  (tmp_path / "self.mp4").symlink_to("self.mp4")
  os.mkfifo(tmp_path / "pipe.mp4")
  with caplog.at_level("INFO"):
    assert _names(tmp_path) == ["a.mp4", "b.MP4", "c.mkv", "frames"]
  (line,) = [r.getMessage() for r in caplog.records]
  found, passed = line.split("passed over")
  for kind in (".mp4 (2)", ".mkv (1)", "folders of frames (1)"):
    assert kind in found
  for kind in (".txt (2)", "link loop (2)", "folder '$RECYCLE.BIN' (1)"):
    assert kind in passed


def test_boxes_beside_their_film_are_not_passed_over(tmp_path, caplog):
  for name in ("a.mp4", "a.csv", "b.csv"):
    (tmp_path / name).touch()
  with caplog.at_level("INFO"):
    assert _names(tmp_path) == ["a.mp4"]
  assert caplog.records[-1].getMessage().endswith("passed over .csv (1)")


def test_a_pipe_among_frames_is_a_missing_frame(tmp_path):
  folder = _frames(tmp_path / "v", ["0.png", "1.png", "2.png"])
  os.mkfifo(folder / "3.png")
  video = videos.Video(str(folder), "v")
  assert [f.number for f in decode.iterate_frames(video)] == [0, 1, 2]


def test_the_photographs_of_a_camera_are_no_video(tmp_path, caplog):
  folder = tmp_path / "DCIM" / "100APPLE"
  _frames(folder, [f"IMG_{i:04}.JPG" for i in range(1, 11)])
  (folder / "IMG_0011.MOV").touch()
  assert _names(tmp_path) == ["DCIM/100APPLE/IMG_0011.MOV"]
  assert "DCIM/100APPLE" in caplog.text
  assert "photographs (10)" in caplog.text
  (folder / "IMG_0011.MOV").unlink()
  with pytest.raises(errors.UsageError, match=r"photographs \(10\)"):
    _names(tmp_path)
  # Whoever means it says so.
  (tmp_path / "list.csv").write_text("path\nDCIM/100APPLE\n")
  video = videos.find_videos(str(tmp_path / "list.csv"))[0]
  assert decode.probe(video).num_frames == 10


def test_photographs_in_a_zip_are_no_video(tmp_path):
  jpeg = io.BytesIO(cv2.imencode(".jpg", _image(9))[1])
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    for number in range(1, 4):
      archive.writestr(f"a/DSC_{number:04}.jpg", jpeg.getvalue())
      archive.writestr(f"b/{number}.jpg", jpeg.getvalue())
  assert _names(tmp_path) == ["a.zip!b"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
