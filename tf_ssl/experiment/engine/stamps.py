"""What says that a node is done: a stamp beside its output, written last.

    FOLDER/output/       what the node writes
    FOLDER/log.txt       what it printed
    FOLDER/begun.json    what it read; there from the moment that it began
    FOLDER/stamp.json    that it is done, and what its product was then

The engine's own record would be lost in a kill -9; this one is a single rename.
"""

import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.experiment.engine import durations
from tf_ssl.ops import workdir

STAMP_FILE = "stamp.json"
BEGUN_FILE = "begun.json"


class Stamp(NamedTuple):
  """That a node is done.

  Attributes:
    key: of the node.
    inputs: from the nodes that it read to the digests of their products.
    digest: of its own product.
    files: from each file of the product to its size, time of change in ns, and
      SHA-256.
    seconds: that it took, all runs of it together.
    command: with which it was made.
  """

  key: str
  inputs: dict[str, str]
  digest: str
  files: dict[str, tuple[int, int, str]]
  seconds: float
  command: str

  @property
  def span(self) -> durations.Span:
    """From when to when it ran, as if in one go.

    It ended when the newest file of its product was written.
    """
    end = max((time for _, time, _ in self.files.values()), default=0) / 1e9
    return end - self.seconds, end


def read(node: plan_lib.Node) -> Stamp | None:
  """The node's stamp; None where it is not done.

  Raises:
    UsageError: the stamp is no such file.
  """
  path = node.folder / STAMP_FILE
  try:
    content = json.loads(path.read_text(encoding="utf-8"))
    stamp = Stamp(**content)
    if stamp.key != node.key:
      raise ValueError("another key")
    return stamp
  except FileNotFoundError:
    return None
  except (OSError, ValueError, TypeError) as error:
    raise errors.UsageError(
      f"{path} is not what was written there ({error}); remove {node.folder} to"
      f" run {node.name} anew"
    ) from error


def begin(node: plan_lib.Node, inputs: Mapping[str, str]) -> float:
  """Makes the node's folder; what was begun from other inputs is removed.

  Args:
    node: that is about to run.
    inputs: from the nodes that it reads to the digests of their products.

  Returns:
    Seconds that earlier, unfinished runs of it took.
  """
  path = node.folder / BEGUN_FILE
  before: Any = {}
  try:
    before = json.loads(path.read_text(encoding="utf-8"))
  except (OSError, ValueError):
    pass
  (node.folder / STAMP_FILE).unlink(missing_ok=True)
  if before.get("inputs") != dict(inputs):
    shutil.rmtree(node.output, ignore_errors=True)
    before = {}
  node.folder.mkdir(parents=True, exist_ok=True)
  spent = float(before.get("seconds", 0.0))
  note_seconds(node, inputs, spent)
  return spent


def note_seconds(
  node: plan_lib.Node, inputs: Mapping[str, str], seconds: float
) -> None:
  """Notes that a node has begun, and how long it has run."""
  content = {"inputs": dict(inputs), "seconds": seconds}
  workdir.write_text(node.folder / BEGUN_FILE, json.dumps(content) + "\n")


def finish(
  node: plan_lib.Node, inputs: Mapping[str, str], seconds: float
) -> Stamp:
  """Writes the stamp.

  Args:
    node: that has run.
    inputs: as of `begin`.
    seconds: that it took.

  Raises:
    FileNotFoundError: the product is not there.
  """
  for name in node.definition.scratch:
    shutil.rmtree(node.output / name, ignore_errors=True)
  found = {}
  for name in _product(node):
    path = node.output / name
    status = path.stat()
    found[name] = (status.st_size, status.st_mtime_ns, _sha256(path))
  stamp = Stamp(
    key=node.key,
    inputs=dict(inputs),
    digest=_digest(found),
    files=found,
    seconds=seconds,
    command=node.shown_command,
  )
  content = json.dumps(stamp._asdict(), indent=1)
  workdir.write_text(node.folder / STAMP_FILE, content + "\n")
  return stamp


def check_unchanged(node: plan_lib.Node, stamp: Stamp) -> None:
  """Raises UsageError where a finished product is not what it was.

  A file whose size and time are as noted is not read.
  """
  try:
    present = set(_product(node))
  except FileNotFoundError as error:
    raise _changed(node, f"{error.filename} is gone") from error
  for name, (size, time, sha256) in stamp.files.items():
    path = node.output / name
    if name not in present:
      raise _changed(node, f"{path} is gone")
    status = path.stat()
    same = (status.st_size, status.st_mtime_ns) == (size, time)
    if not same and (status.st_size != size or _sha256(path) != sha256):
      raise _changed(node, f"{path} has changed")
  added = sorted(present - set(stamp.files))
  if added:
    raise _changed(node, f"{node.output / added[0]} was added")


def _changed(node: plan_lib.Node, what: str) -> errors.UsageError:
  return errors.UsageError(
    f"the output of {node.name} is not what it was when it was finished:"
    f" {what}. Bring it back, or remove {node.folder} to run {node.name}, and"
    " what depends on it, anew"
  )


def _product(node: plan_lib.Node) -> list[str]:
  """The files of a node's product, relative to its output, in order."""
  names: set[str] = set()
  for part in node.definition.product:
    place = node.output / part
    if place.is_dir():
      names.update(_below(place, node.output))
    elif place.is_file():
      names.add(part)
    else:
      raise FileNotFoundError(2, "no such file or folder", str(place))
  return sorted(names)


def _below(folder: pathlib.Path, root: pathlib.Path) -> Iterable[str]:
  for parent, _, names in os.walk(folder):
    for name in names:
      yield os.path.relpath(os.path.join(parent, name), root)


def _sha256(path: pathlib.Path) -> str:
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(found: Mapping[str, tuple[int, int, str]]) -> str:
  lines = [f"{sha256} {name}\n" for name, (_, _, sha256) in found.items()]
  return hashlib.sha256("".join(lines).encode("utf-8", "replace")).hexdigest()
