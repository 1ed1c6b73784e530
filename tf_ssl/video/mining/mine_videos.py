"""Mines region tracks from a source of videos into a folder."""

from collections.abc import Callable, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.ops import workdir
from tf_ssl.video.mining import (
  mining,
  mining_pipeline,
  track_preview,
  track_report,
  track_store,
)
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import region_features, region_tracks

_MAX_LINES = 20  # Videos whose notes are said.
# The config that learns from tracks, and its BATCH_SIZE: with fewer videos, a
# batch cannot be of different videos.
CONFIG, CONFIG_BATCH = "gin_configs/video/region_tracks_folder.gin", 128


def mine_videos(
  source: str,
  output_dir: str,
  *,
  settings: mining.MiningSettings | None = None,
  features: str = "histograms",
  make_describe: Callable[
    [], region_features.Describe
  ] = region_features.Histograms,
  preview: int = 0,
  overwrite: bool = False,
  processes: int | None = None,
  runner: str = "DirectRunner",
  runner_options: Sequence[str] = (),
  say: Callable[[str], None] = print,
) -> dict[str, Any]:
  """Mines the remaining videos and writes the tables of all videos.

  Args:
    source: path of videos, as for `videos.find_videos`.
    output_dir: folder to write, see `track_store`.
    settings: settings of the mining; None for the defaults.
    features: name of the region features in settings.json.
    make_describe: function that makes the region features, called once per
      process; it must be picklable.
    preview: number of videos whose tracks are drawn, see `track_preview`.
    overwrite: whether to discard tracks that are already in output_dir.
    processes: number of processes of the direct runner; None for one per core.
    runner: name of a Beam runner, see `mining_pipeline.run`.
    runner_options: options of that runner, as on Beam's command line.
    say: function that takes messages for the user, line by line.

  Returns:
    The content of summary.json.

  Raises:
    UsageError: a setting is out of range, the source has no video, output_dir
      has other content or is in use, or no video can be decoded.
    KeyboardInterrupt: see `mining_pipeline.run`.
  """
  settings = settings or mining.MiningSettings()
  mining.check(settings)
  mining_pipeline.check(runner, runner_options)
  found = videos.find_videos(source)
  store = track_store.TrackStore(output_dir)
  how = {**settings._asdict(), **settings.tracking._asdict()}
  del how["tracking"]
  how["stretch"] = how.pop("side_shift")  # The key in existing folders.
  if how["matcher"] != region_tracks.CHAIN:  # Unknown to existing folders.
    for name in ("motion_rate", "key_seconds", "min_precision"):
      del how[name]
  store.open({**how, "features": features}, overwrite=overwrite)
  with (
    store.locked(),
    workdir.enough_space(store.folder, "--output_dir"),
  ):
    remaining = store.remaining(found)
    if len(remaining) < len(found):
      say(f"{len(found) - len(remaining)} of {len(found)} videos are done")
    try:
      mining_pipeline.run(
        remaining,
        store,
        settings=settings,
        make_describe=make_describe,
        processes=processes,
        runner=runner,
        runner_options=runner_options,
      )
    except KeyboardInterrupt:
      done = len(found) - len(store.remaining(found))
      say(
        f"Interrupted: {done} of {len(found)} videos are done; the same command"
        " resumes with the others"
      )
      raise
    summary = store.gather()
    for name, reason in summary["failed"].items():
      say(f"failed: {name}: {reason}")
    for name, notes in list(summary["notes"].items())[:_MAX_LINES]:
      say(f"{name}: {'; '.join(notes)}")
    if len(summary["notes"]) > _MAX_LINES:
      say(
        f"notes on {len(summary['notes']) - _MAX_LINES} more videos are in"
        f" {store.folder / 'summary.json'}"
      )
    errors.require(
      summary["videos"],
      f"videos {source!r}: none of {len(summary['failed'])} could be decoded;"
      f" see the reasons in {store.folder / 'summary.json'}",
    )
    drawn = store.shards()[:preview]
    for shard in drawn:
      track_preview.write(shard, store.folder / "previews")
    page = track_report.write(store)
  few = ""
  if summary["videos"] < CONFIG_BATCH:
    few = " --gin_bindings=SAME_VIDEO_IN_BATCH=True"
  if drawn:
    say(f"The tracks are drawn in {store.folder / 'previews'}")
  say(
    f"{summary['tracks']} tracks in {summary['videos']} videos"
    f" ({summary['frames']} frames; {len(summary['failed'])} videos failed);"
    f" see {page}"
  )
  say(
    f"Train on them: python -m tools.train --gin_file={CONFIG}"
    f" --gin_bindings='TRACKS=\"{output_dir}\"'{few} --model_dir=runs/tracks"
  )
  return summary
