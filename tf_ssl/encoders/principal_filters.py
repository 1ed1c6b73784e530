"""Initial filters from the principal components of what they will see.

Random filters of a deep network answer to much the same: the mean of a patch.
Here each convolution, from the first to the last, gets the leading principal
components of the patches of its input and their negatives, divided by the
standard deviation of the component (data-dependent initialization, Krähenbühl
et al., ICLR 2016, arXiv 1511.06856, and whitening). Labels are not used.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.encoders import batch_norm, convolution

_MAX_PATCHES = 20_000
# Of the mean variance, added to each variance: components that hardly vary are
# not blown up. Not tuned.
_SHRINKAGE = 0.1


def initialize(
  encoder: tf.keras.Model, images: tf.Tensor, *, seed: int = 0
) -> None:
  """Replaces the filters of all convolutions of an encoder.

  One forward pass with batch statistics: each layer sees what the layers before
  it give with their new filters. Batch norm keeps its variables.

  Args:
    encoder: encoder of this package with built variables, such as a ResNet.
    images: [B, H, W, 3] float32, normalized.
    seed: seed of the patches, and of filters beyond twice the components.

  Raises:
    UsageError: the encoder has no `convolution.Convolution`.
  """
  layers = [
    layer
    for layer in encoder.submodules
    if isinstance(layer, convolution.Convolution)
  ]
  errors.require(
    layers,
    f"initialize=principal_filters.initialize: {encoder.name} has no"
    " convolution of tf_ssl.encoders; expected resnet.resnet18, 34 or 50, or"
    " initialize=None",
  )
  random = np.random.default_rng(seed)

  def replace(layer, inputs):
    patches = _patches(inputs, layer, random)
    layer.kernel.assign(filters(patches, layer.kernel.shape, random))

  with _kept_statistics(encoder), batch_norm.working_plainly(encoder):
    for layer in layers:
      layer.before_call = replace
    try:
      encoder(images, training=True)
    finally:
      for layer in layers:
        layer.before_call = None


def filters(
  patches: np.ndarray, shape: tuple[int, int, int, int], random
) -> np.ndarray:
  """Filters from patches: the leading components, and their negatives.

  Args:
    patches: [N, size · size · C] float32.
    shape: size, size, C, C' of the filters.
    random: NumPy generator for the filters beyond twice the components; they
      are random directions of the whitened patches.

  Returns:
    [size, size, C, C'] float32, with the mean square 2 / fan-out that
    `convolution.Convolution` starts with.
  """
  patches = patches - patches.mean(axis=0)
  covariance = patches.T @ patches / len(patches)
  variances, components = np.linalg.eigh(covariance.astype(np.float64))
  variances = np.maximum(variances[::-1], 0.0)
  scale = variances + _SHRINKAGE * variances.mean() + np.finfo(np.float32).tiny
  whitening = components[:, ::-1] / np.sqrt(scale)  # [D, component]
  size, _, _, count = shape
  leading = whitening[:, : (count + 1) // 2]
  rest = max(0, count - 2 * leading.shape[1])
  directions = random.standard_normal([whitening.shape[1], rest])
  directions /= np.linalg.norm(directions, axis=0, keepdims=True)
  found = np.concatenate([leading, -leading, whitening @ directions], axis=1)
  found = found[:, :count]
  found *= np.sqrt(2.0 / (size * size * count) / np.mean(found**2))
  return found.reshape(shape).astype(np.float32)


def _patches(inputs, layer, random) -> np.ndarray:
  """[N, size · size · C], N at most `_MAX_PATCHES`, at random places."""
  size, stride = layer.kernel_size[0], layer.strides[0]
  found = tf.image.extract_patches(
    tf.cast(inputs, tf.float32),
    [1, size, size, 1],
    [1, stride, stride, 1],
    [1, 1, 1, 1],
    "VALID" if min(inputs.shape[1:3]) >= size else "SAME",
  )
  found = tf.reshape(found, [-1, found.shape[-1]])
  count = found.shape[0]
  if count > _MAX_PATCHES:
    places = random.choice(count, _MAX_PATCHES, replace=False)
    found = tf.gather(found, np.sort(places))
  return found.numpy()


@contextlib.contextmanager
def _kept_statistics(encoder) -> Iterator[None]:
  """Restores the moving averages of batch norm after a `with` block."""
  variables = encoder.non_trainable_variables
  before = [variable.numpy() for variable in variables]
  try:
    yield
  finally:
    for variable, value in zip(variables, before, strict=True):
      variable.assign(value)
