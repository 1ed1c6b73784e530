"""Whether embeddings spread over the sphere, or collapse."""

from typing import Protocol

import numpy as np
import tensorflow as tf

from tf_ssl import batches
from tf_ssl.evaluation import representation
from tf_ssl.models import feature_extractor
from tf_ssl.training.monitors import base

_HISTOGRAM_BUCKETS = 30


class _Method(Protocol):
  """The part of `methods.base.ContrastiveModel` that is used here."""

  def embed(self, images: tf.Tensor, training: bool) -> tf.Tensor:
    """Normalized [B, H, W, 3] -> [B, E], unit length."""
    ...


class RepresentationMonitor(base.Monitor):
  """Embeddings of one fixed batch of pairs, in inference mode.

  Both views pass through the query encoder. Draws the histograms
  `similarity/positive` (the two views of one image) and `similarity/negative`
  (views of different images).
  """

  def __init__(
    self,
    method: _Method,
    probe: batches.ImagePair,
    writer: tf.summary.SummaryWriter,
  ):
    """Keeps the batch.

    Args:
      method: its `embed` is used, and its `queue.keys` [K, E] where it has a
        queue.
      probe: float32 views, normalized; B >= 2, better some hundred: the
        effective rank cannot be more than B.
      writer: of TensorBoard's events.
    """
    self._method = method
    self._probe = probe
    self._writer = writer
    self._embed = feature_extractor.FeatureExtractor(
      method.embed, preprocess=lambda images: images
    )

  def measure(self, step: int) -> dict[str, float]:
    """Measures the probe batch.

    Returns:
      embedding_std: 1/sqrt(E) when healthy, 0 when collapsed.
      effective_rank: RankMe, 1..min(B, E).
      alignment, uniformity: Wang & Isola; smaller is better.
      positive_similarity, negative_similarity: mean cosine.
      queue_duplicates: share of keys that have a twin in the queue.
    """
    query = self._embed.array(self._probe.query)  # [B, E]
    key = self._embed.array(self._probe.key)  # [B, E]
    similarity = query @ key.T  # [B, B]
    positive = np.diagonal(similarity)  # [B]
    negative = similarity[~np.eye(len(similarity), dtype=bool)]  # [B(B-1)]
    with self._writer.as_default(step=step):
      for name, values in (("positive", positive), ("negative", negative)):
        tf.summary.histogram(
          f"similarity/{name}", values, buckets=_HISTOGRAM_BUCKETS
        )
    values = {
      "embedding_std": representation.embedding_std(query),
      "effective_rank": representation.rank_me(query),
      "alignment": representation.alignment(query, key),
      "uniformity": representation.uniformity(query),
      "positive_similarity": float(np.mean(positive)),
      "negative_similarity": float(np.mean(negative)),
    }
    queue = getattr(self._method, "queue", None)
    if queue is not None:
      keys = queue.keys.numpy()
      values["queue_duplicates"] = representation.duplicate_share(keys)
    return values
