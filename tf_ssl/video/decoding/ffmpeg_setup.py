"""Sets FFmpeg 4 up for tensorflow-io where the system has a newer one.

The wheel opencv-python-headless 4.5.5.64 carries FFmpeg 4.4 (LGPL). Only its
folder of libraries is taken. Their names bear a hash of that wheel,
libavcodec-65fa80df.so.58.134.100, while tensorflow-io asks for
libavcodec.so.58: the names are written over inside the files, which they fit
into, being shorter.
"""

import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

from tf_ssl import errors
from tf_ssl.video.decoding import ffmpeg4

WHEEL = "opencv-python-headless==4.5.5.64"
# Of the wheel for x86-64 Linux (cp36-abi3-manylinux_2_17), computed from what
# pip downloads.
SHA256 = "3f330468c29882dbbec5af25695c5e575572c6b855cb0f9fe53e14116fd46bfc"
_MAX_BYTES = 100 * 2**20  # of one library; the largest has 14 MB
_FFMPEG = re.compile(r"(lib(?:av\w+|sw\w+))-[0-9a-f]{8}(\.so\.\d+)[\d.]*")
_NEEDED = re.compile(r"lib(?:crypto|ssl|vpx|bz2)-[0-9a-f]{8}\.so[\d.]*")


def set_up(
  folder: pathlib.Path | None = None, *, wheel: pathlib.Path | None = None
) -> pathlib.Path:
  """Puts the libraries of FFmpeg 4 into a folder; does nothing if they are.

  Args:
    folder: where to; by default `ffmpeg4.default_folder`.
    wheel: a copy of the wheel, where there is no network; by default pip
      downloads it (48 MB).

  Returns:
    The folder.

  Raises:
    UsageError: this is no x86-64 Linux, the wheel cannot be had, or it is not
      the one expected.
  """
  folder = ffmpeg4.default_folder() if folder is None else folder
  if all((folder / name).is_file() for name in ffmpeg4.LIBRARIES):
    return folder
  if (sys.platform, platform.machine()) != ("linux", "x86_64"):
    raise errors.UsageError(
      f"no FFmpeg 4 to fetch for {sys.platform} on {platform.machine()}; "
      "expected Linux on x86_64. Install FFmpeg 4 on the system, or use the "
      "reader 'pyav', which needs none"
    )
  with tempfile.TemporaryDirectory() as temporary:
    if wheel is None:
      wheel = _download(pathlib.Path(temporary))
    _check(wheel)
    try:
      _place(libraries(wheel), folder)
    except OSError as error:
      raise errors.UsageError(
        f"cannot write to {str(folder)!r} ({error.strerror}); name another "
        "folder by --output_dir"
      ) from error
  return folder


def libraries(wheel: pathlib.Path) -> dict[str, bytes]:
  """Returns FFmpeg's libraries from a wheel, and those that they need.

  Args:
    wheel: whose names are only compared, never used as paths.

  Returns:
    From plain names (libavcodec.so.58) to contents that know each other by
    them.

  Raises:
    UsageError: it is no wheel with FFmpeg 4.
  """
  found, renamed = {}, {}
  try:
    with zipfile.ZipFile(wheel) as archive:
      for info in archive.infolist():
        name = info.filename.rpartition(".libs/")[2]
        match = _FFMPEG.fullmatch(name)
        if match:
          renamed[name] = match[1] + match[2]
        if (match or _NEEDED.fullmatch(name)) and info.file_size < _MAX_BYTES:
          found[name] = archive.read(info)
  except (OSError, zipfile.BadZipFile) as error:
    raise errors.UsageError(
      f"{str(wheel)!r} cannot be read ({error}); expected the wheel of {WHEEL}"
    ) from error
  if set(ffmpeg4.LIBRARIES) - set(renamed.values()):
    raise errors.UsageError(
      f"{str(wheel)!r} holds no FFmpeg 4; expected the wheel of {WHEEL}"
    )
  plain = {}
  for name, content in found.items():
    for old, new in renamed.items():
      # Same length: everything else in the file stays where it is.
      padded = new.encode().ljust(len(old), b"\0")
      content = content.replace(old.encode() + b"\0", padded + b"\0")
    plain[renamed.get(name, name)] = content
  return plain


def _download(folder: pathlib.Path) -> pathlib.Path:
  command = [sys.executable, "-m", "pip", "download", WHEEL]
  command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
  command += ["--disable-pip-version-check", "--no-input", "--quiet"]
  command += ["--implementation", "cp", "--python-version", "3.11"]
  command += ["--abi", "abi3", "--platform", "manylinux2014_x86_64"]
  done = subprocess.run(command, capture_output=True, text=True)
  wheels = list(folder.glob("*.whl"))
  if done.returncode or len(wheels) != 1:
    words = done.stderr.strip().split("\n")[-1]
    raise errors.UsageError(
      f"pip cannot download {WHEEL} ({words}); download its wheel for "
      "manylinux2014_x86_64 elsewhere and name it by --wheel"
    )
  return wheels[0]


def _check(wheel: pathlib.Path) -> None:
  try:
    with open(wheel, "rb") as file:
      sha256 = hashlib.file_digest(file, "sha256").hexdigest()
  except OSError as error:
    raise errors.UsageError(
      f"--wheel: cannot read {str(wheel)!r} ({error.strerror})"
    ) from error
  if sha256 != SHA256:
    raise errors.UsageError(
      f"{wheel.name} has the SHA-256 {sha256}; expected {SHA256}, the wheel of "
      f"{WHEEL} for x86-64 Linux"
    )


def _place(contents: dict[str, bytes], folder: pathlib.Path) -> None:
  """Writes all files, or none that `set_up` takes for complete."""
  folder.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=folder) as temporary:
    for name, content in contents.items():
      (pathlib.Path(temporary) / name).write_bytes(content)
    for name in sorted(contents, key=ffmpeg4.LIBRARIES.__contains__):
      shutil.move(os.path.join(temporary, name), folder / name)
