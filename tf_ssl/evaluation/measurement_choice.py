"""Settings of a measurement as a command line gives them."""

import dataclasses
import os
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.datasets import sets_manifest
from tf_ssl.evaluation import measurement


def choose(
  configured: Callable[[], measurement.Measurement],
  *,
  manifest: str | None = None,
  is_configured: bool = False,
  top_k: str | None = None,
  **changes,
) -> measurement.Measurement:
  """The settings of a config or of a manifest, with what flags change.

  Args:
    configured: makes the settings that the config says; its sets may be
      rendered or listed then. Not called where there is a manifest.
    manifest: a CSV file of sets, see `sets_manifest`; its name without suffix
      stands for the invariance.
    is_configured: whether the user gave a config, too.
    top_k: numbers of units as text, "10,25".
    **changes: of `measurement.Measurement`; 0 and None change nothing.

  Raises:
    UsageError: a config and a manifest; as `sets_manifest.read`; or values out
      of range.
  """
  changes = {name: value for name, value in changes.items() if value}
  if top_k is not None:
    changes["top_k"] = _numbers(top_k)
  if manifest is None:
    return dataclasses.replace(configured(), **changes)
  if is_configured:
    raise errors.UsageError(
      "--manifest and --gin_file (or --gin_bindings) both say what the sets "
      "are; give one of them"
    )
  stem = os.path.splitext(os.path.basename(manifest))[0]
  sets = sets_manifest.read(manifest, invariance=stem or "sets")
  return measurement.Measurement(sets=[sets], **changes)


def _numbers(text: str) -> Sequence[int]:
  words = [word.strip() for word in text.split(",")]
  if not all(word.isdecimal() and int(word) for word in words):
    raise errors.UsageError(
      f"top_k={text!r}: expected numbers of units, such as 10,25"
    )
  return tuple(sorted({int(word) for word in words}))
