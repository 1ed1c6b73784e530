"""Speed-up of linear SVMs on all cores; see `benchmarks.downstream`.

20 classes x 11 costs x 3 folds and 20 final fits, as on VOC07: 5,011 training
images x 2,048 with --full, 1,200 x 256 by default.
"""

import argparse
import contextlib
import io
import os
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np
import psutil

from benchmarks import ratios

_CLASSES = 20
_SIZES = {False: (1200, 256), True: (5011, 2048)}
_LARGE = 1 << 20  # Bytes; smaller files belong to libraries.


def compare(arguments: argparse.Namespace) -> None:
  """Measures speed-up, copies of the features, and a second call."""
  from tf_ssl.evaluation.svm import annotated_examples, fits, linear_svm

  rows, width = _SIZES[arguments.full]
  cores = len(os.sched_getaffinity(0))
  settings = fits.SvmSettings()
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "features.npy")
    targets = _write(path, rows, width)
    features = np.load(path, mmap_mode="r")
    side = annotated_examples.Side(features, np.arange(rows), targets)

    def run(log: str, workers: int):
      with contextlib.redirect_stderr(io.StringIO()):  # Progress bars.
        return linear_svm.evaluate(
          side,
          side,
          settings,
          log=os.path.join(folder, log),
          workers=workers,
        )

    run("warm", cores)  # Starts the workers and fills caches.
    os.remove(os.path.join(folder, "warm"))
    seen = {}
    for log, workers in (("one", 1), ("all", cores), ("all", cores)):
      name = "again" if log in seen else log
      seen[name] = _watched(lambda log=log, n=workers: run(log, n), path)
    lines = [
      line
      for line in pathlib.Path(folder, "all").read_text().splitlines()
      if line
    ]
  found = seen["all"]["result"]
  for name in ("one", "again"):
    other = seen[name]["result"]
    if not np.array_equal(other.cross_validated, found.cross_validated):
      raise AssertionError(f"{name}: the results differ")
  one, all_, again = (seen[name]["seconds"] for name in ("one", "all", "again"))
  used = seen["all"]["cpu"] / all_
  speedup = ratios.keep(
    f"speed of linear SVMs in {cores} processes over one", one / all_
  )
  print(
    f"SVMs, {rows} x {width}, {found.fits} fits: {one:.1f} s in one process,"
    f" {all_:.1f} s in {cores}, {speedup} times as fast, {used:.2f} of"
    f" {cores} cores busy; file copies of the features for {cores} workers:"
    f" {seen['all']['copies'] / 2**20:.1f} MiB; private memory of the workers"
    f" at most {seen['all']['private'] / 2**20:.0f} MiB; {len(lines)} jobs"
    f" logged, each once: {len(set(lines)) == len(lines)}; a second call"
    f" {again:.1f} s",
    flush=True,
  )


def _write(path: str, rows: int, width: int) -> np.ndarray:
  """Writes noisy features of random classes; returns targets [rows, C]."""
  rng = np.random.default_rng(0)
  targets = (rng.uniform(size=[rows, _CLASSES]) < 0.08).astype(np.int8)
  directions = rng.normal(size=[_CLASSES, width])
  features = rng.normal(size=[rows, width]) + 0.15 * (targets @ directions)
  np.save(path, np.maximum(features, 0).astype(np.float32))
  return targets


def _watched(run: Callable, path: str) -> dict:
  """Runs and measures: result, seconds, CPU seconds, memory, copies."""
  me = psutil.Process()
  seen = {"private": 0, "copies": 0}
  over = threading.Event()

  def watch():
    while not over.wait(0.2):
      private, copies = 0, {}
      for process in me.children(recursive=True):
        with contextlib.suppress(psutil.Error):
          private += process.memory_full_info().uss
          for each in process.memory_maps(grouped=False):
            named = each.path.startswith("/") and ".so" not in each.path
            if named and each.path != path and each.rss > _LARGE:
              copies[each.path] = each.rss
      seen["private"] = max(seen["private"], private)
      seen["copies"] = max(seen["copies"], sum(copies.values()))

  watcher = threading.Thread(target=watch)
  watcher.start()
  start, before = time.perf_counter(), _cpu_seconds(me)
  result = run()
  spent = time.perf_counter() - start
  cpu = _cpu_seconds(me) - before
  over.set()
  watcher.join()
  return seen | {"result": result, "seconds": spent, "cpu": cpu}


def _cpu_seconds(me: psutil.Process) -> float:
  """CPU seconds of this process and its children, ended ones included."""
  total = 0.0
  for process in (me, *me.children(recursive=True)):
    with contextlib.suppress(psutil.Error):
      times = process.cpu_times()
      total += sum(times[:4]) if process == me else sum(times[:2])
  return total
