"""Any model as one function, images -> features, with a description."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.models import feature_extractor
from tf_ssl.models import preprocessing as preprocessing_lib
from tf_ssl.models import reader as reader_lib
from tf_ssl.ops import names

_PROBE_SIZE = 224  # px; used where the model does not specify a size


class Description(NamedTuple):
  """The facts about a model that reports print, as JSON values.

  Attributes:
    name: name that the user chose.
    kind: format of the file, such as "Keras file".
    path: path of the file, as given.
    layer: name of the layer whose output is the features.
    layer_chosen: reason for this layer.
    preprocessing: name of the preprocessing of images.
    preprocessing_chosen: reason for this preprocessing.
    preprocessing_check: fit of the preprocessing to what the model
      remembers of its training, or "" if that was not checked.
    image_size: [height, width] in px that images are resized to; None to keep
      their size.
    batch_size: number of images that the model requires; None for any.
    width: feature width D.
    note: sentence about averaging the output of the layer, or "".
    digest: SHA-256 of the weights and of the computation.
    layer_of: name of the model, if it is one of several layers of it that are
      measured; "" otherwise.
  """

  name: str
  kind: str
  path: str
  layer: str
  layer_chosen: str
  preprocessing: str
  preprocessing_chosen: str
  preprocessing_check: str
  image_size: list[int] | None
  batch_size: int | None
  width: int
  note: str
  digest: str
  layer_of: str = ""

  def text(self) -> str:
    """The description as one line of text."""
    size = ""
    if self.image_size is not None:
      size = "; images resized to {}x{} px".format(*reversed(self.image_size))
    note = f"; {self.note}" if self.note else ""
    check = f"; {self.preprocessing_check}" if self.preprocessing_check else ""
    return (
      f"{self.name}: {self.kind} {names.escaped(self.path)}; "
      f"layer {self.layer} ({self.layer_chosen}), {self.width} units{note}; "
      f"preprocessing {self.preprocessing} "
      f"({self.preprocessing_chosen}{check}){size}; digest {self.digest[:12]}"
    )


class ImageModel:
  """A model that computes features; safe to call from several threads.

  Attributes:
    name: name of the model.
    kind: format of the file.
    description: a `Description`; `_asdict()` gives its JSON object.
  """

  def __init__(
    self,
    name: str,
    reader: reader_lib.Reader,
    *,
    path: str = "",
    preprocessing: str | None = None,
    image_size: int | None = None,
  ):
    """Prepares the model and runs it once.

    Args:
      name: name of the model, for reports and errors.
      reader: the model as its file describes it.
      path: path of the file, for reports.
      preprocessing: name in `preprocessing.BY_NAME`; None for what the file
        specifies.
      image_size: side in px of the square that images are resized to; None for
        what the file specifies.

    Raises:
      UsageError: neither the file nor `preprocessing` specifies a
        preprocessing; the model does not accept `image_size`, or fails on
        images.
    """
    self.name = name
    self.kind = reader.kind
    self._reader = reader
    self._preparation = preprocessing_lib.prepare_for(
      reader,
      name=name,
      path=path,
      preprocessing=preprocessing,
      image_size=image_size,
    )
    self._note = ""
    self._prepare = tf.function(
      self._prepared,
      input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)],
    )
    self._extractor = feature_extractor.FeatureExtractor(
      lambda images, training: self._vectors(reader.run(images)),
      preprocess=self._prepared,
    )
    width = self._probe().shape[1]  # Also sets the note.
    self.description = describe(
      name, reader, path, self._preparation, width, self._note
    )

  def __repr__(self) -> str:
    # TensorFlow may call this while __init__ traces.
    described = getattr(self, "description", None)
    return f"<ImageModel {described.text() if described else self.name}>"

  def features(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
    """Computes the features of a batch of images.

    Args:
      images: [B, H, W, 3] RGB, uint8 or float, 0..255, B >= 1; of any size:
        they are resized if the model requires one size.

    Returns:
      [B, D] float32, finite.

    Raises:
      UsageError: images of another shape, a model that fails on them, or
        features that are NaN or infinite.
    """
    shape = tuple(images.shape)
    errors.require(
      len(shape) == 4 and shape[3] == 3 and shape[0],
      f"images have shape {shape}; expected [B, H, W, 3] with B >= 1",
    )
    try:
      features = self._parts(images)
    except errors.UsageError as error:
      if self._reader.batch_size is not None or shape[0] == 1:
        raise
      features = self._one_by_one(images, error)
    if not np.isfinite(features).all():
      bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
      raise errors.UsageError(
        f"model {self.name!r} gives NaN or infinity for {len(bad)} of "
        f"{len(features)} images of a batch; its weights are damaged or have "
        f"diverged, or the preprocessing {self.description.preprocessing} is "
        "not the one that it was trained with"
      )
    return features

  def _parts(self, images) -> np.ndarray:
    """Features of images, in batches of the size that the model requires."""
    step = self._reader.batch_size or len(images)
    parts = [
      self._part(images[i : i + step]) for i in range(0, len(images), step)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)

  def _one_by_one(self, images, error: errors.UsageError) -> np.ndarray:
    """Features of images on which the model fails as one batch.

    Its file allows any number of images, but its computation one.
    """
    self._part(images[:1])  # Raises if the number is not the reason.
    logging.warning(
      "model %r runs on one image but not on %d at once, although its file "
      "allows any number; from now on it gets images one by one (%s)",
      self.name,
      len(images),
      reader_lib.one_line(error.__cause__ or error),
    )
    self._reader = self._reader._replace(batch_size=1)
    return self._parts(images)

  def _part(self, images) -> np.ndarray:
    """Features of at most as many images as the model takes."""
    count = len(images)
    images = tf.cast(images, tf.float32)
    missing = (self._reader.batch_size or count) - count
    if missing:  # Pads the batch with copies of the last image.
      last = tf.repeat(images[-1:], missing, axis=0)
      images = tf.concat([images, last], axis=0)
    height, width = images.shape[1:3]
    with reader_lib.reading(
      f"model {self.name!r} fails on {images.shape[0]} images of "
      f"{width}x{height} px",
      "set image_size to a size that it accepts, or change `layer`",
    ):
      if self._reader.is_numpy:
        output = self._reader.run(self._prepare(images).numpy())
        features = self._vectors(tf.constant(output)).numpy()
      else:
        features = self._extractor.batch(images).numpy()
    errors.require(
      features.ndim == 2
      and features.shape[0] == images.shape[0]
      and features.size,
      f"model {self.name!r}: {self._reader.layer} gives {features.shape} for "
      f"{images.shape[0]} images; expected [{images.shape[0]}, D]; change "
      "`layer`",
    )
    return features[:count]

  def _prepared(self, images: tf.Tensor) -> tf.Tensor:
    """[B, H, W, 3] 0..255 -> input of the model, float32."""
    images = tf.ensure_shape(images, [self._reader.batch_size, None, None, 3])
    return self._preparation(images)

  def _vectors(self, output: tf.Tensor) -> tf.Tensor:
    """Output of a layer, of any rank -> [B, D] float32."""
    features, note = vectors(
      output,
      f"model {self.name!r}: {self._reader.layer}",
      channels_first=self._reader.channels_first,
    )
    self._note = note or self._note
    return features

  def _probe(self) -> np.ndarray:
    """Runs the model on one image of noise."""
    size = self._preparation.size or (_PROBE_SIZE, _PROBE_SIZE)
    image = np.random.default_rng(0).integers(0, 256, [1, *size, 3], np.uint8)
    return self._part(image)


def describe(
  name: str,
  reader: reader_lib.Reader,
  path: str,
  preparation: preprocessing_lib.Preparation,
  width: int,
  note: str,
) -> Description:
  """Collects the facts about a model."""
  size = preparation.size
  return Description(
    name=name,
    kind=reader.kind,
    path=path,
    layer=reader.layer,
    layer_chosen=reader.layer_chosen,
    preprocessing=preparation.preprocessing,
    preprocessing_chosen=preparation.chosen,
    preprocessing_check=reader.preprocessing_check,
    image_size=None if size is None else list(size),
    batch_size=reader.batch_size,
    width=width,
    note=note,
    digest=reader.digest,
  )


def vectors(
  output: tf.Tensor, source: str, *, channels_first: bool = False
) -> tuple[tf.Tensor, str]:
  """Turns the output of a layer, of any rank, into one vector per image.

  Args:
    output: vectors [B, D], tokens [B, T, C], or maps.
    source: name of the model and layer, for errors.
    channels_first: whether maps are [B, C, h, w] instead of [B, h, w, C].

  Returns:
    [B, D] float32, and a note about averaging, or "".

  Raises:
    UsageError: an output of another rank.
  """
  output = tf.cast(output, tf.float32)
  rank = output.shape.rank
  if rank is None:
    return tf.ensure_shape(output, [None, None]), ""
  if rank == 2:
    return output, ""
  if rank == 3:
    note = "its output [B, T, C] is averaged over T"
    return tf.reduce_mean(output, axis=1), note
  errors.require(
    rank == 4,
    f"{source} has the shape {output.shape}; expected vectors [B, D] or maps; "
    "change `layer`",
  )
  axes = [2, 3] if channels_first else [1, 2]
  note = ""
  if [output.shape[axis] for axis in axes] != [1, 1]:
    letters = "[B, C, h, w]" if channels_first else "[B, h, w, C]"
    note = f"its output, a map {letters}, is averaged over h and w"
  return tf.reduce_mean(output, axis=axes), note
