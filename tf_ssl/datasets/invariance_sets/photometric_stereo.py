"""Photometric stereo: static objects under lights of known direction.

lights.txt             number of lights; then x y z of each, z to the camera
NAME/NAME.J.png        object NAME under light J, from 0
NAME/NAME.mask.png     not used
"""

import os
import re

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import missing
from tf_ssl.datasets.invariance_sets import invariance_sets

IMAGE_SIZE = 128  # The size of ALOI's illumination direction.
_LIGHTS = "lights.txt"
_URL = (
  "http://courses.cs.washington.edu/courses/cse455/04wi/projects/project3/"
  "psmImages.zip"
)


def illumination_direction(root: str) -> invariance_sets.InvarianceSets:
  """Each object, which is both set and class, lit from all sides.

  Args:
    root: folder that holds lights.txt and one folder per object.

  Returns:
    The sets; the factor is the angle in degrees between the light and the mean
    direction of all lights; its targets are the light's unit vector.

  Raises:
    UsageError: there are no such images (says where to get some), lights.txt
      cannot be read, or an image has a light that it does not list.
  """
  images = invariance_sets.Collector(os.path.expanduser(root))
  lights = _lights(os.path.join(images.root, _LIGHTS))
  mean = lights.mean(axis=0)
  mean /= max(np.linalg.norm(mean), 1e-12)
  angles = np.degrees(np.arccos(np.clip(lights @ mean, -1, 1)))
  for name in missing.list_folder(images.root):
    pattern = re.compile(re.escape(name) + r"\.(\d{1,6})\.png")
    files = missing.list_folder(os.path.join(images.root, name))
    matches = [match for match in map(pattern.fullmatch, files) if match]
    for match in sorted(matches, key=lambda match: int(match[1])):
      light = int(match[1])
      if light >= len(angles):
        raise errors.UsageError(
          f"photometric stereo: {match[0]} shows light {light}, but {_LIGHTS}"
          f" in {images.root!r} lists {len(angles)} lights, from 0; fix that"
          " file"
        )
      images.add(
        f"{name}/{match[0]}",
        set_name=name,
        class_name=name,
        value=float(angles[light]),
        target=tuple(lights[light].tolist()),
      )
  return images.build(
    source="photometric stereo",
    invariance="illumination_direction",
    image_size=IMAGE_SIZE,
    factor=("angle from the mean light", "degrees", None),
    expected=_expected(),
  )


def _lights(file: str) -> np.ndarray:
  """[L, 3]: unit vector toward each light."""
  try:
    with open(file, encoding="utf-8", errors="replace") as stream:
      words = stream.read().split()
  except FileNotFoundError as error:
    raise missing.no_images(
      "photometric stereo", os.path.dirname(file), _expected()
    ) from error
  except OSError as error:
    raise errors.UsageError(
      f"photometric stereo: cannot read {file!r} ({error.strerror})"
    ) from error
  try:
    lights = np.array(words[1:], np.float64).reshape(-1, 3)
    valid = len(lights) == int(words[0]) > 0
  except (ValueError, IndexError):
    valid = False
  with np.errstate(all="ignore"):
    length = np.linalg.norm(lights, axis=1, keepdims=True) if valid else 0
    valid = valid and bool(np.isfinite(length).all() and (length > 0).all())
  if not valid:
    raise errors.UsageError(
      f"photometric stereo: {file!r} is no list of lights; expected their"
      " number L, then L lines of three finite numbers x y z, not all 0"
    )
  return lights / length


def _expected() -> str:
  return (
    f"{_LIGHTS} and NAME/NAME.0.png, ... for each object NAME. {_URL} has five"
    " objects under 12 lights, 60 images of 512x340 px as TGA: save them as PNG"
    " (6 MB); or change PHOTOMETRIC_STEREO"
  )
