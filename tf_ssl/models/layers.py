"""Several layers of one model, computed in one pass."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import image_model
from tf_ssl.models import reader as reader_lib

ALL = "*"
MAX_LAYERS = 16  # Of `ALL`; of more, as many are spread over the depth.


class _Computed(NamedTuple):
  """Features of all layers.

  Attributes:
    images: the images that they were computed from.
    features: [B, sum of widths] float32.
  """

  images: np.ndarray | tf.Tensor
  features: np.ndarray


class _OnePass:
  """A model whose features are those of several layers side by side."""

  def __init__(self, model: image_model.ImageModel):
    self.model = model
    self._kept = threading.local()  # Batches run in several threads.

  def features(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
    """Features of all layers, computed once for one array of images."""
    kept = getattr(self._kept, "last", None)
    if kept is None or kept.images is not images:
      kept = _Computed(images, self.model.features(images))
      self._kept.last = kept
    return kept.features


class LayerModel:
  """One layer of a model of several; the interface of `ImageModel`.

  Attributes:
    name: name of the model and of the layer.
    kind: format of the file.
    description: facts for reports.
  """

  def __init__(
    self, shared: _OnePass, description: image_model.Description, start: int
  ):
    self.name, self.kind = description.name, description.kind
    self.description = description
    self._shared, self._start = shared, start

  def __repr__(self) -> str:
    return f"<LayerModel {self.description.text()}>"

  def features(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
    """Features of a batch: [B, H, W, 3] 0..255 -> [B, D] float32.

    The models of one pass compute the features of one array of images once, if
    they are called with it one after the other.
    """
    found = self._shared.features(images)
    return found[:, self._start : self._start + self.description.width]


def of_reader(
  reader: reader_lib.Reader,
  names: Sequence[str],
  *,
  name: str,
  path: str,
  least_width: int = 1,
  **options,
) -> list[LayerModel]:
  """Makes a model of each layer.

  Args:
    reader: the model as its file describes it, with `layers`.
    names: names of layers, shallowest first, or `ALL`: at most `MAX_LAYERS`
      with at least `least_width` units.
    name: name of the model; those of the layers are NAME LAYER.
    path: path of the file, for reports.
    least_width: smallest number of units of a layer of `ALL`.
    **options: options of `image_model.ImageModel`.

  Raises:
    UsageError: the model has no such layers, or an error of `ImageModel`.
  """
  errors.require(
    reader.layers is not None,
    f"model {name!r} ({path}): layer={','.join(names)} is not available for "
    f"{reader.kind}; name one layer, or several",
  )
  every = names == [ALL]
  if every:
    names = list(reader.layers.names)
  unknown = [one for one in names if one not in reader.layers.names]
  errors.require(
    not unknown,
    f"model {name!r} ({path}) has no layer {', '.join(unknown)} beside others; "
    f"expected some of {', '.join(reader.layers.names[-12:])} (the last of "
    f"{len(reader.layers.names)})",
  )
  model, widths = _joined(reader, names, name=name, path=path, **options)
  if every:
    kept = [i for i, width in enumerate(widths) if width >= least_width]
    errors.require(
      kept,
      f"model {name!r} ({path}) has no layer of at least {least_width} units; "
      "lower top_k",
    )
    if len(kept) > MAX_LAYERS:
      spread = np.linspace(0, len(kept) - 1, MAX_LAYERS).round().astype(int)
      kept = [kept[i] for i in spread]
    if len(kept) < len(names):
      names = [names[i] for i in kept]
      model, widths = _joined(reader, names, name=name, path=path, **options)
  shared, starts = _OnePass(model), np.cumsum([0, *widths])
  chosen = "one of all layers" if every else "by `layer`"
  return [
    LayerModel(
      shared,
      model.description._replace(
        name=f"{name} {layer}",
        layer=layer,
        layer_chosen=chosen,
        width=width,
        note=f"maps and tokens are averaged; {len(names)} layers in one pass",
        layer_of=name,
      ),
      int(start),
    )
    for layer, width, start in zip(names, widths, starts, strict=False)
  ]


def _joined(
  reader: reader_lib.Reader, names: Sequence[str], *, name: str, **options
) -> tuple[image_model.ImageModel, list[int]]:
  """A model of all layers side by side, and the widths of the layers."""
  run, widths = reader.layers.run(names), []

  def side_by_side(images):
    found = [
      image_model.vectors(
        tf.convert_to_tensor(output),
        f"model {name!r}: {layer}",
        channels_first=reader.channels_first,
      )[0]
      for layer, output in zip(names, run(images), strict=True)
    ]
    widths[:] = [vector.shape[1] for vector in found]
    joined = tf.concat(found, axis=1)
    return joined.numpy() if reader.is_numpy else joined

  model = image_model.ImageModel(
    name, reader._replace(run=side_by_side, layer=", ".join(names)), **options
  )
  errors.require(
    None not in widths,
    f"model {name!r}: the widths of the layers {', '.join(names)} are unknown; "
    "name one layer",
  )
  return model, list(widths)
