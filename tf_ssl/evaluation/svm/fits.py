"""Many linear SVMs at once, on all cores, on features that are kept once.

Workers are processes that map the features' file: each takes from it the rows
that it trains on and nothing else. Threads would do for memory, but not for
results: liblinear draws from one generator for the whole process, so what one
fit gives would hang on the others. They end where this process does, killed or
not. What is done is noted in a file, and not done again. This module is what a
worker imports: no TensorFlow.
"""

import dataclasses
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import joblib
import numpy as np
import tqdm
from sklearn import exceptions, preprocessing

from tf_ssl import errors
from tf_ssl.evaluation.svm import average_precision, svm_settings
from tf_ssl.ops import child_process

_ROWS = 1024  # of the test features at once


class Job(NamedTuple):
  """One class on one choice of examples, with several costs.

  Attributes:
    train_rows: [n] int, rows of the training features.
    train_signs: [n] int8, 1 or -1, both of them there.
    test_rows: [m] int, rows of the test features.
    test_targets: [m] int8, 1, 0 or -1, as for `average_precision`.
    costs: the values of C.
  """

  train_rows: np.ndarray
  train_signs: np.ndarray
  test_rows: np.ndarray
  test_targets: np.ndarray
  costs: tuple[float, ...]


class Fit(NamedTuple):
  """What one SVM reaches.

  Attributes:
    precision: on the test rows.
    iterations: that liblinear took.
  """

  precision: average_precision.AveragePrecision
  iterations: int


def run(
  train: np.ndarray,
  test: np.ndarray,
  jobs: Sequence[Job],
  settings: svm_settings.SvmSettings,
  *,
  log: str,
  workers: int = -1,
  title: str = "SVMs",
) -> list[list[Fit]]:
  """Trains and judges all SVMs; shows how far it is.

  Args:
    train: [N, D] float, finite; any length. A memory map is shared as it is, an
      array through one that joblib makes.
    test: [M, D], the same; may be the same array.
    jobs: what to train.
    settings: how.
    log: a file to note in what is done, and to look it up in; made if it is not
      there. A fit is known again by all that it depends on.
    workers: processes; -1 for as many as cores, 1 for this process alone.
    title: of the progress bar.

  Returns:
    For each job, for each of its costs, what came out.

  Raises:
    UsageError: `workers` that cannot be, features that are NaN or infinite, or
      a log that cannot be written.
  """
  if workers != -1 and workers < 1:
    raise errors.UsageError(
      f"workers is {workers}; expected a number of processes, or -1 for as "
      "many as there are cores"
    )
  digest = _digest(train, test, settings)
  keys = [_key(digest, job) for job in jobs]
  known = _read(log)
  found = {i: known[key] for i, key in enumerate(keys) if key in known}
  left = [i for i in range(len(jobs)) if i not in found]
  try:
    with (
      open(log, "a", encoding="utf-8") as file,
      tqdm.tqdm(
        total=sum(len(job.costs) for job in jobs),
        initial=sum(len(jobs[i].costs) for i in found),
        desc=title,
        unit="fit",
        mininterval=0.5,
      ) as bar,
    ):
      for i, fits in each_job(
        fit, train, test, jobs, left, settings, workers=workers
      ):
        found[i] = fits
        # The line begins anew, whatever a kill has left of the last one.
        file.write("\n" + json.dumps({"job": keys[i], "fits": fits}))
        file.flush()
        bar.update(len(fits))
  except OSError as error:
    raise errors.UsageError(
      f"{log}: {error.strerror or error}; choose a folder on a disk with room "
      "that you may write to"
    ) from error
  return [found[i] for i in range(len(jobs))]


def each_job(
  function: Callable[..., Any],
  train: np.ndarray,
  test: np.ndarray,
  jobs: Sequence[Job],
  numbers: Sequence[int],
  settings: svm_settings.SvmSettings,
  *,
  workers: int,
) -> Iterator[tuple[int, Any]]:
  """Calls a function on some of the jobs, in several processes.

  Args:
    function: called as function(train, test, job, settings).
    train: as for `run`.
    test: the same.
    jobs: the same.
    numbers: which of them.
    settings: how.
    workers: as for `run`.

  Yields:
    The number of a job and what the function gave, in any order.
  """
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


def _numbered(parent, number, function, *arguments) -> tuple[int, Any]:
  if os.getpid() != parent:
    child_process.watch_parent(parent)
  return number, function(*arguments)


def fit(
  train: np.ndarray,
  test: np.ndarray,
  job: Job,
  settings: svm_settings.SvmSettings,
) -> list[Fit]:
  """Trains and judges the SVMs of one job, in this process.

  Args:
    train: as for `run`.
    test: the same.
    job: what to train.
    settings: how.

  Returns:
    One entry for each cost.
  """
  examples = _unit_length(train, job.train_rows)
  fitted = []
  for cost in job.costs:
    classifier = settings.classifier(cost)
    with warnings.catch_warnings():  # that it has stopped early is counted
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


def _unit_length(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Some rows, float64, each divided by its length; rows of 0 stay 0."""
  taken = np.asarray(features[rows], np.float64)
  return preprocessing.normalize(taken, copy=False)


def _digest(train, test, settings: svm_settings.SvmSettings) -> bytes:
  # The costs are each job's own: a longer list leaves what is done as it is.
  text = str(dataclasses.replace(settings, costs=(1.0,)))
  sha256 = hashlib.sha256(text.encode())
  for features in [train] if test is train else [train, test]:
    sha256.update(f"{features.shape}{features.dtype}".encode())
    for i in range(0, len(features), _ROWS):
      chunk = np.ascontiguousarray(features[i : i + _ROWS])
      if not np.isfinite(chunk).all():
        raise errors.UsageError(
          f"a row of the features from {i} on is NaN or infinite; the encoder "
          "that made them has diverged, or its weights are damaged"
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
  """What is noted; a line that a kill has cut short is not."""
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
