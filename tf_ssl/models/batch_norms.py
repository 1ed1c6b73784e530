"""What a network's batch-norm layers remember of the images of its training."""

import collections
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

# The first layer's input is linear in the pixels: noise with the spectrum of
# photos gives it the moments of photos. Later layers also see their shapes.
NUM_LAYERS = 1
_SIZE = 64  # px; any that networks run on
_CHUNK = 16  # Images at once: maps before the first pooling are large.
_FUSED = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_SUMS = ("Add", "AddV2")


class Moments(NamedTuple):
  """Statistics of the channels of a layer's input.

  Attributes:
    mean: [C] float64.
    variance: [C] float64.
  """

  mean: np.ndarray
  variance: np.ndarray


class BatchNorms(NamedTuple):
  """The first batch-norm layers of a network, at most `NUM_LAYERS`.

  Attributes:
    remembered: moving averages of training, one entry for each layer.
    measure: preprocessed images [B, H, W, 3] float32, NumPy -> moments of the
      same layers' inputs over the images and positions.
    batch_size: number of images that `measure` requires; None for any.
  """

  remembered: Sequence[Moments]
  measure: Callable[[np.ndarray], Sequence[Moments]]
  batch_size: int | None = None


def misfit(norms: BatchNorms, images: np.ndarray) -> float:
  """Distance between images and those that a network was trained on.

  For each channel, (m - mu)^2 / v + (s / sqrt(v) - 1)^2, with m and s the mean
  and standard deviation of the layer's input, and mu and v the moving averages
  of mean and variance. The median over channels, and the mean over layers.

  Args:
    norms: layers of the network.
    images: preprocessed images [N, H, W, 3] float32, at least a batch.

  Returns:
    The distance, from 0 (images as in training) to infinity.
  """
  step = norms.batch_size or min(_CHUNK, len(images))
  chunks = [  # Without the last images that do not fill a batch.
    norms.measure(images[start : start + step])
    for start in range(0, len(images) - step + 1, step)
  ]
  distances = []
  for layer, (mean, variance) in enumerate(norms.remembered):
    with np.errstate(all="ignore"):  # A wrong preprocessing may overflow.
      m = np.mean([chunk[layer].mean for chunk in chunks], axis=0)
      square = np.mean(
        [chunk[layer].variance + chunk[layer].mean ** 2 for chunk in chunks],
        axis=0,
      )
      s = np.sqrt(np.maximum(square - m**2, 0))
      alive = variance > 0  # A dead channel says nothing.
      distance = (m - mean) ** 2 / variance + (s / np.sqrt(variance) - 1) ** 2
    distances.append(np.median(np.nan_to_num(distance[alive], nan=np.inf)))
  return float(np.mean(distances))


def moments(maps: np.ndarray, *, axis: int) -> Moments:
  """Moments of the channels of maps, or of any array.

  Args:
    maps: output of a layer.
    axis: axis of the channels.
  """
  rows = np.moveaxis(maps, axis, -1).reshape(-1, maps.shape[axis])
  return Moments(rows.mean(0, np.float64), rows.var(0, np.float64))


def are_trained(remembered: Sequence[Moments]) -> bool:
  """Whether a layer's averages are not those that it starts with, 0 and 1."""
  return any(
    (mean != 0).any() or (variance != 1).any() for mean, variance in remembered
  )


def of_function(
  run: Callable[[tf.Tensor], tf.Tensor],
  *,
  batch_size: int | None,
  image_size: tuple[int, int] | None,
) -> BatchNorms | None:
  """Finds the batch-norm layers in the graph of a function.

  They are operations of batch norm with moving averages, or the same written as
  products and sums (`tf.nn.batch_normalization`, Keras 3).

  Args:
    run: preprocessed images [B, H, W, 3] float32 -> features.
    batch_size: number of images that it requires; None for any.
    image_size: height and width that it requires; None for any.

  Returns:
    The layers; None without any, as when an export has folded them into
    convolutions.

  Raises:
    Exception: TensorFlow cannot make the graph free of variables and functions;
      it raises many types.
  """
  spec = tf.TensorSpec([batch_size, *(image_size or (None, None)), 3])
  frozen = convert_to_constants.convert_variables_to_constants_v2(
    tf.function(run).get_concrete_function(spec), lower_control_flow=False
  )
  [images] = frozen.inputs
  layers = list(_layers(frozen.graph, images))[:NUM_LAYERS]
  if not layers:
    return None
  with frozen.graph.as_default():
    given = [tf.nn.moments(layer.given, layer.axes) for layer in layers]
  measured = frozen.prune([images], given)
  # The averages depend on the images in the order of execution only.
  remembered = frozen.prune(
    [images], [(layer.mean, layer.variance) for layer in layers]
  )(tf.zeros([batch_size or 1, *(image_size or (_SIZE, _SIZE)), 3]))

  def measure(pixels: np.ndarray) -> list[Moments]:
    return list(map(_as_moments, measured(tf.constant(pixels, tf.float32))))

  return BatchNorms(list(map(_as_moments, remembered)), measure, batch_size)


def _as_moments(pair: Sequence[tf.Tensor]) -> Moments:
  mean, variance = (np.asarray(tensor, np.float64).ravel() for tensor in pair)
  return Moments(mean, variance)


class _Layer(NamedTuple):
  """Tensors of a batch-norm layer in a graph.

  Attributes:
    given: input of the layer, of any rank.
    mean: moving average of the mean, [C].
    variance: moving average of the variance, [C].
    axes: axes of `given` other than the channels.
  """

  given: tf.Tensor
  mean: tf.Tensor
  variance: tf.Tensor
  axes: list[int]


def _layers(graph: tf.Graph, images: tf.Tensor) -> Iterator[_Layer]:
  """The layers of a graph without functions, from the images on."""
  depths = _depths(images)
  found = []
  for operation in graph.get_operations():
    layer = None
    if operation.type in _FUSED and not operation.get_attr("is_training"):
      layer = _fused(operation)
    elif operation.type == "Rsqrt" and operation not in depths:
      layer = _unfused(operation, depths)
    if layer is not None and layer.given.op in depths:
      found.append(layer)
  yield from sorted(found, key=lambda layer: depths[layer.given.op])


def _depths(images: tf.Tensor) -> dict[tf.Operation, int]:
  """Shortest path from the images to each operation that depends on them."""
  depths = {images.op: 0}
  waiting = collections.deque(depths)
  while waiting:
    operation = waiting.popleft()
    for tensor in operation.outputs:
      for reader in tensor.consumers():
        if reader not in depths:
          depths[reader] = depths[operation] + 1
          waiting.append(reader)
  return depths


def _fused(operation: tf.Operation) -> _Layer:
  given, _, _, mean, variance = operation.inputs
  channels_first = operation.get_attr("data_format") == b"NCHW"
  return _Layer(
    given, mean, variance, [0, 2, 3] if channels_first else [0, 1, 2]
  )


def _unfused(rsqrt: tf.Operation, depths) -> _Layer | None:
  """Reads given * f + (offset - mean * f), f = rsqrt(variance + e) [* scale].

  Args:
    rsqrt: an operation that does not depend on the images.
    depths: the operations that depend on them.
  """
  [total] = rsqrt.inputs
  if total.op.type not in _SUMS:
    return None
  variance = next((x for x in total.op.inputs if x.shape.rank != 0), None)
  products = [o for o in rsqrt.outputs[0].consumers() if o.type == "Mul"]
  scaled = [o.outputs[0] for o in products if o not in depths]
  for factor in (rsqrt.outputs[0], *scaled):
    given = mean = None
    for product in factor.consumers():
      if product.type != "Mul":
        continue
      [other] = [x for x in product.inputs if x is not factor] or [factor]
      if product in depths:
        given = other
      else:
        mean = other
    if given is not None and mean is not None and variance is not None:
      return _Layer(given, mean, variance, list(range(given.shape.rank - 1)))
  return None
