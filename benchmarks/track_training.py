r"""Compares what frames, frame pairs and region tracks teach.

  python -m benchmarks.track_training --videos=data/videos \
    --output_dir=runs/track_training --seeds=5

--videos is a folder of films, some with boxes: NAME.mp4 and boxes/NAME.csv
beside it (see `tracking_films`). Every second film with boxes, by name,
is left out; all others are for training, with equally many steps for each:

-   frames: MoCo v2 on single frames;
-   pairs: on frame pairs;
-   found tracks: on frame pairs and region tracks that `tools.track_regions`
    found;
-   true tracks: the same with the boxes instead of these tracks, in the films
    that have boxes.

The objects of the films left out are then looked for at a distance of 0.5, 1
and 2 s among crops of the others (see benchmarks/object_alignment.py).
`track_training.md` and `track_training.csv` in --output_dir hold what there is:
each mean with its 95 % Student's t interval over seeds, and the differences
paired by seed. The same command resumes, other films or settings need another
folder; with --runs=N it ends after N runs, and --only=pairs trains this kind
only.
"""

import argparse
import csv
import os
import pathlib
import statistics as stats
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks import (
  machine,
  object_alignment,
  script,
  tracking_films,
  training_run,
)
from tf_ssl import errors
from tf_ssl.ops import child_process, progress, workdir
from tf_ssl.reporting import statistics, tables
from tf_ssl.video.mining import track_records
from tf_ssl.video.source import videos

_KEY = "films.json"
_RESULT = "track_training.json"
_FOUND, _TRUE = "found tracks", "true tracks"
_CONFIGS = {
  "untrained": "gin_configs/video/moco_v2_frames_few_steps.gin",
  "frames": "gin_configs/video/moco_v2_frames_few_steps.gin",
  "pairs": "gin_configs/video/frame_pairs_few_steps.gin",
  _FOUND: "gin_configs/video/region_tracks_few_steps.gin",
  _TRUE: "gin_configs/video/region_tracks_few_steps.gin",
}
_ORDER = (
  ("frames", "untrained"),
  ("pairs", "untrained"),
  (_FOUND, "untrained"),
  ("pairs", "frames"),
  (_FOUND, "frames"),
  (_FOUND, "pairs"),
  (_TRUE, _FOUND),
)
_STEPS_OF_UNTRAINED = ("STEPS=1", "LEARNING_RATE=0.0")
_CROP = 32  # Pixels: `IMAGE_SIZE` of the configs.


class Films(NamedTuple):
  """What is trained on, and what is left out.

  Attributes:
    training: films for training.
    left_out: paths of films with boxes.
  """

  training: list[videos.Video]
  left_out: list[pathlib.Path]


def split(source: pathlib.Path) -> Films:
  """Leaves out every second film with boxes, in the order of their names.

  Raises:
    UsageError: the folder has fewer than 4 films with boxes.
  """
  found = videos.find_videos(str(source))
  boxed = [
    video for video in found if _boxes_of(pathlib.Path(video.path)).exists()
  ]
  errors.require(
    len(boxed) >= 4,
    f"--videos={source} has {len(boxed)} films with boxes; expected at least 4"
    " NAME.mp4 with boxes/NAME.csv beside them",
  )
  boxed = sorted(boxed, key=lambda video: pathlib.Path(video.path).stem)
  left_out = {video.path for video in boxed[1::2]}
  return Films(
    [video for video in found if video.path not in left_out],
    [pathlib.Path(video.path) for video in boxed[1::2]],
  )


def with_true_tracks(
  clip: track_records.TrackedClip, video: pathlib.Path
) -> track_records.TrackedClip:
  """A clip with one track, that of the boxes, instead of its own."""
  truth = tracking_films.true_boxes(video, 1.0)
  height, width = clip.video_size
  frames = []
  for frame in clip.frames:
    boxes = np.zeros([0, 4], np.float32)
    if frame.number in truth:
      xmin, ymin, xmax, ymax = truth[frame.number]
      boxes = np.array(
        [[ymin / height, xmin / width, ymax / height, xmax / width]], np.float32
      )
    frames.append(
      frame._replace(
        boxes=np.clip(boxes, 0.0, 1.0), tracks=np.zeros(len(boxes), np.int64)
      )
    )
  return clip._replace(frames=frames, scores={0: 1.0}, ends=())


def _boxes_of(video: pathlib.Path) -> pathlib.Path:
  return video.parent / "boxes" / f"{video.stem}.csv"


def _write_manifest(path: pathlib.Path, films: Films) -> None:
  lines = [
    {"path": str(pathlib.Path(v.path).absolute())} for v in films.training
  ]
  with open(path, "w", newline="", encoding="utf-8") as stream:
    writer = csv.DictWriter(stream, ["path"])
    writer.writeheader()
    writer.writerows(lines)


def _find_tracks(manifest: pathlib.Path, folder: pathlib.Path) -> None:
  words = [sys.executable, "-m", "tools.track_regions", f"--videos={manifest}"]
  with child_process.start([*words, f"--output_dir={folder}"]) as child:
    code = child.wait()
  errors.require(
    code == 0, f"tools.track_regions: {child_process.how_it_ended(code)}"
  )


def _write_true_tracks(
  manifest: pathlib.Path, found: pathlib.Path, folder: pathlib.Path
) -> None:
  paths = {
    v.name: pathlib.Path(v.path) for v in videos.find_videos(str(manifest))
  }
  folder.mkdir(parents=True, exist_ok=True)
  for shard in sorted(found.glob("*.tfrecord")):
    with tf.io.TFRecordWriter(str(folder / shard.name)) as writer:
      for serialized in tf.data.TFRecordDataset(str(shard)):
        clip = track_records.parse(serialized.numpy())
        video = paths[clip.video]
        if _boxes_of(video).exists():
          clip = with_true_tracks(clip, video)
        writer.write(track_records.serialize(clip))


def markdown(rows: Sequence[dict[str, Any]], films: Films) -> str:
  """The table of means, and that of differences."""
  names = [f"{seconds:g} s" for seconds in object_alignment.SECONDS]
  of = {
    (kind, name): {r["seed"]: 100 * r[name] for r in rows if r["kind"] == kind}
    for kind in _CONFIGS
    for name in names
  }
  text = [
    f"How often the object of one of {len(films.left_out)} films left out is"
    " found again among one crop of each other, percent, after training on"
    f" {len(films.training)} films: mean over seeds with 95 % Student's t"
    f" interval. Processor: {machine.processor()}.",
    "",
    f"| trained on | seeds | {' | '.join(names)} | CPU minutes |",
    f"|---|---|{'---|' * len(names)}---|",
  ]
  for kind in _CONFIGS:
    done = [row for row in rows if row["kind"] == kind]
    if done:
      cells = [
        _cell(statistics.mean_interval([*of[kind, name].values()]), "")
        for name in names
      ]
      minutes = stats.fmean(row["cpu_minutes"] for row in done)
      text.append(
        f"| {kind} | {len(done)} | {' | '.join(cells)} | {minutes:.1f} |"
      )
  text += ["", f"| difference | {' | '.join(names)} |", "|---|" + "---|" * 3]
  for left, right in _ORDER:
    cells = [
      _cell(statistics.paired_difference(of[left, name], of[right, name]), "+")
      for name in names
    ]
    text.append(f"| {left} - {right} | {' | '.join(cells)} |")
  return "\n".join(text) + "\n"


def _cell(interval: statistics.MeanInterval | None, sign: str) -> str:
  if interval is None:
    return "–"
  mean, low, high = interval
  if low is None:
    return f"{mean:{sign}.1f}"
  return f"{mean:{sign}.1f} ({low:{sign}.1f}..{high:{sign}.1f})"


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs the command.

  Raises:
    UsageError: an argument cannot be used, or a run has failed.
  """
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--videos", required=True, type=pathlib.Path)
  parser.add_argument("--output_dir", required=True, type=pathlib.Path)
  parser.add_argument("--gin_bindings", action="append", default=[])
  parser.add_argument("--only", action="append", choices=list(_CONFIGS))
  parser.add_argument("--seeds", type=int, default=5)
  parser.add_argument("--runs", type=int, default=0)
  given = parser.parse_args(arguments)
  for name, least in (("seeds", 1), ("runs", 0)):
    value = getattr(given, name)
    errors.require(
      value >= least, f"--{name}={value}: expected at least {least}"
    )
  films = split(given.videos)
  folder = given.output_dir.absolute()
  key = {
    "training": [os.path.abspath(video.path) for video in films.training],
    "left_out": [os.path.abspath(path) for path in films.left_out],
    "gin_bindings": given.gin_bindings,
  }
  workdir.open_keyed(folder, key, "--output_dir", key_file=_KEY)
  manifest = folder / "training.csv"
  _write_manifest(manifest, films)
  sources = {_FOUND: folder / "found" / "shards", _TRUE: folder / "true"}
  if not given.only or set(given.only) & set(sources):
    _find_tracks(manifest, folder / "found")
    _write_true_tracks(manifest, sources[_FOUND], sources[_TRUE])
  crops = [object_alignment.crops_of(video, _CROP) for video in films.left_out]
  runs = [
    (kind, seed, folder / f"{kind.replace(' ', '_')}_seed{seed}")
    for seed in range(given.seeds)
    for kind in _CONFIGS
  ]
  chosen = [run for run in runs if not given.only or run[0] in given.only]
  waiting = [run for run in chosen if not (run[2] / _RESULT).exists()]
  done = len(chosen) - len(waiting)
  with progress.bar("runs", total=len(chosen), done=done, unit="run") as bar:
    for kind, seed, model_dir in waiting[: given.runs or None]:
      name = "TRACKS" if kind in sources else "VIDEOS"
      bindings = [
        f"{name}={str(sources.get(kind, manifest))!r}",
        f"SEED={seed}",
        *given.gin_bindings,
        *(_STEPS_OF_UNTRAINED if kind == "untrained" else ()),
      ]
      words = training_run.command(_CONFIGS[kind], model_dir, bindings)
      took = training_run.train(words, model_dir)
      encoder = tf.saved_model.load(str(model_dir / "saved_model"))
      found = object_alignment.measure(encoder.features, crops)
      workdir.write_json(
        model_dir / _RESULT,
        {
          "kind": kind,
          "seed": seed,
          **{f"{s:g} s": value.retrieval for s, value in found.items()},
          **took,
        },
      )
      _write(folder, runs, films)
      bar.update()
  print(_write(folder, runs, films), end="")
  left = len(waiting[given.runs :]) if given.runs else 0
  if left:
    print(f"{left} runs are left: run the command again.")


def _write(folder: pathlib.Path, runs, films: Films) -> str:
  """Writes both files; returns the text of the first."""
  rows = [
    workdir.read_json(model_dir / _RESULT)
    for _, _, model_dir in runs
    if (model_dir / _RESULT).exists()
  ]
  text = markdown(rows, films)
  workdir.write_text(folder / "track_training.md", text)
  workdir.write_text(folder / "track_training.csv", tables.csv_text(rows))
  return text


if __name__ == "__main__":
  script.run("track_training", main)
