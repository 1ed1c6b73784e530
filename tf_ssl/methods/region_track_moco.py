"""MoCo on frames and region tracks (Purushwalkam & Gupta 2020, section 5)."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.methods import base
from tf_ssl.methods import moco as moco_lib


class RegionTrackMoCo(moco_lib.MoCo):
  """Loss = frame_weight · L_frame + track_weight · L_track, with one queue.

  L_frame contrasts whole frames at t and t + k, L_track one region at both
  times (figure 2). Frames and regions may differ in size, so each kind is a
  call of the encoder.
  """

  view_type = batches.RegionTrackPair

  def __init__(
    self,
    *parts,
    frame_weight: float = 0.5,
    track_weight: float = 0.5,
    name: str = "region_track_moco",
    **options,
  ):
    """Creates the method.

    Args:
      *parts: encoders, projection heads and queue, as in `MoCo`.
      frame_weight: weight of the loss of frames; 0 skips their computation.
        Default: the paper's.
      track_weight: weight of the loss of regions; 0 skips their computation.
        Default: the paper's.
      name: name of the Keras model.
      **options: momentum, temperature, symmetric and seed of `MoCo`.

    Raises:
      UsageError: a weight is negative, or both are 0.
    """
    super().__init__(*parts, name=name, **options)
    errors.require(
      min(frame_weight, track_weight) >= 0 < frame_weight + track_weight,
      f"frame_weight={frame_weight}, track_weight={track_weight}: expected both"
      " at least 0 and one above; change them",
    )
    self.frame_weight = frame_weight
    self.track_weight = track_weight

  def contrast(self, views: batches.RegionTrackPair, training: bool):
    """Both losses; the queue gets the keys of frames and of regions.

    A loss with weight 0 and its keys are skipped.
    """
    halves = {
      "frame_loss": (self.frame_weight, views.query, views.key),
      "track_loss": (self.track_weight, views.query_region, views.key_region),
    }
    loss, parts, metrics = 0.0, [], {}
    for name, (weight, query, key) in halves.items():
      if weight > 0:
        part = super().contrast(batches.ImagePair(query, key), training)
        loss += weight * part.loss
        parts.append(part)
        metrics[name] = part.loss
    return base.Contrast(
      loss,
      tf.concat([part.logits for part in parts], axis=0),  # [2B, 1+K]
      to_remember=tf.concat([part.to_remember for part in parts], axis=0),
      features=parts[0].features,
      metrics=metrics,
    )

  @property
  def chance_loss(self) -> float:
    return super().chance_loss * (self.frame_weight + self.track_weight)


def build_region_track_moco(
  setup: base.Setup,
  *,
  moco: Callable,
  frame_weight: float = 0.5,
  track_weight: float = 0.5,
) -> RegionTrackMoCo:
  """Builds the method for a run.

  Args:
    setup: facts about the run.
    moco: function that builds MoCo, such as `moco.build_moco`.
    frame_weight: weight of the loss of frames.
    track_weight: weight of the loss of regions.
  """
  return RegionTrackMoCo.like(
    moco(setup), frame_weight=frame_weight, track_weight=track_weight
  )
