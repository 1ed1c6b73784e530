"""Settings of a measurement as a command line gives them."""

import dataclasses
import os
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import sets_manifest
from tf_ssl.invariance import measurement


def without_sets(
  configured: Callable[..., measurement.Measurement],
  *,
  manifest: str | None = None,
  has_config: bool = False,
  top_k: str | None = None,
  **changes,
) -> measurement.Measurement:
  """Checks settings at once, before models are loaded and sets are made.

  Args:
    configured: makes the settings that the config says, but for what it is
      given. Its sets, unless given, may be rendered or listed then.
    manifest: a CSV file of sets, see `sets_manifest`; its name without suffix
      stands for the invariance.
    has_config: whether the user chose a config, too.
    top_k: numbers of units as text, "10,25".
    **changes: of `measurement.Measurement`; 0 and None change nothing.

  Returns:
    The settings; instead of sets there is something that is none.

  Raises:
    UsageError: a config and a manifest, no such manifest, or values out of
      range.
  """
  if manifest is not None and has_config:
    raise errors.UsageError(
      "--manifest and --gin_file both say what the sets are; give one of them"
    )
  if manifest is not None and not os.path.isfile(manifest):
    raise errors.UsageError(
      f"--manifest={manifest}: no such file; expected a CSV file of sets"
    )
  return dataclasses.replace(
    configured(sets=("not made yet",)), **_given(top_k, changes)
  )


def choose(
  configured: Callable[..., measurement.Measurement],
  *,
  manifest: str | None = None,
  has_config: bool = False,
  top_k: str | None = None,
  **changes,
) -> measurement.Measurement:
  """The settings of a config or of a manifest, with what flags change.

  Arguments and errors are those of `without_sets`; besides, a UsageError where
  the sets cannot be made or read.
  """
  without_sets(
    configured, manifest=manifest, has_config=has_config, top_k=top_k, **changes
  )
  if manifest is None:
    made = configured()
  else:
    stem = os.path.splitext(os.path.basename(manifest))[0]
    sets = sets_manifest.read(manifest, invariance=stem or "sets")
    made = configured(sets=[sets])
  return dataclasses.replace(made, **_given(top_k, changes))


def _given(top_k: str | None, changes: dict) -> dict:
  """What flags change."""
  given = {name: value for name, value in changes.items() if value}
  if top_k is not None:
    given["top_k"] = _numbers(top_k)
  return given


def _numbers(text: str) -> Sequence[int]:
  words = [word.strip() for word in text.split(",")]
  if not all(word.isdecimal() and int(word) for word in words):
    raise errors.UsageError(
      f"top_k={text!r}: expected numbers of units, such as 10,25"
    )
  return tuple(sorted({int(word) for word in words}))
