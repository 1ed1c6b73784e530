"""MoCo on frames and region tracks (Purushwalkam & Gupta 2020, section 5)."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.methods import base
from tf_ssl.methods import moco as moco_lib


class RegionTrackMoCo(moco_lib.MoCo):
  """frame_weight · L_frame + track_weight · L_track, one queue for both.

  L_frame contrasts whole frames at t and t + k, L_track one region at both
  times (figure 2). Frames and regions may differ in size: each kind is one call
  of the encoder.
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
    """Takes the parts and options of `MoCo`.

    Args:
      *parts: encoders, heads and queue.
      frame_weight: of the loss of frames, 0.5 in the paper; with 0 it is not
        computed.
      track_weight: of the loss of regions, likewise.
      name: of the Keras model.
      **options: momentum, temperature, symmetric, seed.

    Raises:
      UsageError: a weight is negative, or both are 0.
    """
    super().__init__(*parts, name=name, **options)
    if min(frame_weight, track_weight) < 0 or frame_weight + track_weight <= 0:
      raise errors.UsageError(
        f"frame_weight={frame_weight}, track_weight={track_weight}: expected at"
        " least 0, one of them above; change them."
      )
    self.frame_weight = frame_weight
    self.track_weight = track_weight

  def contrast(self, views: batches.RegionTrackPair, training: bool):
    """Both losses; the keys of frames and of regions go to the queue.

    A half of weight 0 is left out, its keys too.
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
    setup: what the run is like.
    moco: builds MoCo, such as `moco.build_moco`.
    frame_weight: see `RegionTrackMoCo`.
    track_weight: see `RegionTrackMoCo`.
  """
  plain = moco(setup)
  return RegionTrackMoCo(
    plain.encoder,
    plain.projection_head,
    plain.key_encoder,
    plain.key_projection_head,
    plain.queue,
    momentum=plain.momentum,
    temperature=plain.temperature,
    symmetric=plain.symmetric,
    seed=plain.seed,
    frame_weight=frame_weight,
    track_weight=track_weight,
  )
