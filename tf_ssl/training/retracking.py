"""Region tracks found with the features of a trained encoder."""

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
  """Tracks regions by an encoder's features, unless done, and pairs them.

  Args:
    videos: videos to track regions in (`videos.find_videos`).
    encoder: path of a SavedModel (`encoder_regions.EncoderFeatures`).
    tracks: path of the folder that keeps the tracks (`track_store`).
    endpoint: name of the encoder's feature map.
    settings: settings of tracking; None for the defaults.
    seconds: distance of the two frames of a pair, seconds.
    same_video_in_batch: whether a batch may hold several pairs of a video.

  Returns:
    Records of region tracks, as `region_tracks.region_tracks` returns them.

  Raises:
    UsageError: the videos, the encoder or the tracks cannot be used.
  """
  describe = functools.partial(
    encoder_regions.EncoderFeatures, encoder, endpoint=endpoint
  )
  describe()  # Raises for a bad encoder here, not in another process.
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
