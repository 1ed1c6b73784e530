"""Finds region tracks in videos: what to learn from, without a label.

Reads raw videos and writes TFRecords (see tf_ssl/video/track_records.py),
tracks.csv, summary.json and, if asked to, pictures. Interrupted, the same
command goes on. Words after -- go to Beam's runner:
--runner=FlinkRunner ... -- --flink_master=localhost:8081
"""

import os

from tf_ssl import errors

from . import cli


def main(invocation: cli.Invocation) -> None:
  """Mines the videos that are not done, and gathers what there is of all."""
  os.environ.setdefault("PYTHONWARNINGS", "ignore")  # In the processes below.
  from tf_ssl.video import (
    mining,
    mining_pipeline,
    track_store,
    tracker,
    videos,
  )

  flags = invocation.flags
  settings = mining.MiningSettings(
    rate=flags.rate,
    stretch_seconds=flags.stretch_seconds,
    tracks_per_stretch=flags.tracks_per_stretch,
    width=flags.width,
    frame_size=flags.frame_size,
    reader=flags.reader or "auto",
    tracking=tracker.Settings(
      matcher=flags.matcher or "greedy", flow_prior=flags.flow
    ),
  )
  mining.check(settings)
  described, make_describe = _features(flags)
  found = videos.find_videos(flags.videos)
  store = track_store.TrackStore(flags.output_dir)
  store.open(
    {
      **settings._asdict(),
      "tracking": settings.tracking._asdict(),
      "features": described,
    },
    overwrite=flags.overwrite,
  )
  waiting = store.remaining(found)
  if len(waiting) < len(found):
    print(
      f"{len(found) - len(waiting)} of {len(found)} videos are done already"
    )
  mining_pipeline.run(
    waiting,
    store,
    settings=settings,
    make_describe=make_describe,
    processes=flags.processes or None,
    runner=flags.runner or "DirectRunner",
    runner_options=invocation.rest,
  )
  _report(store.gather(), store, flags)


def _features(flags):
  """What settings.json says of the features, and what makes them."""
  from tf_ssl.video import region_features

  if flags.encoder is None:
    return "histograms", region_features.Histograms
  raise errors.UsageError("--encoder is not there yet")


def _report(summary, store, flags):
  from tf_ssl.video import track_preview

  for name, reason in summary["failed"].items():
    print(f"failed: {name}: {reason}")
  if not summary["videos"]:
    raise errors.UsageError(
      f"--videos={flags.videos}: no track could be looked for in any of"
      f" {len(summary['failed'])} videos; the reasons are in"
      f" {store.folder / 'summary.json'}"
    )
  print(
    f"{summary['tracks']} tracks in {summary['videos']} videos"
    f" ({summary['frames']} frames; {len(summary['failed'])} videos failed)"
  )
  shards = store.shards()
  for shard in shards[: flags.preview]:
    track_preview.write(shard, store.folder / "previews")
  if flags.preview:
    print(f"Look at {store.folder / 'previews'}")
  print(
    "Learn from them:\n  python -m tools.train"
    " --gin_file=gin_configs/video/region_tracks_folder.gin"
    f" --gin_bindings='TRACKS=\"{flags.output_dir}\"' --model_dir=runs/tracks"
  )


TOOL = cli.Tool(
  "track_regions",
  __doc__,
  main,
  required=["videos", "output_dir"],
  takes_rest=True,
)
TOOL.text_flag(
  "videos",
  "A folder (videos, folders of frames, zips of these), a video, or a manifest"
  " FILE.csv with path[,label][,start,end].",
)
TOOL.text_flag("output_dir", "The folder to write, such as tracks/a.")
TOOL.text_flag(
  "encoder",
  "A SavedModel of tools.export_encoder whose maps describe regions; colour and"
  " texture do without.",
)
TOOL.text_flag("matcher", "greedy (the paper's, the default), mutual, optimal.")
TOOL.switch("flow", "Expects a region where the optical flow takes it.")
TOOL.text_flag("reader", "What decodes: auto (the default), pyav, tfio.")
TOOL.text_flag(
  "runner",
  "Of Beam: DirectRunner (the default), FlinkRunner, SparkRunner,"
  " DataflowRunner, PortableRunner. All its processes must see --videos and"
  " --output_dir by the same paths.",
)
TOOL.number_flag("rate", 8.0, "Frames a second that are looked at.")
TOOL.number_flag("width", 240, "Pixels across, where regions are followed.")
TOOL.number_flag("frame_size", 256, "Pixels of a stored frame's shorter side.")
TOOL.number_flag("stretch_seconds", 16.0, "Tracks end where a stretch ends.")
TOOL.number_flag("tracks_per_stretch", 20, "The best so many are kept.")
TOOL.number_flag("preview", 0, "Draws the tracks of so many videos.")
TOOL.number_flag("processes", 0, "Of the direct runner; 0: one a core.")
TOOL.switch("overwrite", "Begins anew, whatever output_dir holds of tracks.")

if __name__ == "__main__":
  TOOL.run()
