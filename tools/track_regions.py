"""Mines region tracks from videos, for training without labels.

Reads raw videos and writes TFRecords (tf_ssl/video/mining/track_records.py),
tracks.csv, summary.json, report.html and optional previews. After an
interruption, the same command resumes. Arguments after -- are options of Beam's
runner, such as --flink_master=localhost:8081; all its processes need access to
both folders.
"""

import os

from ._cli import cli

_NUMBERS = (
  "rate width frame_size stretch_seconds tracks_per_stretch motion_rate".split()
)


def main(invocation: cli.Invocation) -> None:
  """Runs `mine_videos.mine_videos`."""
  os.environ.setdefault("PYTHONWARNINGS", "ignore")  # For child processes.
  from tf_ssl.features import encoder_regions
  from tf_ssl.video.mining import mine_videos, mining
  from tf_ssl.video.tracking import region_features, region_tracks, tracker

  flags = invocation.flags
  features, describe = "histograms", region_features.Histograms
  if flags.encoder is not None:
    features, describe = encoder_regions.open_encoder(
      flags.encoder, flags.endpoint or "C4"
    )
  tracking = tracker.Settings(
    matcher=flags.matcher or region_tracks.CHAIN,
    flow_prior=flags.flow,
    min_precision=flags.min_precision,
  )
  mine_videos.mine_videos(
    flags.videos,
    flags.output_dir,
    settings=mining.MiningSettings(
      reader=flags.reader or "auto",
      tracking=tracking,
      **{name: flags[name].value for name in _NUMBERS},
    ),
    features=features,
    make_describe=describe,
    preview=flags.preview,
    overwrite=flags.overwrite,
    processes=flags.processes or None,
    runner=flags.runner or "DirectRunner",
    runner_options=invocation.rest,
  )


TOOL = cli.Tool(
  "track_regions",
  __doc__,
  main,
  required=["videos", "output_dir"],
  takes_rest=True,
)
TOOL.number_flag("rate", 8.0, "Sampling rate, frames per second.")
TOOL.number_flag(
  "width",
  0,
  "Width of the frames that are tracked, pixels; 0: 480, of greedy etc. 240.",
)
TOOL.number_flag("frame_size", 256, "Shorter side of stored frames, pixels.")
TOOL.number_flag("stretch_seconds", 16.0, "Maximum length of a track, seconds.")
TOOL.number_flag("tracks_per_stretch", 40, "Maximum tracks in that time.")
TOOL.number_flag("motion_rate", 16.0, "Rate at which points move, of chain.")
TOOL.number_flag("min_precision", 0.0, "Minimum score of a track, of chain.")
TOOL.number_flag("preview", 0, "Number of videos whose tracks are drawn.")
TOOL.number_flag("processes", 0, "Processes of DirectRunner; 0: one per core.")
TOOL.text_flag("videos", "Folder of videos, one video, or manifest FILE.csv.")
TOOL.text_flag("output_dir", "Folder to write, such as tracks/a.")
TOOL.text_flag("encoder", "SavedModel for the region features; default: none.")
TOOL.text_flag("endpoint", "Map of the encoder: C4 (default) or C5.")
TOOL.text_flag("matcher", "chain (default), greedy (paper), mutual, optimal.")
TOOL.switch("flow", "Optical flow for greedy, mutual and optimal.")
TOOL.text_flag("reader", "Decoder of videos: auto (default), pyav or tfio.")
TOOL.text_flag("runner", "Beam runner: DirectRunner, FlinkRunner, ...")
TOOL.switch("overwrite", "Discards tracks that are already in output_dir.")

if __name__ == "__main__":
  TOOL.run()
