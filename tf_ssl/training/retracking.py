"""Tracks found by what a trained encoder sees, and examples of them."""

import functools

from tf_ssl.datasets import records as records_lib
from tf_ssl.features import encoder_regions
from tf_ssl.input_pipeline import region_tracks
from tf_ssl.video.mining import mine_videos, mining


def retracked(
  *,
  videos: str,
  encoder: str,
  tracks: str,
  endpoint: str = "C4",
  settings: mining.MiningSettings | None = None,
  seconds: float = 0.5,
  same_video_in_batch: bool = False,
) -> records_lib.ImageRecords:
  """Follows regions by an encoder, where that is not done, and pairs them.

  Args:
    videos: see `videos.find_videos`.
    encoder: path of a SavedModel, see `encoder_regions.EncoderFeatures`.
    tracks: the folder to keep them in, see `track_store`.
    endpoint: the encoder's map that is used.
    settings: how regions are followed; None for the defaults.
    seconds: see `region_tracks.region_tracks`.
    same_video_in_batch: likewise.

  Returns:
    See `region_tracks.region_tracks`.

  Raises:
    UsageError: see `mine_videos.mine_videos`, `region_features` and
      `region_tracks.region_tracks`.
  """
  describe = functools.partial(
    encoder_regions.EncoderFeatures, encoder, endpoint=endpoint
  )
  describe()  # An unusable one is an error here and not in another process.
  mine_videos.mine_videos(
    videos,
    tracks,
    settings=settings,
    features=encoder_regions.name(encoder, endpoint),
    make_describe=describe,
  )
  return region_tracks.region_tracks(
    source=tracks, seconds=seconds, same_video_in_batch=same_video_in_batch
  )
