"""Whether objects are known again on videos that are not trained on."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import representation
from tf_ssl.input_pipeline import labeled_images, region_tracks
from tf_ssl.models import feature_extractor
from tf_ssl.training.monitors import base


class SameObject(base.Monitor):
  """How often an object is found again among those of all other tracks.

  See `evaluation.same_object`. Regions are seen as they are, without
  augmentation. The log draws it as `train/same_object`.

  Attributes:
    num_pairs: N, pairs of regions.
    num_tracks: how many tracks they are of.
  """

  def __init__(
    self,
    encoder: Callable[..., tf.Tensor],
    records: records_lib.ImageRecords,
    *,
    image_size: int,
    batch_size: int = 64,
  ):
    """Takes the tracks; their regions are read anew at each measurement.

    Args:
      encoder: `encoder(images, training=False)`, normalized [B, H, W, 3] ->
        [B, D].
      records: as of `region_tracks.region_tracks`.
      image_size: side of a region, pixels.
      batch_size: regions in a batch.

    Raises:
      UsageError: the records hold no tracks.
    """
    if records.examples is None or records.examples.tracks is None:
      raise errors.UsageError(
        f"held_out_tracks: what is in {records.root!r} are no tracks; expected"
        " what `region_tracks` returns; change Pretraining.held_out_tracks"
      )
    self._features = feature_extractor.FeatureExtractor(encoder)
    self._regions = labeled_images.labeled_images(
      region_tracks.regions(records),
      image_size=image_size,
      batch_size=batch_size,
    )
    self._tracks = records.examples.tracks
    self.num_pairs = len(self._tracks)
    self.num_tracks = len(np.unique(self._tracks))

  def measure(self, step: int) -> dict[str, float]:
    """Returns same_object, 0..1.

    Raises:
      UsageError: too few regions can be read.
    """
    del step
    found, numbers = self._features(self._regions)
    both = np.full([2 * self.num_pairs], -1)
    both[numbers] = np.arange(len(numbers))
    rows = both.reshape(-1, 2)  # of a pair's two regions
    read = (rows >= 0).all(1)
    accuracy = representation.same_object_accuracy(
      *(found[column] for column in rows[read].T), self._tracks[read]
    )
    return {"same_object": accuracy}
