"""The images that the compared models learned from, to look for copies."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib

_FLAG = "--pretraining_images"
_NOT_CHECKED = "not checked: copies of test images in"


class Pretraining(NamedTuple):
  """Images of pretraining, as far as they are known and there.

  Attributes:
    images: {whose images, such as "a and b's pretraining": images}.
    not_checked: sentences about models whose images are not among them.
  """

  images: dict[str, records_lib.ImageRecords]
  not_checked: list[str]


UNKNOWN = Pretraining(
  {},
  [
    f"{_NOT_CHECKED} the images of pretraining, which are unknown; give {_FLAG}"
  ],
)


def open_all(
  given: str | None, recorded: Mapping[str, str | None]
) -> Pretraining:
  """Opens the images that are given, or else those of each run, once.

  Args:
    given: image source for all models; None for those of their runs.
    recorded: {name of a model: image source of its run; None if unknown}.

  Raises:
    UsageError: the given images cannot be opened.
  """
  if given:
    images = open_images.open_images(given, named_by=_FLAG)
    return Pretraining({"pretraining": images}, [])
  models: dict[str, list[str]] = {}
  sources: dict[str, str] = {}
  for name, source in recorded.items():
    if source:
      place = os.path.realpath(os.path.expanduser(source))
      sources.setdefault(place, source)
      models.setdefault(place, []).append(name)
  found = Pretraining({}, [])
  for place, source in sources.items():
    whose = f"{' and '.join(models[place])}'s pretraining"
    try:
      found.images[whose] = open_images.open_images(source, named_by=_FLAG)
    except errors.UsageError as error:
      found.not_checked.append(f"{_NOT_CHECKED} {whose} images: {error}")
  unknown = [name for name, source in recorded.items() if not source]
  if unknown:
    found.not_checked.append(
      f"{_NOT_CHECKED} {' and '.join(unknown)}'s pretraining images, which are"
      f" unknown; give {_FLAG}"
    )
  return found
