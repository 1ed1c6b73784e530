"""Speed of exact kNN relative to a matrix product; see `benchmarks.downstream`.

Training features are a memory map on disk: 131,072 x 2,048, or with --full
ImageNet's 1,281,167 x 2,048 (10.5 GB). 50,000 test features would take 262
TFLOP, an hour on a small machine. So the benchmark measures --queries of them,
one batch of the search, against all training features; every batch costs the
same.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

from benchmarks import ratios

_WIDTH = 2048
_K = 200
_CLASSES = 1000
_BANK = 131_072
_FULL_BANK = 1_281_167
_TILE_COLUMNS = (1024, 4096)  # Of the matrix product; the faster counts.


def compare(arguments: argparse.Namespace) -> None:
  """Measures speed, exactness and memory."""
  size = _FULL_BANK if arguments.full else _BANK
  with tempfile.TemporaryDirectory() as folder:
    bank, queries = (
      _write(os.path.join(folder, name), rows, seed)
      for seed, (name, rows) in enumerate(
        (("bank.npy", size), ("queries.npy", arguments.queries))
      )
    )
    _compare_speed(bank, queries, arguments.rounds)
    _check_exact(bank, queries)
    del bank, queries
    few = min(arguments.queries, 1024)
    for rows in (size // 4, size):
      ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.downstream_knn", folder, f"{rows}"]
        + [f"{few}"],
        stdout=subprocess.PIPE,
        check=True,
      )
      idle, peak = json.loads(ended.stdout.splitlines()[-1])
      print(
        f"  memory, {few} queries against {rows:,}"
        f" ({rows * _WIDTH * 4 / 2**20:,.0f} MiB mapped): {peak - idle:.0f} MiB"
        f" beyond the {idle:.0f} MiB of the idle process",
        flush=True,
      )


def _write(path: str, rows: int, seed: int) -> np.ndarray:
  """Writes features like those after a ReLU and pooling; returns a map."""
  rng = np.random.default_rng(seed)
  means = np.random.default_rng(9).gamma(1.0, 0.4, [_CLASSES, _WIDTH])
  means = means.astype(np.float32)
  array = np.lib.format.open_memmap(
    path, "w+", dtype=np.float32, shape=(rows, _WIDTH)
  )
  for start in range(0, rows, 8192):
    labels = np.arange(start, min(start + 8192, rows)) % _CLASSES
    noise = rng.standard_exponential([len(labels), _WIDTH], np.float32)
    array[start : start + len(labels)] = means[labels] * noise
  array.flush()
  del array
  return np.load(path, mmap_mode="r")


def _compare_speed(bank, queries, rounds: int) -> None:
  from tf_ssl.evaluation.knn import classifier

  labels = np.arange(len(bank)) % _CLASSES
  truth = np.arange(len(queries)) % _CLASSES

  def ours(rows: int) -> float:
    start = time.perf_counter()
    classifier.classify(
      bank[:rows], labels[:rows], queries, truth, k=[_K], temperature=[0.07]
    )
    return time.perf_counter() - start

  _bare(bank, queries, 1)
  ours(8192)  # Compiles.
  spent = {"bare": [], "knn": []}
  for _ in range(rounds):
    spent["bare"].append(_bare(bank, queries, len(bank)))
    spent["knn"].append(ours(len(bank)))
  ratio = ratios.keep(
    f"speed of exact kNN against {len(bank):,} x {_WIDTH} over that of the bare"
    " matrix product",
    statistics.median(
      a / b for a, b in zip(spent["bare"], spent["knn"], strict=True)
    ),
    at_least=0.7,
  )
  bare, whole = (statistics.median(seconds) for seconds in spent.values())
  work = 2e-9 * len(bank) * len(queries) * _WIDTH
  print(
    f"kNN, {len(queries):,} queries against {len(bank):,} x {_WIDTH}, k {_K}:"
    f" {whole:.1f} s ({work / whole:.0f} GFLOP/s), the matrix product"
    f" {bare:.1f} s ({work / bare:.0f} GFLOP/s), ratio {ratio};"
    " 50,000 queries would take"
    f" {whole * 50_000 / len(queries) / 60:.0f} minutes",
    flush=True,
  )


def _bare(bank: np.ndarray, queries: np.ndarray, rows: int) -> float:
  """Seconds of the matrix product with `rows` rows of the bank, at its best.

  The arrays are in memory and multiplied repeatedly: nothing is read from the
  file, and the product is not used.
  """
  import tensorflow as tf

  query = tf.constant(queries)
  best = np.inf
  for columns in _TILE_COLUMNS:
    tile = tf.constant(bank[:columns])
    tf.matmul(query, tile, transpose_b=True).numpy()  # Warm-up.
    times = max(1, min(rows, 32_768) // columns)
    start = time.perf_counter()
    for _ in range(times):
      product = tf.matmul(query, tile, transpose_b=True)
    _ = product[0, 0].numpy()  # Waits for an accelerator.
    spent = time.perf_counter() - start
    best = min(best, spent * rows / (times * columns))
  return best


def _check_exact(bank, queries) -> None:
  """Compares the neighbors of some queries with those in float64."""
  from tf_ssl.evaluation.knn import neighbors

  few = queries[:: max(1, len(queries) // 8)][:8]
  query = few / np.linalg.norm(few.astype(np.float64), axis=1, keepdims=True)
  cosines = np.empty([len(few), len(bank)])
  for start in range(0, len(bank), 8192):
    part = np.asarray(bank[start : start + 8192], np.float64)
    part /= np.linalg.norm(part, axis=1, keepdims=True)
    cosines[:, start : start + 8192] = query @ part.T
  [found] = neighbors.nearest(bank, np.asarray(few), k=_K)
  best = -np.sort(-cosines, axis=1)[:, :_K]
  mine = np.take_along_axis(cosines, found.index, axis=1)
  different = sum(len(set(row)) != _K for row in found.index.tolist())
  error = np.abs(mine - best).max()
  if different or error > 1e-6:
    raise AssertionError(f"neighbors differ: cosines by {error}")
  print(
    f"  exact: the {_K} neighbors of {len(few)} queries equal those in float64,"
    f" cosines within {error:.1e}",
    flush=True,
  )


def _print_memory(folder: str, rows: int, count: int) -> None:
  """Prints the idle and the peak memory without mapped files, MiB."""
  from tf_ssl.evaluation.knn import classifier

  bank = np.load(os.path.join(folder, "bank.npy"), mmap_mode="r")[:rows]
  queries = np.load(os.path.join(folder, "queries.npy"), mmap_mode="r")[:count]
  labels = np.arange(rows) % _CLASSES
  truth = np.arange(count) % _CLASSES

  def classify(bank, labels):
    classifier.classify(
      bank, labels, queries, truth, k=[_K], temperature=[0.07]
    )

  classify(bank[:8192], labels[:8192])  # Compiles.
  idle = peak = _anonymous()
  over = threading.Event()

  def watch():
    nonlocal peak
    while not over.wait(0.005):
      peak = max(peak, _anonymous())

  watcher = threading.Thread(target=watch)
  watcher.start()
  classify(bank, labels)
  over.set()
  watcher.join()
  print(json.dumps([idle, peak]))


def _anonymous() -> float:
  """Memory of this process without mapped files, MiB."""
  for line in pathlib.Path("/proc/self/status").read_text().splitlines():
    if line.startswith("RssAnon"):
      return int(line.split()[1]) / 1024
  raise RuntimeError("no RssAnon in /proc/self/status")


if __name__ == "__main__":
  _print_memory(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
