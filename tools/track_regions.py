"""Finds region tracks in videos: what to learn from, without a label.

Reads raw videos and writes TFRecords (tf_ssl/video/mining/track_records.py),
tracks.csv, summary.json and, if asked to, pictures. Interrupted, the same
command goes on. Words after -- are options of Beam's runner, such as
--flink_master=localhost:8081; all its processes must see both folders.
"""

import functools
import os

from ._cli import cli

_NUMBERS = "rate width frame_size stretch_seconds tracks_per_stretch".split()


def main(invocation: cli.Invocation) -> None:
  """Runs `mine_videos.mine_videos` with the features asked for."""
  os.environ.setdefault("PYTHONWARNINGS", "ignore")  # In the processes below.
  from tf_ssl.features import encoder_regions as encoder_features
  from tf_ssl.video.mining import mine_videos, mining
  from tf_ssl.video.tracking import region_features, tracker

  flags = invocation.flags
  features, describe = "histograms", region_features.Histograms
  if flags.encoder is not None:
    path, endpoint = os.path.abspath(flags.encoder), flags.endpoint or "C4"
    describe = functools.partial(
      encoder_features.EncoderFeatures, path, endpoint=endpoint
    )
    describe()  # To be told here what is wrong with it.
    features = encoder_features.name(path, endpoint)
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
TOOL.number_flag("rate", 8.0, "Frames a second that are looked at.")
TOOL.number_flag("width", 240, "Pixels across, where regions are followed.")
TOOL.number_flag("frame_size", 256, "Pixels of a stored frame's shorter side.")
TOOL.number_flag("stretch_seconds", 16.0, "Tracks end where a stretch ends.")
TOOL.number_flag("tracks_per_stretch", 20, "The best so many are kept.")
TOOL.number_flag("preview", 0, "Draws the tracks of so many videos.")
TOOL.number_flag("processes", 0, "Of the direct runner; 0: one a core.")
TOOL.text_flag("videos", "A folder of videos, one, or a manifest FILE.csv.")
TOOL.text_flag("output_dir", "The folder to write, such as tracks/a.")
TOOL.text_flag("encoder", "A SavedModel that describes regions; else colors.")
TOOL.text_flag("endpoint", "Its map that is used: C4 (the default) or C5.")
TOOL.text_flag("matcher", "greedy (the paper's, the default), mutual, optimal.")
TOOL.switch("flow", "Expects a region where the optical flow takes it.")
TOOL.text_flag("reader", "What decodes: auto (the default), pyav, tfio.")
TOOL.text_flag("runner", "Of Beam: DirectRunner, FlinkRunner, SparkRunner ...")
TOOL.switch("overwrite", "Begins anew, whatever output_dir holds of tracks.")

if __name__ == "__main__":
  TOOL.run()
