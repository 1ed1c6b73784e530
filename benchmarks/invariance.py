"""Time and memory of an invariance score, compared to the authors' program.

    python -m benchmarks.invariance

The features have the size of the Amsterdam Library of Object Images: 1,000 sets
of 72 images, 2,048 units, float32, half of the values 0 as after a ReLU. The
reference sorts every unit twice, as the program of Purushwalkam & Gupta 2020
does. It is timed on some of the units, since each of its steps takes time in
proportion to their number, and its score must equal ours on these to the last
digit. Times are the best of several; ours and the reference's alternate. Peak
memory includes the features and excludes the imports.
"""

import argparse
import pathlib
import tempfile
import time
from collections.abc import Callable

import numpy as np

from benchmarks import ratios
from tf_ssl.invariance import (
  chance,
  cross_fitted,
  decoding,
  intervals,
  matched,
  whole,
)
from tf_ssl.invariance import score as score_lib


def main() -> None:
  """Measures and prints the numbers."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--sets", type=int, default=1000)
  parser.add_argument("--images", type=int, default=72, help="per set")
  parser.add_argument("--units", type=int, default=2048)
  parser.add_argument("--classes", type=int, help="default: one per set")
  parser.add_argument("--reference_units", type=int, default=128)
  parser.add_argument("--repeats", type=int, default=3)
  arguments = parser.parse_args()
  measure = score_lib.representation_invariance_score
  _warm_up()

  idle = _memory("VmRSS")
  sets = np.repeat(np.arange(arguments.sets), arguments.images)
  classes = arguments.classes and sets % arguments.classes
  shape = (len(sets), arguments.units)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "features.npy"
    _write_features(path, shape, arguments.images)
    mapped = np.load(path, mmap_mode="r")
    size = mapped.nbytes
    print(f"{shape[0]:,} x {shape[1]:,}, {size / 1e6:.0f} MB")
    _reset_peak()
    mapped_seconds = _seconds(lambda: measure(mapped, sets, classes))
    mapped_peak = (_memory("VmHWM") - idle) / size
    _reset_peak()
    features = np.load(path)
  score = measure(features, sets, classes)
  peak = ratios.keep(
    "peak memory of an invariance score over its features",
    (_memory("VmHWM") - idle) / size,
    at_most=1.3,
  )
  print(f"peak memory, array: {peak} x features")
  print(f"peak memory, memory map: {mapped_peak:.2f} x features")

  some = np.ascontiguousarray(features[:, : arguments.reference_units])
  scale = arguments.units / arguments.reference_units
  class_of = sets if classes is None else classes
  theirs = _authors_scores(some, sets, class_of)
  if measure(some, sets, classes).scores != theirs:
    raise AssertionError("the scores differ from the authors'")
  calls = {
    "score": lambda: measure(features, sets, classes),
    "reference": lambda: _authors_scores(some, sets, class_of),
    "bootstrap": lambda: intervals.intervals(score, resamples=1000),
  }
  seconds = {name: np.inf for name in calls}
  for _ in range(arguments.repeats):
    for name, call in calls.items():
      seconds[name] = min(seconds[name], _seconds(call))
  seconds["reference"] *= scale
  ratio = ratios.keep(
    f"time of the authors' sorting over our score's, {shape[0]:,} images,"
    f" {shape[1]:,} units",
    seconds["reference"] / seconds["score"],
    at_least=10,
  )
  resampling = ratios.keep(
    "time of 1,000 bootstrap resamples over the score's",
    seconds["bootstrap"] / seconds["score"],
    at_most=1,
  )
  print(f"score: {seconds['score']:.2f} s")
  print(
    f"authors' sorting: {seconds['reference']:.1f} s ({scale:g} x that of"
    f" {arguments.reference_units} units), {ratio} x the score"
  )
  print(
    f"bootstrap, 1,000 resamples: {seconds['bootstrap']:.2f} s,"
    f" {resampling} x the score"
  )
  permuted = _seconds(lambda: chance.chance_score(features, sets, classes))
  print(
    f"chance level, 5 permutations: {permuted:.2f} s,"
    f" {permuted / seconds['score']:.2f} x the score"
  )
  factor = np.random.default_rng(1).standard_normal([len(sets), 2])
  further = {
    "matched, 1,000 resamples": lambda: intervals.replicates(
      matched.at(score, max(100, arguments.units // 4))
    ),
    "cross-fitted": lambda: cross_fitted.cross_fitted(score),
    "whole representation": lambda: whole.whole(features, score.sets),
    "decoded factor": lambda: decoding.decode(features, factor, sets),
  }
  # Processor time, which other jobs change less: they run side by side.
  bootstrap = _processor_seconds(calls["bootstrap"], arguments.repeats)
  for name, call in further.items():
    spent = _processor_seconds(call, arguments.repeats)
    print(
      f"{name}: {spent:.2f} s of processor time, {spent / bootstrap:.2f} x the"
      f" bootstrap's {bootstrap:.2f} s"
    )
  for k, interval in intervals.intervals(score).items():
    print(f"K = {k}: {interval}")
  print(
    f"memory map: {mapped_seconds:.2f} s,"
    f" {mapped_seconds / seconds['score']:.2f} x the score of the array"
  )


def _write_features(
  path: pathlib.Path, shape: tuple[int, int], num_images: int
) -> None:
  """Writes units with an effect of the set: [N, D] float32."""
  rng = np.random.default_rng(0)
  features = np.lib.format.open_memmap(path, "w+", np.float32, shape)
  for start in range(0, len(features), num_images):
    images = rng.standard_normal([num_images, shape[1]], np.float32)
    images += rng.standard_normal(shape[1], np.float32)
    features[start : start + num_images] = np.maximum(images, 0)


def _authors_scores(
  features: np.ndarray, sets: np.ndarray, classes: np.ndarray
) -> dict[int, float]:
  """Scores of the authors' program, each step on all units at once."""
  names = np.unique(classes)
  percent = min((1.0 - 1.0 / len(names)) * 100, 95)
  place = int(len(features) * percent // 100)
  high = np.sort(features, axis=0)[place]
  global_rate = (features >= high).mean(axis=0)
  low = -np.sort(-features, axis=0)[place]
  (features < low).mean(axis=0)  # Unused; the program computes it, too.
  rate, number = np.zeros([2, len(names), features.shape[1]])
  for one in np.unique(sets):
    rows = np.where(sets == one)[0]
    if len(rows) < 3:
      continue
    images = features[rows]
    fired = np.maximum((images > high).sum(axis=0), (images < low).sum(axis=0))
    row = np.searchsorted(names, classes[rows[0]])
    rate[row] += fired / len(rows)
    number[row] += fired > 0
  local = rate / (number + 1e-20) / global_rate
  best = -np.sort(-local, axis=1)
  running = np.cumsum(best, axis=1)
  return {k: np.mean(running[:, k - 1] / k) * (100 - percent) for k in (10, 25)}


def _warm_up() -> None:
  """Loads libraries and starts threads before anything is timed."""
  features = np.random.default_rng(0).normal(size=(100, 32))
  sets = np.repeat(np.arange(20), 5)
  score = score_lib.representation_invariance_score(features, sets, sets % 4)
  intervals.intervals(score, resamples=10)


def _seconds(call: Callable[[], object]) -> float:
  began = time.perf_counter()
  call()
  return time.perf_counter() - began


def _processor_seconds(call: Callable[[], object], repeats: int) -> float:
  """Least processor time of all threads in some calls."""
  spent = []
  for _ in range(repeats):
    started = time.process_time()
    call()
    spent.append(time.process_time() - started)
  return min(spent)


def _memory(key: str) -> int:
  """Bytes in /proc/self/status: VmRSS for now, VmHWM for the peak."""
  status = pathlib.Path("/proc/self/status").read_text()
  return 1024 * int(status.split(f"{key}:")[1].split()[0])


def _reset_peak() -> None:
  pathlib.Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
  main()
