"""Tests of tf_ssl.video.decoding.ffmpeg4."""

import pathlib
import subprocess
import sys
import zipfile

import pytest

from tf_ssl import errors
from tf_ssl.video.decoding import ffmpeg4

_NAMES = {
  "libavutil-9c768859.so.56.70.100": "libavutil.so.56",
  "libswresample-99364a1c.so.3.9.100": "libswresample.so.3",
  "libavcodec-65fa80df.so.58.134.100": "libavcodec.so.58",
  "libavformat-8ef5c7db.so.58.76.100": "libavformat.so.58",
  "libswscale-e6451464.so.5.9.100": "libswscale.so.5",
}


def _wheel(path, names=tuple(_NAMES), extra=()):
  everything = b"\0".join(name.encode() for name in _NAMES) + b"\0end"
  with zipfile.ZipFile(path, "w") as archive:
    for name in names:
      archive.writestr(f"opencv_python_headless.libs/{name}", everything)
    for name in extra:
      archive.writestr(name, b"not wanted")
  return path


def test_renamed_libraries_refer_to_each_other_by_the_new_names(tmp_path):
  wheel = _wheel(
    tmp_path / "a.whl",
    extra=[
      "cv2/cv2.abi3.so",
      "opencv_python_headless.libs/libopenblas-r0-f650aae0.3.3.so",
      "opencv_python_headless.libs/../../libvpx-1016051d.so.7.0.0",
      "../x.libs/../libavutil-9c768859.so.56.70.100",
    ],
  )
  found = ffmpeg4.libraries(wheel)
  assert set(found) == set(ffmpeg4.LIBRARIES)
  for content in found.values():
    words = [word for word in content.split(b"\0") if word]
    assert words == [*(name.encode() for name in _NAMES.values()), b"end"]
    assert len(content) == sum(len(name) + 1 for name in _NAMES) + 3


def test_an_unexpected_wheel_is_refused(tmp_path):
  def refused(wheel, message):
    with pytest.raises(errors.UsageError, match=message):
      ffmpeg4.set_up(tmp_path / "out", wheel=wheel)

  refused(tmp_path / "none.whl", "--wheel: .*none.whl")
  refused(_wheel(tmp_path / "a.whl"), "a.whl .*3f33")
  assert not (tmp_path / "out").exists()
  with pytest.raises(errors.UsageError, match="b.whl.*opencv-python-headless"):
    ffmpeg4.libraries(_wheel(tmp_path / "b.whl", list(_NAMES)[:2]))
  (tmp_path / "c.whl").write_text("no zip")
  with pytest.raises(errors.UsageError, match="c.whl.*opencv-python-headless"):
    ffmpeg4.libraries(tmp_path / "c.whl")


def test_a_second_setup_does_nothing(tmp_path, monkeypatch):
  monkeypatch.setattr(ffmpeg4, "_check", lambda wheel: None)
  wheel = _wheel(tmp_path / "a.whl")
  folder = tmp_path / "deep" / "out"
  assert ffmpeg4.set_up(folder, wheel=wheel) == folder
  assert {path.name for path in folder.iterdir()} == set(ffmpeg4.LIBRARIES)
  wheel.unlink()
  assert ffmpeg4.set_up(folder, wheel=wheel) == folder


def test_an_unsupported_machine_is_named(tmp_path, monkeypatch):
  monkeypatch.setattr(ffmpeg4.platform, "machine", lambda: "riscv64")
  with pytest.raises(errors.UsageError, match="riscv64.*pyav"):
    ffmpeg4.set_up(tmp_path)


def test_a_failed_download_is_an_error_in_one_line(tmp_path, monkeypatch):
  monkeypatch.setattr(ffmpeg4.sys, "executable", "/bin/false")
  with pytest.raises(errors.UsageError, match="opencv-pyt.*--wheel$") as raised:
    ffmpeg4.set_up(tmp_path)
  assert "\n" not in str(raised.value)


def test_environment_variables_set_the_folder(monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
  monkeypatch.delenv("TF_SSL_FFMPEG4", raising=False)
  assert ffmpeg4.default_folder() == pathlib.Path("/caches/tf_ssl/ffmpeg4")
  monkeypatch.setenv("TF_SSL_FFMPEG4", "/elsewhere")
  assert ffmpeg4.default_folder() == pathlib.Path("/elsewhere")


def test_libraries_that_do_not_load_are_an_error_with_a_command(tmp_path):
  for name in ffmpeg4.LIBRARIES:
    (tmp_path / name).write_text("no library")
  with pytest.raises(errors.UsageError, match="tools.setup_ffmpeg"):
    ffmpeg4.load(tmp_path)


def test_ffmpeg_4_loads_beside_pyav(ffmpeg_4):
  code = (
    "from tf_ssl.video.decoding import ffmpeg4; import av; ffmpeg4.load();"
    "print(len(av.codecs_available) > 100)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )
  assert done.stdout == "True\n"


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
