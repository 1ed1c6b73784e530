"""How far an extraction of features has come: what to go on from.

The state counts only what is on the disk already. It names all that the
features depend on, so that those of another model are never added to.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from absl import logging

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.models import image_model

SKIPPED_FILE = "features-skipped.tsv"
_STATE_FILE = "features-state.json"
_INDEX_FILE = "features-index.npy"
_LOCK_FILE = "features-lock"


def paths(folder: str, models: Sequence[image_model.ImageModel]) -> list[str]:
  """The files of the indices and of each model's features."""
  names = [re.sub(r"[^-.0-9A-Za-z]", "_", model.name) for model in models]
  return [
    os.path.join(folder, name)
    for name in [
      _INDEX_FILE,
      *(f"features-{i}-{name}.npy" for i, name in enumerate(names)),
    ]
  ]


def key_of(models, records, image_size, framing) -> dict[str, Any]:
  """What features depend on, by name, so that a change can be named."""
  return {
    "models": [
      {k: v for k, v in model.description._asdict().items() if k != "path"}
      for model in models
    ],
    "images": _digest(records),
    "image_size": image_size,
    "framing": framing,
  }


def _digest(records: records_lib.ImageRecords) -> str:
  """Hash of which images there are, in which order, with which boxes."""
  sha256 = hashlib.sha256()
  for array in [
    records.files,
    records.sizes,
    records.boxes,
    *(records.shards or ()),
  ]:
    if isinstance(array, np.ndarray):
      sha256.update(f"{array.dtype}{array.shape}".encode())
      data = array.tobytes() if array.dtype != object else b"\0".join(array)
      sha256.update(data)
    else:
      sha256.update(f"{array}".encode())
  return sha256.hexdigest()


def resume(
  folder: str, key: dict[str, Any], paths: list[str], replace_others: bool
) -> dict[str, Any]:
  """The state to go on from; a new one, with old files gone, if it differs.

  Raises:
    UsageError: it differs, and others are not to be replaced.
  """
  key = json.loads(json.dumps(key))
  try:
    with open(os.path.join(folder, _STATE_FILE), encoding="utf-8") as file:
      state = json.load(file)
    changed = [name for name in key if state["key"].get(name) != key[name]]
    if not all(os.path.exists(path) for path in paths):
      changed.append("files")
    if not changed:
      if not state["finished"]:
        logging.info("%s: going on at image %d", folder, state["done"])
      return state
  except FileNotFoundError:
    changed = []
  except (ValueError, KeyError, TypeError, AttributeError):
    changed = [f"{_STATE_FILE} (not readable)"]
  if changed and not replace_others:
    raise errors.UsageError(
      f"the features in {folder} are of something else (different: "
      f"{', '.join(changed)}); choose another folder, or replace them "
      "(overwrite)"
    )
  if changed:
    logging.warning(
      "the features in %s are of something else (different: %s): starting anew",
      folder,
      ", ".join(changed),
    )
  for name in os.listdir(folder):
    if re.fullmatch(r"features-(state\.json|skipped\.tsv|.*\.npy)", name):
      os.remove(os.path.join(folder, name))
  return {"key": key, "done": 0, "rows": 0, "finished": False}


def write(folder: str, state: dict[str, Any]) -> None:
  """Replaces the state at once: a reader sees the old one or the new one."""
  path = os.path.join(folder, _STATE_FILE)
  with open(f"{path}.new", "w", encoding="utf-8") as file:
    json.dump(state, file, indent=2)
    file.flush()
    os.fsync(file.fileno())
  os.replace(f"{path}.new", path)


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
  """Keeps other processes from the folder; the lock ends with the process."""
  with open(os.path.join(folder, _LOCK_FILE), "w") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise errors.UsageError(
        f"another process is writing to {folder}; wait for it, or choose "
        "another folder"
      ) from None
    yield
