"""Fits many linear SVMs in parallel, on one shared copy of the features.

Workers are processes that map the feature file; each copies only the rows that
it trains on. Threads are not an option: liblinear draws from one generator per
process, so that fits would influence each other. Workers end with their parent,
even if that is killed. Finished fits are kept in a file. Workers import this
module, so it does not import TensorFlow.
"""

import dataclasses
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn import exceptions, preprocessing, svm

from tf_ssl import errors
from tf_ssl.evaluation.svm import average_precision
from tf_ssl.ops import child_process, progress, workdir

COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
_ROWS = 1024  # Test features in memory at once.


@dataclasses.dataclass(frozen=True, kw_only=True)
class SvmSettings:
  """How an SVM is trained; METHODS 7, the values of VISSL's VOC07 benchmark.

  Squared hinge loss, L2 penalty, dual form, features of unit length.

  Attributes:
    costs: grid of C, different numbers > 0.
    positive_weight: weight of an example of the class; others have weight 1.
    tolerance: liblinear's stopping criterion.
    max_iterations: largest number of liblinear's iterations.
    seed: seed of liblinear's order of examples.
  """

  costs: Sequence[float] = COSTS
  positive_weight: float = 2.0
  tolerance: float = 1e-4
  max_iterations: int = 2000
  seed: int = 0

  def __post_init__(self):
    """Checks the settings."""
    costs = set(self.costs)
    errors.require(
      costs and min(costs) > 0 and len(costs) == len(self.costs),
      f"costs are {self.costs}; expected different numbers above 0, such as "
      "(0.1, 1.0, 10.0); change COSTS",
    )
    errors.require(
      self.positive_weight > 0 and self.tolerance > 0,
      f"positive_weight is {self.positive_weight} and tolerance "
      f"{self.tolerance}; expected numbers above 0",
    )
    errors.require(
      self.max_iterations >= 1,
      f"max_iterations is {self.max_iterations}; expected at least 1",
    )

  def classifier(self, cost: float) -> svm.LinearSVC:
    """An SVM to fit, for labels 1 and -1.

    Args:
      cost: C, > 0.
    """
    return svm.LinearSVC(
      C=cost,
      penalty="l2",
      loss="squared_hinge",
      dual=True,
      tol=self.tolerance,
      max_iter=self.max_iterations,
      class_weight={1: self.positive_weight, -1: 1.0},
      random_state=self.seed,
    )

  def report(self) -> dict:
    """JSON values of everything that the fits depend on."""
    return {
      "features": "of unit length (l2)",
      "classifier": "linear SVM (scikit-learn's LinearSVC, dual)",
      "loss": "squared hinge",
      "penalty": "l2",
      "costs": list(self.costs),
      "class_weights": {"present": self.positive_weight, "absent": 1.0},
      "tolerance": self.tolerance,
      "max_iterations": self.max_iterations,
      "seed": self.seed,
    }


class Job(NamedTuple):
  """One class on one selection of examples, with several costs.

  Attributes:
    train_rows: [n] int, rows of the training features.
    train_signs: [n] int8, labels 1 and -1, both of which occur.
    test_rows: [m] int, rows of the test features.
    test_targets: [m] int8: 1 present, 0 absent, -1 ignored.
    costs: values of C.
  """

  train_rows: np.ndarray
  train_signs: np.ndarray
  test_rows: np.ndarray
  test_targets: np.ndarray
  costs: tuple[float, ...]


class Fit(NamedTuple):
  """Result of one SVM.

  Attributes:
    precision: average precision on the test rows.
    iterations: number of liblinear's iterations.
  """

  precision: average_precision.AveragePrecision
  iterations: int


def run(
  train: np.ndarray,
  test: np.ndarray,
  jobs: Sequence[Job],
  settings: SvmSettings,
  *,
  log: str,
  workers: int = -1,
  title: str = "SVMs",
) -> list[list[Fit]]:
  """Fits and tests all SVMs, with a progress bar.

  Args:
    train: [N, D] float, finite, of any length. Workers share a memory map as it
      is; for an array, joblib writes one.
    test: [M, D] float, finite, of any length; may be the array `train`.
    jobs: SVMs to fit.
    settings: training settings of each SVM.
    log: path of the file of finished fits, created if missing. A fit is
      identified by a hash of everything it depends on.
    workers: number of processes; -1 for one per core, 1 for this process only.
    title: title of the progress bar.

  Returns:
    For each job, a result for each of its costs.

  Raises:
    UsageError: `workers` is invalid, features are NaN or infinite, or the log
      cannot be written.
  """
  errors.require(
    workers == -1 or workers >= 1,
    f"workers is {workers}; expected a number of processes, or -1 for one per "
    "core; change WORKERS",
  )
  digest = _digest(train, test, settings)
  keys = [_key(digest, job) for job in jobs]
  known = _read(log)
  found = {i: known[key] for i, key in enumerate(keys) if key in known}
  remaining = [i for i in range(len(jobs)) if i not in found]
  with (
    workdir.writable(log, "--output_dir"),
    open(log, "a", encoding="utf-8") as file,
    progress.bar(
      title,
      total=sum(len(job.costs) for job in jobs),
      done=sum(len(jobs[i].costs) for i in found),
      unit="fit",
    ) as bar,
  ):
    for i, fits in each_job(
      fit, train, test, jobs, remaining, settings, workers=workers
    ):
      found[i] = fits
      # The leading newline ends a line that a killed process left incomplete.
      file.write("\n" + json.dumps({"job": keys[i], "fits": fits}))
      file.flush()
      bar.update(len(fits))
  return [found[i] for i in range(len(jobs))]


def each_job(
  function: Callable[..., Any],
  train: np.ndarray,
  test: np.ndarray,
  jobs: Sequence[Job],
  numbers: Iterable[int],
  settings: SvmSettings,
  *,
  workers: int,
) -> Iterator[tuple[int, Any]]:
  """Calls a function on some of the jobs, in several processes.

  Args:
    function: called as function(train, test, job, settings).
    train: [N, D] float, training features.
    test: [M, D] float, test features.
    jobs: all jobs.
    numbers: indices of the jobs to run.
    settings: training settings of each SVM.
    workers: number of processes; -1 for one per core, 1 for this process only.

  Yields:
    Index of a job and the function's result, in any order.
  """
  numbers = list(numbers)
  if workers == -1:
    workers = max(1, min(len(numbers), joblib.cpu_count()))
  parallel = joblib.Parallel(
    n_jobs=workers, return_as="generator_unordered", batch_size=1
  )
  yield from parallel(
    joblib.delayed(_numbered)(
      os.getpid(), i, function, train, test, jobs[i], settings
    )
    for i in numbers
  )


def fit(
  train: np.ndarray, test: np.ndarray, job: Job, settings: SvmSettings
) -> list[Fit]:
  """Fits and tests the SVMs of one job in this process.

  Args:
    train: [N, D] float, training features.
    test: [M, D] float, test features.
    job: SVMs to fit.
    settings: training settings of each SVM.

  Returns:
    A result for each cost.
  """
  examples = _unit_length(train, job.train_rows)
  fitted = []
  for cost in job.costs:
    classifier = settings.classifier(cost)
    with warnings.catch_warnings():  # The report counts early stops.
      warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
      fitted.append(classifier.fit(examples, job.train_signs))
  del examples
  scores = np.empty((len(fitted), len(job.test_rows)))
  for start in range(0, len(job.test_rows), _ROWS):
    stop = start + _ROWS
    held_out = _unit_length(test, job.test_rows[start:stop])
    for row, classifier in zip(scores, fitted, strict=True):
      row[start:stop] = classifier.decision_function(held_out)
  return [
    Fit(
      average_precision.average_precision(row, job.test_targets),
      int(classifier.n_iter_),
    )
    for row, classifier in zip(scores, fitted, strict=True)
  ]


def _numbered(parent, number, function, *arguments) -> tuple[int, Any]:
  if os.getpid() != parent:
    child_process.watch_parent(parent)
  return number, function(*arguments)


def _unit_length(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Rows as float64, scaled to unit length; rows of zeros stay zeros."""
  taken = np.asarray(features[rows], np.float64)
  return preprocessing.normalize(taken, copy=False)


def _digest(train, test, settings: SvmSettings) -> bytes:
  # Costs belong to the jobs: a longer grid keeps the finished fits.
  text = str(dataclasses.replace(settings, costs=(1.0,)))
  sha256 = hashlib.sha256(text.encode())
  for features in [train] if test is train else [train, test]:
    sha256.update(f"{features.shape}{features.dtype}".encode())
    for i in range(0, len(features), _ROWS):
      chunk = np.ascontiguousarray(features[i : i + _ROWS])
      errors.require(
        np.isfinite(chunk).all(),
        f"features of rows {i} to {i + len(chunk) - 1} contain NaN or "
        "infinity; the encoder that computed them has diverged, or its weights "
        "are damaged",
      )
      sha256.update(chunk.data)
  return sha256.digest()


def _key(digest: bytes, job: Job) -> str:
  sha256 = hashlib.sha256(digest)
  for array in job[:-1]:
    sha256.update(f"{array.shape}{array.dtype}".encode())
    sha256.update(np.ascontiguousarray(array).data)
  sha256.update(str(job.costs).encode())
  return sha256.hexdigest()[:32]


def _read(log: str) -> dict[str, list[Fit]]:
  """Finished fits by key; ignores lines that a killed process cut short."""
  found = {}
  try:
    with open(log, encoding="utf-8", errors="replace") as file:
      for line in file:
        try:
          entry = json.loads(line)
          found[entry["job"]] = [
            Fit(average_precision.AveragePrecision(*map(float, p)), int(n))
            for p, n in entry["fits"]
          ]
        except (ValueError, KeyError, TypeError):
          continue
  except FileNotFoundError:
    pass
  return found
