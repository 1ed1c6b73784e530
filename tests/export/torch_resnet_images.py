"""Images for tests of weights, with PyTorch or without."""

import numpy as np


def random_images(count=2, height=33, width=40):
  """uint8 [B, H, W, 3]."""
  rng = np.random.default_rng(5)
  return rng.integers(0, 256, [count, height, width, 3], np.uint8)
