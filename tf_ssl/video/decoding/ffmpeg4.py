"""FFmpeg 4, which tensorflow-io needs: installing, finding and loading it.

If the system has a newer FFmpeg, the libraries are taken from the wheel
opencv-python-headless 4.5.5.64, which carries FFmpeg 4.4 (LGPL). Their names
contain a hash of that wheel, libavcodec-65fa80df.so.58.134.100, while
tensorflow-io asks for libavcodec.so.58. The shorter names are therefore written
over the longer ones inside the files.
"""

import ctypes
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
from tf_ssl.ops import child_process, home, workdir

# In the order in which they depend on each other.
LIBRARIES = (
  "libavutil.so.56",
  "libswresample.so.3",
  "libavcodec.so.58",
  "libavformat.so.58",
  "libswscale.so.5",
)
WHEEL = "opencv-python-headless==4.5.5.64"
# SHA-256 of the wheel for x86-64 Linux (cp36-abi3-manylinux_2_17), computed
# from the file that pip downloads.
SHA256 = "3f330468c29882dbbec5af25695c5e575572c6b855cb0f9fe53e14116fd46bfc"
_MAX_BYTES = 100 * 2**20  # Size limit of a library; the largest has 14 MB.
_FFMPEG = re.compile(r"(lib(?:av\w+|sw\w+))-[0-9a-f]{8}(\.so\.\d+)[\d.]*")
_NEEDED = re.compile(r"lib(?:crypto|ssl|vpx|bz2)-[0-9a-f]{8}\.so[\d.]*")
_FATAL = 8  # AV_LOG_FATAL; other messages are part of our errors.


def default_folder() -> pathlib.Path:
  """Returns the folder where `python -m tools.setup_ffmpeg` puts FFmpeg 4.

  $TF_SSL_FFMPEG4, or else tf_ssl/ffmpeg4 in the user's cache folder.
  """
  if os.environ.get("TF_SSL_FFMPEG4"):
    return pathlib.Path(os.environ["TF_SSL_FFMPEG4"])
  return home.cache_home() / "tf_ssl" / "ffmpeg4"


def is_available() -> bool:
  """Returns whether FFmpeg 4 is in `default_folder` or on the system.

  The system's libraries are loaded to find out: only the loader knows its
  search path.
  """
  if _is_set_up(default_folder()):
    return True
  try:
    for name in LIBRARIES:
      ctypes.CDLL(name)
  except OSError:
    return False
  return True


def load(folder: pathlib.Path | None = None) -> None:
  """Loads FFmpeg 4 into this process, so that tensorflow-io finds it.

  The dynamic loader reuses a library that is already loaded under the same
  SONAME. No search path is changed and no symbol made global, so that another
  FFmpeg in this process, such as PyAV's, is not affected.

  Args:
    folder: folder with the libraries; `default_folder` by default. Without
      libraries there, those of the system are loaded.

  Raises:
    UsageError: FFmpeg 4 is not found or does not load.
  """
  folder = default_folder() if folder is None else folder
  try:
    if _is_set_up(folder):
      paths = sorted(path for path in folder.iterdir() if ".so" in path.name)
      _load_each([path for path in paths if path.name not in LIBRARIES])
      loaded = [ctypes.CDLL(str(folder / name)) for name in LIBRARIES]
    else:
      loaded = [ctypes.CDLL(name) for name in LIBRARIES]
  except OSError as error:
    raise errors.UsageError(
      f"reader 'tfio': tensorflow-io needs FFmpeg 4 ({LIBRARIES[2]}), which "
      f"does not load ({error}); run `python -m tools.setup_ffmpeg`, or use "
      "reader 'pyav'"
    ) from error
  loaded[0].av_log_set_level(_FATAL)


def use_vector_instructions(allowed: bool) -> None:
  """Enables or disables FFmpeg 4's vector code in this process.

  The vectorized conversion to RGB writes past the end of a picture whose width
  is not a multiple of 16, into memory that tensorflow-io does not own. The
  scalar code does not.
  """
  folder, name = default_folder(), LIBRARIES[0]
  library = ctypes.CDLL(str(folder / name) if _is_set_up(folder) else name)
  library.av_force_cpu_flags(-1 if allowed else 0)  # -1: all of this CPU


def set_up(
  folder: pathlib.Path | None = None, *, wheel: pathlib.Path | None = None
) -> pathlib.Path:
  """Installs the libraries of FFmpeg 4 in a folder, unless they are there.

  Args:
    folder: folder to write; `default_folder` by default.
    wheel: path of a copy of the wheel, for machines without a network; by
      default pip downloads it (48 MB).

  Returns:
    The folder.

  Raises:
    UsageError: the machine is not x86-64 Linux, the wheel cannot be downloaded
      or is not the expected one, or the folder cannot be written.
  """
  folder = default_folder() if folder is None else folder
  if _is_set_up(folder):
    return folder
  if (sys.platform, platform.machine()) != ("linux", "x86_64"):
    raise errors.UsageError(
      f"no FFmpeg 4 for {sys.platform} on {platform.machine()}; expected Linux"
      " on x86_64. Install FFmpeg 4 on the system, or use the reader 'pyav',"
      " which needs none"
    )
  with tempfile.TemporaryDirectory() as temporary:
    if wheel is None:
      wheel = _download(pathlib.Path(temporary))
    _check(wheel)
    with workdir.writable(folder, "--output_dir"):
      _place(libraries(wheel), folder)
  return folder


def libraries(wheel: pathlib.Path) -> dict[str, bytes]:
  """Extracts FFmpeg's libraries, and those that they need, from a wheel.

  Args:
    wheel: path of the wheel; the file names in it are never used as paths.

  Returns:
    Contents of the libraries by plain name (libavcodec.so.58); they refer to
    each other by these names.

  Raises:
    UsageError: the file is not a wheel with FFmpeg 4.
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
  if set(LIBRARIES) - set(renamed.values()):
    raise errors.UsageError(
      f"{str(wheel)!r} contains no FFmpeg 4; expected the wheel of {WHEEL}"
    )
  plain = {}
  for name, content in found.items():
    for old, new in renamed.items():
      # Padded to the old length: all other offsets in the file stay valid.
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
  done = subprocess.run(command, capture_output=True)
  wheels = list(folder.glob("*.whl"))
  if done.returncode or len(wheels) != 1:
    raise errors.UsageError(
      f"pip cannot download {WHEEL} ({child_process.last_line(done.stderr)});"
      " download its wheel for manylinux2014_x86_64 elsewhere and pass its path"
      " as --wheel"
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
  errors.require(
    sha256 == SHA256,
    f"{wheel.name} has the SHA-256 {sha256}; expected {SHA256}, the wheel of "
    f"{WHEEL} for x86-64 Linux",
  )


def _place(contents: dict[str, bytes], folder: pathlib.Path) -> None:
  """Writes all files, those of `LIBRARIES` last: they mark completion."""
  folder.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=folder) as temporary:
    for name, content in contents.items():
      (pathlib.Path(temporary) / name).write_bytes(content)
    for name in sorted(contents, key=LIBRARIES.__contains__):
      shutil.move(os.path.join(temporary, name), folder / name)


def _load_each(paths: list[pathlib.Path]) -> None:
  """Loads libraries that depend on one another in an unknown order."""
  while paths:
    waiting, problem = [], None
    for path in paths:
      try:
        ctypes.CDLL(str(path))
      except OSError as error:
        waiting.append(path)
        problem = error
    if len(waiting) == len(paths):
      raise problem
    paths = waiting


def _is_set_up(folder: pathlib.Path) -> bool:
  return all((folder / name).is_file() for name in LIBRARIES)
