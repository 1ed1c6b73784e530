"""FFmpeg 4, which tensorflow-io needs: where it is, and loading it."""

import ctypes
import os
import pathlib

from tf_ssl import errors

# In the order in which they depend on each other.
LIBRARIES = (
  "libavutil.so.56",
  "libswresample.so.3",
  "libavcodec.so.58",
  "libavformat.so.58",
  "libswscale.so.5",
)
_FATAL = 8  # AV_LOG_FATAL: what else it has to say is in our errors.


def default_folder() -> pathlib.Path:
  """Returns where `python -m tools.setup_ffmpeg` puts FFmpeg 4.

  $TF_SSL_FFMPEG4, or tf_ssl/ffmpeg4 in the user's folder for caches.
  """
  if os.environ.get("TF_SSL_FFMPEG4"):
    return pathlib.Path(os.environ["TF_SSL_FFMPEG4"])
  cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
  return pathlib.Path(cache) / "tf_ssl" / "ffmpeg4"


def is_available() -> bool:
  """Whether FFmpeg 4 is in `default_folder` or on the system.

  The system's is looked for by loading it: only the loader knows its places.
  """
  return _is_set_up(default_folder()) or _is_on_system()


def load(folder: pathlib.Path | None = None) -> None:
  """Loads FFmpeg 4 into this process, so that tensorflow-io finds it.

  The dynamic loader takes a library that is already loaded under the same
  SONAME; no search path is changed, and no symbol made global, so that another
  FFmpeg in this process (PyAV brings its own) is not disturbed.

  Args:
    folder: where it was set up; by default `default_folder`. The system's is
      taken where there is none.

  Raises:
    UsageError: it is nowhere, or does not load.
  """
  folder = default_folder() if folder is None else folder
  try:
    if _is_set_up(folder):
      waiting = sorted(path for path in folder.iterdir() if ".so" in path.name)
      own = [path for path in waiting if path.name not in LIBRARIES]
      _load_each(own)
      loaded = [ctypes.CDLL(str(folder / name)) for name in LIBRARIES]
    else:
      loaded = [ctypes.CDLL(name) for name in LIBRARIES]
  except OSError as error:
    raise errors.UsageError(
      f"reader 'tfio': tensorflow-io needs FFmpeg 4 ({LIBRARIES[2]}), which "
      f"does not load ({error}); run `python -m tools.setup_ffmpeg`, or take "
      "reader 'pyav'"
    ) from error
  loaded[0].av_log_set_level(_FATAL)


def use_vector_instructions(allowed: bool) -> None:
  """Chooses the code that FFmpeg 4 runs in this process from now on.

  Its conversion to RGB writes whole vectors, past the end of a picture whose
  width is no multiple of 16, into memory that is not tensorflow-io's. The code
  without vector instructions does not.
  """
  flags = -1 if allowed else 0  # -1: what the processor has
  ctypes.CDLL(_loaded_name()).av_force_cpu_flags(flags)


def _loaded_name() -> str:
  folder = default_folder()
  name = LIBRARIES[0]
  return str(folder / name) if _is_set_up(folder) else name


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


def _is_on_system() -> bool:
  try:
    for name in LIBRARIES:
      ctypes.CDLL(name)
  except OSError:
    return False
  return True
