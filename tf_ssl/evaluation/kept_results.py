"""Parts of a measurement that are done: what a stopped call goes on from."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.ops import workdir

_KEY_FILE = "depends-on.json"


class KeptResults:
  """A folder with a JSON file for each part, and what they all depend on.

  Attributes:
    folder: is there.
  """

  def __init__(
    self, folder: str, key: Mapping[str, Any], say: Callable[[str], None]
  ):
    """Takes up what is there, or starts anew where it is of something else.

    Args:
      folder: of this measurement alone; made if it is not there.
      key: all that the results depend on, by name; JSON values.
      say: told what has changed since.

    Raises:
      UsageError: the folder cannot be written, or holds other things.
    """
    self.folder = folder
    key = json.loads(json.dumps(key))
    path = os.path.join(folder, _KEY_FILE)
    try:
      before = _read(path)
      if before is not None and before != key:
        changed = [n for n in key if before.get(n) != key[n]] or ["settings"]
        say(
          f"{folder} is of something else (different: {', '.join(changed)}): "
          "starting anew"
        )
        shutil.rmtree(folder)
      elif before is None and os.path.isdir(folder) and os.listdir(folder):
        raise errors.UsageError(
          f"{folder} holds files that this measurement did not write; choose "
          "another output_dir"
        )
      os.makedirs(folder, exist_ok=True)
      workdir.write_text(path, json.dumps(key, indent=2))
    except OSError as error:
      raise _unwritable(folder, error) from error

  @contextlib.contextmanager
  def locked(self) -> Iterator[None]:
    """Keeps other processes from the same measurement.

    Raises:
      UsageError: another one is at it.
    """
    with workdir.locked(self.folder, "output_dir"):
      yield

  def get(self, name: str) -> Any:
    """The result of a part; None if it is not done."""
    return _read(self._file(name))

  def put(self, name: str, result: Any) -> None:
    """Keeps a part's result, JSON values, and drops what it was made from."""
    try:
      workdir.write_text(self._file(name), json.dumps(result))
    except OSError as error:
      raise _unwritable(self.folder, error) from error
    shutil.rmtree(self.working(name), ignore_errors=True)

  def working(self, name: str) -> str:
    """The folder for what a part needs while it is not done."""
    return os.path.join(self.folder, f"{name}-working")

  def each_seed(
    self,
    seeds: Sequence[int],
    prepare: Callable[[], Any],
    *,
    title: str,
  ) -> Iterator[tuple[int, Any, str]]:
    """The result of each seed, measured where it is not done yet.

    Args:
      seeds: of the repetitions.
      prepare: called once, and only if something is to be measured; gives what
        has `run(seed, *, folder, stem, title)`, which returns the result and
        writes its picture to `stem` with ".png".
      title: for progress bars.

    Yields:
      The seed, the result, the path of the picture.
    """
    runs = None
    for seed in seeds:
      part = f"seed-{seed}"
      stem = os.path.join(self.folder, part)
      result = self.get(part)
      if result is None:
        runs = runs or prepare()
        result = runs.run(
          seed,
          folder=self.working(part),
          stem=stem,
          title=f"{title}, seed {seed}",
        )
        self.put(part, result)
      yield seed, result, f"{stem}.png"

  def _file(self, name: str) -> str:
    return os.path.join(self.folder, f"{name}.json")


def _read(path: str) -> Any:
  try:
    with open(path, encoding="utf-8") as file:
      return json.load(file)
  except FileNotFoundError:
    return None
  except ValueError:  # damaged: as if it were not there
    return None


def _unwritable(folder: str, error: OSError) -> errors.UsageError:
  return errors.UsageError(
    f"results cannot be kept in {folder}: {error.strerror or error}; choose an "
    "output_dir on a disk with room that you may write to"
  )
