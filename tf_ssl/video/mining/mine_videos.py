"""From a source of videos to a folder of region tracks."""

from collections.abc import Callable, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.video.mining import (
  mining,
  mining_pipeline,
  track_preview,
  track_store,
)
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import region_features


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
  """Mines the videos that are not done, and gathers what there is of all.

  Args:
    source: see `videos.find_videos`.
    output_dir: see `track_store`.
    settings: None for the defaults.
    features: what settings.json says of them.
    make_describe: see `mining_pipeline.run`.
    preview: draws the tracks of so many videos, see `track_preview`.
    overwrite: begin anew, whatever output_dir holds of tracks.
    processes: see `mining_pipeline.run`.
    runner: likewise.
    runner_options: likewise.
    say: told what a person should know, line by line.

  Returns:
    What summary.json says.

  Raises:
    UsageError: bad settings, nothing to be found at the source, something else
      at output_dir, or no video that could be decoded.
    KeyboardInterrupt: see `mining_pipeline.run`.
  """
  settings = settings or mining.MiningSettings()
  mining.check(settings)
  mining_pipeline.check(runner, runner_options)
  found = videos.find_videos(source)
  store = track_store.TrackStore(output_dir)
  how = {**settings._asdict(), **settings.tracking._asdict()}
  del how["tracking"]
  store.open({**how, "features": features}, overwrite=overwrite)
  waiting = store.remaining(found)
  if len(waiting) < len(found):
    say(f"{len(found) - len(waiting)} of {len(found)} videos are done already")
  try:
    mining_pipeline.run(
      waiting,
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
      " goes on with the others"
    )
    raise
  summary = store.gather()
  for name, reason in summary["failed"].items():
    say(f"failed: {name}: {reason}")
  if not summary["videos"]:
    raise errors.UsageError(
      f"videos {source!r}: none of {len(summary['failed'])} could be gone"
      f" through; the reasons are in {store.folder / 'summary.json'}"
    )
  drawn = store.shards()[:preview]
  for shard in drawn:
    track_preview.write(shard, store.folder / "previews")
  if drawn:
    say(f"Look at {store.folder / 'previews'}")
  say(
    f"{summary['tracks']} tracks in {summary['videos']} videos"
    f" ({summary['frames']} frames; {len(summary['failed'])} videos failed)"
  )
  say(
    "Learn from them: python -m tools.train"
    " --gin_file=gin_configs/video/region_tracks_folder.gin"
    f" --gin_bindings='TRACKS=\"{output_dir}\"' --model_dir=runs/tracks"
  )
  return summary
