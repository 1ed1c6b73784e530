"""Stamps of finished nodes, written last and in one step.

FOLDER/output/       files that the node writes
FOLDER/log.txt       its terminal output
FOLDER/begun.json    digests of its inputs and seconds spent, from the start
FOLDER/stamp.json    stamp of the finished node with digests of its product
"""

import hashlib
import json
import os
import pathlib
import shutil
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.experiment import plan as plan_lib
from tf_ssl.ops import workdir

STAMP_FILE = "stamp.json"
BEGUN_FILE = "begun.json"


class Stamp(NamedTuple):
  """Record of a finished node.

  Attributes:
    key: key of the node.
    inputs: {name of an input: digest of its product}.
    digest: SHA-256 over the files of the product.
    files: {file of the product: (size in bytes, modification time in ns,
      SHA-256)}.
    seconds: run time in seconds, summed over interrupted runs.
    command: command line of the node.
    ended: end in seconds since 1970; None in stamps of earlier versions.
  """

  key: str
  inputs: dict[str, str]
  digest: str
  files: dict[str, tuple[int, int, str]]
  seconds: float
  command: str
  ended: float | None = None

  @property
  def span(self) -> tuple[float, float]:
    """Start and end in seconds since 1970, as if it had run without a break.

    Without `ended`, the end is the modification time of the newest file of its
    product, which is earlier.
    """
    end = self.ended
    if end is None:
      end = max((at for _, at, _ in self.files.values()), default=0) / 1e9
    return end - self.seconds, end


def read(node: plan_lib.Node) -> Stamp | None:
  """The node's stamp; None if it is not done.

  Raises:
    UsageError: the stamp is damaged.
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
      f"{path} is damaged ({error}); remove {node.folder} to run {node.name}"
      " again"
    ) from error


def begin(node: plan_lib.Node, inputs: Mapping[str, str]) -> float:
  """Prepares a node's folder; an output begun from other inputs is removed.

  Args:
    node: node that is about to run.
    inputs: {name of an input: digest of its product}.

  Returns:
    Seconds spent in interrupted runs from the same inputs.
  """
  before = workdir.read_json(node.folder / BEGUN_FILE) or {}
  (node.folder / STAMP_FILE).unlink(missing_ok=True)
  if before.get("inputs") != dict(inputs):
    shutil.rmtree(node.output, ignore_errors=True)
    before = {}
  spent = float(before.get("seconds", 0.0))
  note_seconds(node, inputs, spent)
  return spent


def note_seconds(
  node: plan_lib.Node, inputs: Mapping[str, str], seconds: float
) -> None:
  """Records that a node has begun, and its run time so far in seconds."""
  content = {"inputs": dict(inputs), "seconds": seconds}
  workdir.write_json(node.folder / BEGUN_FILE, content, indent=None)


def finish(
  node: plan_lib.Node, inputs: Mapping[str, str], seconds: float
) -> Stamp:
  """Writes the stamp of a node that has run.

  Args:
    node: node that has run.
    inputs: {name of an input: digest of its product}.
    seconds: run time in seconds.

  Raises:
    FileNotFoundError: a part of the product is missing.
  """
  ended = time.time()
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
    ended=ended,
  )
  workdir.write_json(node.folder / STAMP_FILE, stamp._asdict(), indent=1)
  return stamp


def check_unchanged(node: plan_lib.Node, stamp: Stamp) -> None:
  """Raises UsageError if a finished product has changed.

  A file of unchanged size and time is not read.
  """
  try:
    present = set(_product(node))
  except FileNotFoundError as error:
    raise _changed(node, f"{error.filename} is gone") from error
  for name, (size, modified, sha256) in stamp.files.items():
    path = node.output / name
    if name not in present:
      raise _changed(node, f"{path} is gone")
    status = path.stat()
    same = (status.st_size, status.st_mtime_ns) == (size, modified)
    if not same and (status.st_size != size or _sha256(path) != sha256):
      raise _changed(node, f"{path} has changed")
  added = sorted(present - set(stamp.files))
  if added:
    raise _changed(node, f"{node.output / added[0]} was added")


def _changed(node: plan_lib.Node, what: str) -> errors.UsageError:
  return errors.UsageError(
    f"the output of {node.name} has changed since it was finished: {what};"
    f" restore it, or remove {node.folder} to run {node.name} and what"
    " depends on it again"
  )


def _product(node: plan_lib.Node) -> list[str]:
  """Files of a node's product, relative to its output, sorted."""
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
