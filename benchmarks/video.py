"""How fast videos become batches and tracks, and in how much memory.

    python -m benchmarks.video --videos=../shared/data/videos/davis2016

Questions, each answered with ratios measured in one run:

-   an epoch of frame pairs, from video files to training batches, against
    PyAV's bare sequential decoding of the same files;
-   reading tracks' shards against decoding their frames again;
-   following regions: frames a second of one core, the share of selective
    search, and two processes against one;
-   with --hour: what an hour-long video, made here, takes of memory beyond the
    idle process. Only a frame every two seconds is looked at, in stretches of
    as many frames as usual.

The videos are taken --repeat times over, so that starting does not count much;
of mining, what a long run takes beyond a short one.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import av
import cv2
import numpy as np

_HOUR = 3600  # seconds
_HOURS_FPS = 5
_HOURS_RATE = 0.5


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--videos", default="../shared/data/videos/davis2016")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--repeat", type=int, default=4)
  parser.add_argument("--hour", action="store_true", help="and that alone")
  parser.add_argument("--peak_memory_of", help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  if arguments.peak_memory_of:
    _print_peak_memory(arguments.peak_memory_of)
  elif arguments.hour:
    _hour()
  else:
    with tempfile.TemporaryDirectory() as folder:
      source = _repeated(arguments.videos, arguments.repeat, folder)
      _pairs(source, arguments.rounds)
      _tracking(source, arguments.rounds)


def _repeated(source: str, times: int, folder: str) -> str:
  """A manifest with every video so many times, by other names."""
  from tf_ssl.video import videos

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
  from tf_ssl.video import videos

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

  batches()  # compiles
  seconds = _in_turn(
    {"bare": lambda: _decode_all(found), "batches": batches}, rounds
  )
  _say("pairs in batches over PyAV's bare decoding", seconds, "bare", "batches")


def _decode_all(found) -> None:
  for video in found:
    with av.open(video.path) as container:
      stream = container.streams.video[0]
      stream.thread_type = "AUTO"
      for frame in container.decode(stream):
        frame.to_ndarray(format="rgb24")


def _tracking(source: str, rounds: int) -> None:
  from tf_ssl.video import (
    mine_videos,
    mining,
    region_features,
    region_proposals,
    track_store,
    videos,
  )

  cv2.setNumThreads(1)
  found = videos.find_videos(source)
  settings = mining.MiningSettings()
  with tempfile.TemporaryDirectory() as folder:
    short = os.path.join(folder, "short.csv")
    rows = [f"{video.path},0,0.3\n" for video in found[:2]]
    pathlib.Path(short).write_text("path,start,end\n" + "".join(rows))
    spent = dict.fromkeys((1, 2), 0.0)
    for processes in spent:
      for what, sign in ((short, -1), (source, 1)):
        began = time.perf_counter()
        summary = mine_videos.mine_videos(
          what,
          os.path.join(folder, f"{processes}{sign}"),
          settings=settings,
          processes=processes,
          say=lambda line: None,
        )
        spent[processes] += sign * (time.perf_counter() - began)
    shards = track_store.TrackStore(os.path.join(folder, "11")).shards()
    seconds = _in_turn(
      {
        "decoding": lambda: _decode_again(found, settings),
        "shards": lambda: _read(shards),
      },
      rounds,
    )
  _say("reading shards over decoding again", seconds, "decoding", "shards")
  frames = summary["frames"]
  print(
    f"two processes over one: {spent[1] / spent[2]:.2f} times as fast"
    f" ({frames / spent[1]:.1f} and {frames / spent[2]:.1f} frames/s)"
  )
  _one_core(found, settings, region_features.Histograms(), region_proposals)


def _decode_again(found, settings) -> None:
  from tf_ssl.video import decode

  for video in found:
    for _ in decode.iterate_frames(
      video, every_seconds=1 / settings.rate, size=settings.frame_size
    ):
      pass


def _read(shards) -> None:
  import tensorflow as tf

  from tf_ssl.video import jpeg, track_records

  for record in tf.data.TFRecordDataset([str(path) for path in shards]):
    for frame in track_records.parse(record.numpy()).frames:
      jpeg.decode(frame.encoded)


def _one_core(found, settings, describe, region_proposals) -> None:
  """Mines in this process, by the processor's time."""
  from tf_ssl.video import decode, tracker

  clock = time.process_time
  proposing = total = 0.0
  count = 0

  def propose(image):
    nonlocal proposing
    began = clock()
    boxes = region_proposals.selective_search(image)
    proposing += clock() - began
    return boxes

  for video in found:
    frames = [
      cv2.resize(
        frame.image,
        (
          settings.width,
          round(frame.image.shape[0] * settings.width / frame.image.shape[1]),
        ),
        interpolation=cv2.INTER_AREA,
      )
      for frame in decode.iterate_frames(
        video, every_seconds=1 / settings.rate, size=settings.frame_size
      )
    ]
    began = clock()
    tracker.track(
      frames,
      rate=settings.rate,
      describe=describe,
      propose=propose,
      settings=settings.tracking,
    )
    total += clock() - began
    count += len(frames)
  print(
    f"following regions, {settings.width} px wide: {count / total:.1f} frames/s"
    f" a core; selective search {100 * proposing / total:.0f} % of it"
  )


def _in_turn(
  ways: dict[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
  """Seconds of each way, the ways in turn."""
  seconds = {name: [] for name in ways}
  for _ in range(rounds):
    for name, way in ways.items():
      began = time.perf_counter()
      way()
      seconds[name].append(time.perf_counter() - began)
  return seconds


def _say(question: str, seconds, peer: str, ours: str) -> None:
  ratios = [p / o for p, o in zip(seconds[peer], seconds[ours], strict=True)]
  print(
    f"{question}: {statistics.median(ratios):.2f} (median of {len(ratios)};"
    f" {', '.join(f'{ratio:.2f}' for ratio in ratios)})",
    flush=True,
  )


def _hour() -> None:
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "hour.mp4")
    _write_hour(path)
    print(f"an hour, {os.path.getsize(path) / 2**20:.0f} MiB", flush=True)
    subprocess.run(
      [sys.executable, "-m", "benchmarks.video", f"--peak_memory_of={path}"],
      check=True,
    )


def _write_hour(path: str) -> None:
  """A disc that circles over a slowly moving ground, 640 x 360."""
  rng = np.random.default_rng(0)
  ground = rng.integers(60, 190, [90, 320, 3], np.uint8)
  ground = cv2.resize(ground, (1280, 360), interpolation=cv2.INTER_CUBIC)
  with av.open(path, "w") as output:
    stream = output.add_stream("libx264", rate=_HOURS_FPS)
    stream.width, stream.height = 640, 360
    stream.options = {"preset": "ultrafast", "crf": "30"}
    for number in range(_HOUR * _HOURS_FPS):
      image = np.ascontiguousarray(np.roll(ground, -number, 1)[:, :640])
      angle = number / 40
      place = (
        round(320 + 200 * np.cos(angle)),
        round(180 + 90 * np.sin(angle)),
      )
      cv2.circle(image, place, 50, (220, 60, 40), -1)
      output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    output.mux(stream.encode(None))


def _print_peak_memory(path: str) -> None:
  import psutil

  from tf_ssl.video import isolated, mining, videos

  cv2.setNumThreads(1)
  me = psutil.Process()

  def memory():
    total = 0
    for process in (me, *me.children(recursive=True)):
      try:
        total += process.memory_info().rss
      except psutil.NoSuchProcess:
        pass
    return total

  usual = mining.MiningSettings()
  settings = usual._replace(
    rate=_HOURS_RATE,
    stretch_seconds=usual.stretch_seconds * usual.rate / _HOURS_RATE,
  )
  idle = peak = memory()
  over = threading.Event()

  def watch():
    nonlocal peak
    while not over.wait(0.05):
      peak = max(peak, memory())

  watcher = threading.Thread(target=watch)
  watcher.start()
  began = time.perf_counter()
  with isolated.Decoder(num_threads=1) as decoder:
    video = videos.Video(path, pathlib.Path(path).name)
    clips = mining.mine(video, decoder, settings=settings)
    counts = [(len(clip.frames), len(clip.scores)) for clip in clips]
  over.set()
  watcher.join()
  frames, tracks = np.sum(counts, 0)
  print(
    f"an hour mined: {(peak - idle) / 1e6:.0f} MB beyond the idle process's"
    f" {idle / 1e6:.0f}, with the decoder's own process; {frames} frames in"
    f" {len(counts)} stretches, {tracks} tracks,"
    f" {time.perf_counter() - began:.0f} s"
  )


if __name__ == "__main__":
  main()
