"""Measures the speed of frame pairs and of track mining.

    python -m benchmarks.video --videos=../shared/data/videos/davis2016

It measures ratios, each within one run:

-   an epoch of frame pairs, from video files to training batches, compared with
    PyAV's sequential decoding of these files;
-   reading the shards of tracks, compared with decoding their frames again;
-   tracking: frames per second of one core, fraction of selective search, and
    two processes compared with one.

benchmarks/video_memory.py measures the memory for an hour-long video. Videos
are repeated --repeat times to amortize the start; the time of mining is the
difference of a long and a short run.
"""

import argparse
import functools
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

import av
import cv2

from benchmarks import ratios


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--videos", default="../shared/data/videos/davis2016")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--repeat", type=int, default=4)
  parser.add_argument("--only", choices=["pairs", "tracking"])
  arguments = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    source = _repeated(arguments.videos, arguments.repeat, folder)
    if arguments.only != "tracking":
      _pairs(source, arguments.rounds)
    if arguments.only != "pairs":
      _tracking(source, arguments.rounds)


def _repeated(source: str, times: int, folder: str) -> str:
  """Writes a manifest that repeats every video under other names."""
  from tf_ssl.video.source import videos

  rows = ["path"]
  for number in range(times):
    os.mkdir(os.path.join(folder, str(number)))
    for video in videos.find_videos(source):
      name = os.path.join(folder, str(number), os.path.basename(video.path))
      os.symlink(os.path.abspath(video.path), name)
      rows.append(name)
  path = os.path.join(folder, "videos.csv")
  pathlib.Path(path).write_text("\n".join(rows) + "\n")
  return path


def _pairs(source: str, rounds: int) -> None:
  from tf_ssl.augment import recipes
  from tf_ssl.input_pipeline import video_frames, view_batches
  from tf_ssl.video.source import videos

  found = videos.find_videos(source)
  batch_size = min(32, len(found))

  def batches():
    with tempfile.TemporaryDirectory() as folder:
      records = video_frames.frame_pairs(
        source=source, seconds=0.5, frames_dir=folder
      )
      made = view_batches.view_batches(
        records,
        recipe=recipes.moco_v2(),
        image_size=96,
        batch_size=batch_size,
        seed=0,
        num_steps=records.num_examples // batch_size,
        deterministic=False,
      )
      return sum(1 for _ in made)

  batches()  # Compiles.
  seconds = _in_turn(
    {"bare": lambda: _decode_all(found), "batches": batches}, rounds
  )
  _say(
    "speed of frame pairs in batches over PyAV's decoding",
    seconds,
    "bare",
    "batches",
    at_least=0.7,
  )


def _decode_all(found) -> None:
  for video in found:
    with av.open(video.path) as container:
      stream = container.streams.video[0]
      stream.thread_type = "AUTO"
      for frame in container.decode(stream):
        frame.to_ndarray(format="rgb24")


def _tracking(source: str, rounds: int) -> None:
  from tf_ssl.video.mining import mine_videos, mining, track_store
  from tf_ssl.video.source import videos
  from tf_ssl.video.tracking import region_features, region_proposals

  cv2.setNumThreads(1)
  found = videos.find_videos(source)
  settings = mining.MiningSettings()
  with tempfile.TemporaryDirectory() as folder:
    short = os.path.join(folder, "short.csv")
    rows = [f"{video.path},0,0.3\n" for video in found[:2]]
    pathlib.Path(short).write_text("path,start,end\n" + "".join(rows))
    spent = {}
    for processes in (1, 2):
      seconds = {short: [], source: []}
      # The start is measured twice, because the first is from a cold disk.
      for run, what in enumerate((short, short, source)):
        began = time.perf_counter()
        summary = mine_videos.mine_videos(
          what,
          os.path.join(folder, f"{processes}_{run}"),
          settings=settings,
          processes=processes,
          say=lambda line: None,
        )
        seconds[what].append(time.perf_counter() - began)
      spent[processes] = min(seconds[source]) - min(seconds[short])
    shards = track_store.TrackStore(os.path.join(folder, "1_2")).shards()
    seconds = _in_turn(
      {
        "decoding": lambda: _decode_again(found, settings),
        "shards": lambda: _read(shards),
      },
      rounds,
    )
  _say(
    "speed of reading shards of tracks over decoding again",
    seconds,
    "decoding",
    "shards",
    at_least=5,
  )
  frames = summary["frames"]
  ratio = ratios.keep(
    "speed of tracking in two processes over one",
    spent[1] / spent[2],
    at_least=1.7,
  )
  print(
    f"two processes over one: {ratio} times as fast"
    f" ({frames / spent[1]:.1f} and {frames / spent[2]:.1f} frames/s)"
  )
  _one_core(found, settings, region_features.Histograms(), region_proposals)


def _decode_again(found, settings) -> None:
  from tf_ssl.video.decoding import decode

  for video in found:
    for _ in decode.iterate_frames(
      video, every_seconds=1 / settings.rate, size=settings.frame_size
    ):
      pass


def _read(shards) -> None:
  import tensorflow as tf

  from tf_ssl.ops import jpeg
  from tf_ssl.video.mining import track_records

  for record in tf.data.TFRecordDataset([str(path) for path in shards]):
    for frame in track_records.parse(record.numpy()).frames:
      jpeg.decode(frame.encoded)


def _one_core(found, settings, describe, region_proposals) -> None:
  """Tracks in this process and measures CPU time."""
  from tf_ssl.video.decoding import decode
  from tf_ssl.video.mining import mining
  from tf_ssl.video.tracking import region_tracks

  clock = time.process_time
  proposing = total = 0.0
  count = 0

  def propose(image):
    nonlocal proposing
    began = clock()
    boxes = region_proposals.several_searches(image)
    proposing += clock() - began
    return boxes

  for video in found:
    frames, between = [], []
    for frame, is_sampled in mining.with_between(
      functools.partial(decode.iterate_frames, video, size=settings.frame_size),
      rate=settings.rate,
      settings=settings,
    ):
      small = mining.small(frame.image, settings)
      if is_sampled:
        frames.append(small)
        between.append([])
      else:
        between[-1].append(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    began = clock()
    region_tracks.find(
      frames,
      between,
      rate=settings.rate,
      describe=describe,
      propose=propose,
      settings=settings.tracking,
      limit=settings.tracks_per_stretch,
    )
    total += clock() - began
    count += len(frames)
  name = (
    f"{settings.tracking.matcher}, {mining.tracked_width(settings)} px wide"
  )
  speed = ratios.keep(
    f"region tracking of one core, {name}",
    count / total,
    unit="frames/s",
    at_least=10,
  )
  share = ratios.keep(
    f"selective search's share of region tracking, {name}",
    proposing / total,
    unit=ratios.PERCENT,
    at_most=0.7,
  )
  print(f"tracking, {name}: {speed} per core; selective search {share} of it")


def _in_turn(
  ways: dict[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
  """Measures each function in turn, seconds."""
  seconds = {name: [] for name in ways}
  for _ in range(rounds):
    for name, way in ways.items():
      began = time.perf_counter()
      way()
      seconds[name].append(time.perf_counter() - began)
  return seconds


def _say(
  question: str, seconds, peer: str, ours: str, *, at_least: float
) -> None:
  each = [p / o for p, o in zip(seconds[peer], seconds[ours], strict=True)]
  ratio = ratios.keep(question, statistics.median(each), at_least=at_least)
  print(
    f"{question}: {ratio}; median of {len(each)}:"
    f" {', '.join(f'{one:.2f}' for one in each)}",
    flush=True,
  )


if __name__ == "__main__":
  main()
