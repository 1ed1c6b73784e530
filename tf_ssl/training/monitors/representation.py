"""Whether embeddings spread over the sphere or collapse."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tf_ssl.evaluation import representation
from tf_ssl.models import feature_extractor
from tf_ssl.training.monitors import base

_HISTOGRAM_BUCKETS = 30


class Representation(base.Monitor):
  """Statistics of the embeddings of one fixed batch, in inference mode.

  Both views pass through the query encoder. Draws the histograms
  `similarity/positive` (cosine similarity of the two views of one image) and
  `similarity/negative` (of views of different images).
  """

  def __init__(self, *, every: int = 1000):
    """Keeps the number of steps between two measurements."""
    self.every = base.check_every(every)

  def start(self, context: base.Context) -> None:
    super().start(context)
    self._probe = context.probe
    self._embed = feature_extractor.FeatureExtractor(
      context.method.embed, preprocess=lambda images: images
    )

  def measure(self, step: int) -> Mapping[str, float]:
    """Measures the probe batch.

    Returns:
      embedding_std: mean standard deviation of the coordinates; 1/sqrt(E) when
        healthy, 0 when collapsed.
      effective_rank: RankMe, 1..min(B, E).
      alignment, uniformity: Wang & Isola 2020; smaller is better.
      positive_similarity, negative_similarity: mean cosine similarity.
      queue_duplicates: fraction of keys in the queue that have a twin there,
        for methods with a queue.
    """
    query = self._embed.array(self._probe.query)  # [B, E]
    key = self._embed.array(self._probe.key)  # [B, E]
    similarity = query @ key.T  # [B, B]
    positive = np.diagonal(similarity)  # [B]
    negative = similarity[~np.eye(len(similarity), dtype=bool)]  # [B(B-1)]
    with self.context.writer.as_default(step=step):
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
    queue = getattr(self.context.method, "queue", None)
    if queue is not None:
      keys = queue.keys.numpy()
      values["queue_duplicates"] = representation.duplicate_share(keys)
    return values
