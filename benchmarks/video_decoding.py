"""Measures the speed of decoding in a child process, relative to PyAV's loop.

Decodes one video repeatedly in three ways and prints medians:

    python -m benchmarks.video_decoding --video=some.mp4 --rounds=5
"""

import argparse
import statistics
import time
from collections.abc import Callable

import av

from tf_ssl.video.decoding import decode, isolated
from tf_ssl.video.source import videos


def main() -> None:
  """Measures and prints frames per second and ratios."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--video", required=True)
  parser.add_argument("--rounds", type=int, default=5)
  arguments = parser.parse_args()
  [video] = videos.find_videos(arguments.video)
  with isolated.Decoder() as decoder:
    ways = {
      "PyAV's loop": lambda: _bare(video),
      "decode.iterate_frames": lambda: _count(decode.iterate_frames(video)),
      "isolated.Decoder": lambda: _count(decoder.iterate_frames(video)),
    }
    speeds = {name: [] for name in ways}
    for way in ways.values():  # Caches files and starts the process.
      way()
    for _ in range(arguments.rounds):
      for name, way in ways.items():
        speeds[name].append(_speed(way))
  bare = speeds["PyAV's loop"]
  for name, measured in speeds.items():
    ratios = [m / b for m, b in zip(measured, bare, strict=True)]
    print(
      f"{name:24} {statistics.median(measured):7.1f} frames/s, "
      f"{statistics.median(ratios):.2f} of PyAV's loop"
    )


def _bare(video: videos.Video) -> int:
  count = 0
  with av.open(video.path) as container:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    for frame in container.decode(stream):
      frame.to_ndarray(format="rgb24")
      count += 1
  return count


def _count(found) -> int:
  return sum(1 for _ in found)


def _speed(way: Callable[[], int]) -> float:
  start = time.perf_counter()
  count = way()
  return count / (time.perf_counter() - start)


if __name__ == "__main__":
  main()
