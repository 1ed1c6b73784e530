"""Any model as one function: images -> features, with a description."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import features as features_lib
from tf_ssl.models import preparation
from tf_ssl.models import reader as reader_lib

_PROBE_SIZE = 224  # px; where nothing says what size a model takes


class Description(NamedTuple):
  """What a report says about a model; JSON values.

  Attributes:
    name: given by the user.
    kind: of file, in words.
    path: where it was read from, as given.
    layer: what is read.
    layer_chosen: why that.
    preprocessing: how pixel values are changed before the model.
    preprocessing_chosen: why so.
    image_size: [height, width] that images are resized to for this model; None
      where it takes them as they come.
    batch_size: images that it takes at once; None for any number.
    width: D, of its features.
    note: what was done to its output to get vectors; empty if nothing.
    digest: SHA-256 of the weights and of what is computed with them.
  """

  name: str
  kind: str
  path: str
  layer: str
  layer_chosen: str
  preprocessing: str
  preprocessing_chosen: str
  image_size: list[int] | None
  batch_size: int | None
  width: int
  note: str
  digest: str

  def text(self) -> str:
    """The same in one line for people."""
    size = ""
    if self.image_size is not None:
      size = "; images resized to {}x{} px".format(*reversed(self.image_size))
    note = f"; {self.note}" if self.note else ""
    return (
      f"{self.name}: {self.kind} {self.path}; reads {self.layer} "
      f"({self.layer_chosen}), {self.width} units{note}; pixels "
      f"{self.preprocessing} ({self.preprocessing_chosen}){size}; "
      f"{self.digest[:12]}"
    )


class ImageModel:
  """A model whose features can be measured; safe between threads.

  Attributes:
    name: of the model.
    kind: of file.
    description: a `Description`; `_asdict()` gives what goes into JSON.
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
      name: for reports and errors.
      reader: the model as its file describes it.
      path: for reports.
      preprocessing: a name of `preprocessing.BY_NAME`; None for what the file
        says.
      image_size: pixels a side that images are resized to for this model; None
        for what the file says.

    Raises:
      UsageError: the file does not say how pixels are preprocessed and nor does
        `preprocessing`; a size other than the model's only one; a model that
        cannot be run, or not on images.
    """
    self.name = name
    self.kind = reader.kind
    self._reader = reader
    self._preparation = preparation.of_reader(
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
    self._extractor = features_lib.FeatureExtractor(
      lambda images, training: self._vectors(reader.run(images)),
      preprocess=self._prepared,
    )
    size = self._preparation.size
    self.description = Description(
      name=name,
      kind=reader.kind,
      path=path,
      layer=reader.layer,
      layer_chosen=reader.layer_chosen,
      preprocessing=self._preparation.preprocessing,
      preprocessing_chosen=self._preparation.chosen,
      image_size=None if size is None else list(size),
      batch_size=reader.batch_size,
      width=self._probe().shape[1],
      note=self._note,
      digest=reader.digest,
    )

  def features(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
    """Features of a batch of images.

    Args:
      images: [B, H, W, 3] RGB, uint8 or float, 0..255, B >= 1; of any size,
        unless the model was made for one size, to which they are then resized.

    Returns:
      [B, D] float32, finite.

    Raises:
      UsageError: images of another shape, or features that are NaN or infinite.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[3] != 3 or not shape[0]:
      raise errors.UsageError(
        f"images have shape {shape}; expected [B, H, W, 3] with B >= 1"
      )
    step = self._reader.batch_size or shape[0]
    parts = [self._part(images[i : i + step]) for i in range(0, shape[0], step)]
    features = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if not np.isfinite(features).all():
      bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
      raise errors.UsageError(
        f"model {self.name!r} gives NaN or infinity for {len(bad)} of "
        f"{len(features)} images of a batch; its weights are damaged or have "
        f"diverged, or the preprocessing {self.description.preprocessing} is "
        "not the one that it was trained with"
      )
    return features

  def _part(self, images) -> np.ndarray:
    """Features of no more images than the model takes at once."""
    count = len(images)
    images = tf.cast(images, tf.float32)
    missing = (self._reader.batch_size or count) - count
    if missing:  # the last image again, and what comes of it dropped
      last = tf.repeat(images[-1:], missing, axis=0)
      images = tf.concat([images, last], axis=0)
    if self._reader.is_numpy:
      output = self._reader.run(self._prepare(images).numpy())
      features = self._vectors(tf.constant(output)).numpy()
    else:
      features = self._extractor.batch(images).numpy()
    return features[:count]

  def _prepared(self, images: tf.Tensor) -> tf.Tensor:
    """[B, H, W, 3] 0..255 -> what the model expects, float32."""
    images = tf.ensure_shape(images, [self._reader.batch_size, None, None, 3])
    return self._preparation(images)

  def _vectors(self, output: tf.Tensor) -> tf.Tensor:
    """A layer's output of any rank -> [B, D] float32."""
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
    try:
      features = self._part(image)
    except errors.UsageError:
      raise
    except Exception as error:  # whatever a foreign graph may raise
      raise errors.UsageError(
        f"model {self.name!r} cannot be run on an image of {size[1]}x{size[0]} "
        f"px: {' '.join(str(error).split())[:300]}; set image_size to what it "
        "takes, or `layer` to another one"
      ) from error
    if features.ndim != 2 or not features.shape[1]:
      raise errors.UsageError(
        f"model {self.name!r}: {self._reader.layer} gives {features.shape} for "
        "one image; expected [1, D]; set `layer` to another one"
      )
    return features


def vectors(
  output: tf.Tensor, what: str, *, channels_first: bool = False
) -> tuple[tf.Tensor, str]:
  """Makes a vector of each image out of a layer's output of any rank.

  Args:
    output: [B, D], tokens [B, T, C], or maps.
    what: gave it; for errors.
    channels_first: whether maps are [B, C, h, w] and not [B, h, w, C].

  Returns:
    [B, D] float32, and what was done to get it; empty if nothing.

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
  if rank != 4:
    raise errors.UsageError(
      f"{what} has the shape {output.shape}; expected vectors [B, D] or maps; "
      "set `layer` to another one"
    )
  axes = [2, 3] if channels_first else [1, 2]
  note = ""
  if [output.shape[axis] for axis in axes] != [1, 1]:
    letters = "[B, C, h, w]" if channels_first else "[B, h, w, C]"
    note = f"its output, a map {letters}, is averaged over h and w"
  return tf.reduce_mean(output, axis=axes), note
