"""Errors for datasets that are missing, and listing of folders that may be."""

import os
from collections.abc import Iterable, Mapping

from tf_ssl import errors


def no_images(
  source: str,
  folder: str,
  expected: str,
  skipped: Mapping[str, Iterable[str]] | None = None,
) -> errors.UsageError:
  """Returns the error for a dataset without a usable image.

  Args:
    source: name of the dataset.
    folder: folder that was searched.
    expected: files that it should hold, where to get them, and the setting to
      change.
    skipped: names of the skipped inputs, by reason.
  """
  return errors.UsageError(
    f"{source}: no images in {folder!r}{summary(skipped or {})}; expected"
    f" {expected}"
  )


def summary(skipped: Mapping[str, Iterable[str]]) -> str:
  """Returns " (N skipped: REASON, such as NAME)" for each reason."""
  return "".join(
    f" ({len(names)} skipped: {reason}, such as {names[0]!r})"
    for reason, names in ((r, list(n)) for r, n in skipped.items())
  )


def list_folder(folder: str) -> list[str]:
  """Returns the sorted names in a folder; none if there is no such folder.

  Raises:
    UsageError: the folder cannot be read.
  """
  try:
    return sorted(os.listdir(folder))
  except (FileNotFoundError, NotADirectoryError):
    return []
  except OSError as error:
    raise errors.UsageError(
      f"images: cannot list {folder!r} ({error.strerror}); expected a folder"
      " that can be read"
    ) from error
