"""Measures the memory of mining an hour-long video.

    python -m benchmarks.video_memory

Writes the video and mines it in a child process. One frame per two seconds is
sampled, in stretches of the usual number of frames, key frames and frames
between, on which memory depends.
Prints the peak memory of the process and its decoder, minus their memory when
idle.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import av
import cv2
import numpy as np

from benchmarks import ratios

_HOUR = 3600  # seconds
_FPS = 2
_RATE = 0.5


def main() -> None:
  """Measures and prints."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--peak_memory_of", help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  if arguments.peak_memory_of:
    _print_peak_memory(arguments.peak_memory_of)
  else:
    _hour()


def _hour() -> None:
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "hour.mp4")
    _write_hour(path)
    print(f"an hour, {os.path.getsize(path) / 2**20:.0f} MiB", flush=True)
    subprocess.run(
      [
        sys.executable,
        "-m",
        "benchmarks.video_memory",
        f"--peak_memory_of={path}",
      ],
      check=True,
    )


def _write_hour(path: str) -> None:
  """Writes a disc that circles over a moving background, 640 x 360."""
  rng = np.random.default_rng(0)
  ground = rng.integers(60, 190, [90, 320, 3], np.uint8)
  ground = cv2.resize(ground, (1280, 360), interpolation=cv2.INTER_CUBIC)
  with av.open(path, "w") as output:
    stream = output.add_stream("libx264", rate=_FPS)
    stream.width, stream.height = 640, 360
    stream.options = {"preset": "ultrafast", "crf": "30"}
    for number in range(_HOUR * _FPS):
      image = np.ascontiguousarray(np.roll(ground, -number, 1)[:, :640])
      angle = number / 16
      place = (
        round(320 + 200 * np.cos(angle)),
        round(180 + 90 * np.sin(angle)),
      )
      cv2.circle(image, place, 50, (220, 60, 40), -1)
      output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    output.mux(stream.encode(None))


def _print_peak_memory(path: str) -> None:
  import psutil

  from tf_ssl.video.decoding import isolated
  from tf_ssl.video.mining import mining
  from tf_ssl.video.source import videos

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
  slower = usual.rate / _RATE
  settings = usual._replace(
    rate=_RATE,
    motion_rate=usual.motion_rate / slower,
    stretch_seconds=usual.stretch_seconds * slower,
    tracking=usual.tracking._replace(
      key_seconds=usual.tracking.key_seconds * slower
    ),
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
  beyond = ratios.keep(
    "memory for an hour-long video beyond the idle process",
    (peak - idle) / 1e6,
    unit="MB",
    at_most=500,
  )
  print(
    f"an hour mined: {beyond} above"
    f" {idle / 1e6:.0f} MB when idle, including the decoder's"
    f" process; {frames} frames in"
    f" {len(counts)} stretches, {tracks} tracks,"
    f" {time.perf_counter() - began:.0f} s"
  )


if __name__ == "__main__":
  main()
