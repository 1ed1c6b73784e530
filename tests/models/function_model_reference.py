"""A model that is a NumPy function, for tests of what measures models."""

from collections.abc import Callable

import numpy as np

from tf_ssl.models import image_model, reader


def of(
  name: str, function: Callable[[np.ndarray], np.ndarray], side: int
) -> image_model.ImageModel:
  """Makes a model of a function: [B, side, side, 3] 0..255 -> [B, D]."""
  described = reader.Reader(
    kind="function",
    run=function,
    layer="all",
    layer_chosen="the only one",
    digest=name,
    preprocessing="0..255",
    image_size=(side, side),
    is_numpy=True,
  )
  return image_model.ImageModel(name, described)
