"""Mines region tracks from videos, for training without labels.

Reads raw videos and writes TFRecords (tf_ssl/video/mining/track_records.py),
tracks.csv, summary.json and optional previews. After an interruption, the same
command resumes. Arguments after -- are options of Beam's runner, such as
--flink_master=localhost:8081; all its processes need access to both folders.
"""

import os

from ._cli import cli

_NUMBERS = "rate width frame_size stretch_seconds tracks_per_stretch".split()


def main(invocation: cli.Invocation) -> None:
  """Runs `mine_videos.mine_videos`."""
  os.environ.setdefault("PYTHONWARNINGS", "ignore")  # For child processes.
  from tf_ssl.features import encoder_regions
  from tf_ssl.video.mining import mine_videos, mining
  from tf_ssl.video.tracking import region_features, tracker

  flags = invocation.flags
  features, describe = "histograms", region_features.Histograms
  if flags.encoder is not None:
    features, describe = encoder_regions.open_encoder(
      flags.encoder, flags.endpoint or "C4"
    )
  matcher = flags.matcher or "greedy"
  mine_videos.mine_videos(
    flags.videos,
    flags.output_dir,
    settings=mining.MiningSettings(
      reader=flags.reader or "auto",
      tracking=tracker.Settings(matcher=matcher, flow_prior=flags.flow),
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
TOOL.number_flag("width", 240, "Width of the frames that are tracked, pixels.")
TOOL.number_flag("frame_size", 256, "Shorter side of stored frames, pixels.")
TOOL.number_flag("stretch_seconds", 16.0, "Maximum length of a track, seconds.")
TOOL.number_flag("tracks_per_stretch", 20, "Maximum tracks in that time.")
TOOL.number_flag("preview", 0, "Number of videos whose tracks are drawn.")
TOOL.number_flag("processes", 0, "Processes of DirectRunner; 0: one per core.")
TOOL.text_flag("videos", "Folder of videos, one video, or manifest FILE.csv.")
TOOL.text_flag("output_dir", "Folder to write, such as tracks/a.")
TOOL.text_flag("encoder", "SavedModel for the region features; default: none.")
TOOL.text_flag("endpoint", "Map of the encoder: C4 (default) or C5.")
TOOL.text_flag("matcher", "greedy (the paper's, default), mutual or optimal.")
TOOL.switch("flow", "Also expects regions where the optical flow moves them.")
TOOL.text_flag("reader", "Decoder of videos: auto (default), pyav or tfio.")
TOOL.text_flag("runner", "Beam runner: DirectRunner, FlinkRunner, ...")
TOOL.switch("overwrite", "Discards tracks that are already in output_dir.")

if __name__ == "__main__":
  TOOL.run()
