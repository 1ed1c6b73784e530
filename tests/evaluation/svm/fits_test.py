"""Tests of tf_ssl.evaluation.svm.fits."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.evaluation.svm import svm_reference
from tf_ssl import errors
from tf_ssl.evaluation.svm import average_precision
from tf_ssl.evaluation.svm import fits as svm_fits

_SETTINGS = svm_fits.SvmSettings()


@pytest.fixture(name="features")
def fixture_features(tmp_path):
  """Memory map of a file with [60, 12] float32."""
  rng = np.random.default_rng(0)
  np.save(tmp_path / "features.npy", rng.normal(size=(60, 12)).astype("f4"))
  return np.load(tmp_path / "features.npy", mmap_mode="r")


def _jobs(features, costs=(0.1, 10.0), count=3):
  rng = np.random.default_rng(1)
  jobs = []
  for _ in range(count):
    order = rng.permutation(len(features))
    train, test = np.sort(order[:40]), np.sort(order[40:])
    labels = np.where(features[:, 0] + rng.normal(size=60) > 0, 1, -1)
    jobs.append(
      svm_fits.Job(
        train,
        labels[train].astype(np.int8),
        test,
        (labels[test] > 0).astype(np.int8),
        costs,
      )
    )
  return jobs


def _run(features, jobs, tmp_path, **options):
  options = {"log": str(tmp_path / "log.jsonl"), "workers": 1, **options}
  return svm_fits.run(features, features, jobs, _SETTINGS, **options)


def test_every_fit_equals_scikit_learns(features, tmp_path, monkeypatch):
  monkeypatch.setattr(svm_fits, "_ROWS", 7)  # Several chunks of test rows.
  jobs = _jobs(features)
  found = _run(features, jobs, tmp_path)
  unit = svm_reference.unit(features)
  for job, fits in zip(jobs, found, strict=True):
    for cost, fit in zip(job.costs, fits, strict=True):
      expected = svm_reference.classifier(cost)
      expected.fit(unit[job.train_rows], job.train_signs)
      scores = expected.decision_function(unit[job.test_rows])
      assert fit.precision == pytest.approx(
        average_precision.average_precision(scores, job.test_targets)
      )
      assert fit.iterations == expected.n_iter_


def test_workers_do_not_change_the_numbers(features, tmp_path):
  jobs = _jobs(features, count=4)
  alone = _run(features, jobs, tmp_path)
  shared = _run(
    features, jobs, tmp_path, workers=2, log=str(tmp_path / "other.jsonl")
  )
  assert shared == alone


def test_a_worker_maps_the_feature_file(features, tmp_path):
  jobs = _jobs(features, count=2)
  seen = list(
    svm_fits.each_job(
      _where, features, features, jobs, [0, 1], _SETTINGS, workers=2
    )
  )
  assert sorted(number for number, _ in seen) == [0, 1]
  assert {file for _, file in seen} == {str(tmp_path / "features.npy")}


_WAITING = """
import os, sys, time
import numpy as np
from tf_ssl.evaluation.svm import fits as svm_fits

folder, = sys.argv[1:]

def wait(train, test, job, settings):
  open(os.path.join(folder, str(os.getpid())), "w").close()
  time.sleep(300)

features = np.zeros((2, 2), np.float32)
job = svm_fits.Job(*[np.zeros(2, np.int8)] * 4, (1.0,))
list(
  svm_fits.each_job(
    wait, features, features, [job, job], [0, 1], svm_fits.SvmSettings(),
    workers=2,
  )
)
"""


def _has_ended(pid: int) -> bool:
  try:
    status = pathlib.Path(f"/proc/{pid}/stat").read_text()
  except OSError:
    return True
  return ") Z " in status  # A zombie: nobody has read its exit code.


def _wait_until(condition, seconds) -> bool:
  deadline = time.monotonic() + seconds
  while not condition() and time.monotonic() < deadline:
    time.sleep(0.05)
  return condition()


def test_workers_end_when_their_parent_is_killed(tmp_path, repository):
  process = subprocess.Popen(
    [sys.executable, "-c", _WAITING, str(tmp_path)],
    env={**os.environ, "PYTHONPATH": str(repository)},
  )
  try:
    started = _wait_until(lambda: len(list(tmp_path.iterdir())) == 2, 100)
  finally:
    process.kill()
    process.wait()
  workers = [int(path.name) for path in tmp_path.iterdir()]
  assert started and process.pid not in workers
  try:
    assert _wait_until(lambda: all(map(_has_ended, workers)), 20)
  finally:
    for worker in workers:
      with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)


def _where(train, test, job, settings):
  del job, settings
  assert train.filename == test.filename
  return str(train.filename)


def test_finished_fits_are_not_computed_again(features, tmp_path, monkeypatch):
  jobs = _jobs(features)
  first = _run(features, jobs, tmp_path)
  log = tmp_path / "log.jsonl"
  lines = log.read_text().strip().splitlines()
  assert len(lines) == 3
  # A killed process left the last line incomplete; another line is foreign.
  log.write_text("\n".join([lines[0], '{"job": 1}', lines[1], lines[2][:-9]]))
  computed = []
  fit = svm_fits.fit
  monkeypatch.setattr(
    svm_fits, "fit", lambda *job: computed.append(job) or fit(*job)
  )
  assert _run(features, jobs, tmp_path) == first
  assert len(computed) == 1
  assert _run(features, jobs, tmp_path) == first
  assert len(computed) == 1
  # A change of anything that a result depends on makes another fit.
  changed = [
    ("features", np.asarray(features) + np.float32(1), jobs),
    ("costs", features, _jobs(features, costs=(0.1, 20.0))),
    ("rows", features, [jobs[0]._replace(train_rows=jobs[1].train_rows)]),
  ]
  for what, others, these in changed:
    before = len(computed)
    _run(others, these, tmp_path)
    assert len(computed) - before == len(these), what


def test_the_log_has_json_lines(features, tmp_path):
  (fits,) = _run(features, _jobs(features, count=1), tmp_path)
  entry = json.loads((tmp_path / "log.jsonl").read_text())
  assert entry["fits"][0] == [list(fits[0].precision), fits[0].iterations]


def test_features_of_zeros_are_allowed(features, tmp_path):
  features = np.array(features)
  features[::5] = 0
  for fits in _run(features, _jobs(features), tmp_path):
    assert all(np.isfinite(fit.precision).all() for fit in fits)


def test_a_log_that_cannot_be_written_is_an_error(features, tmp_path):
  with pytest.raises(errors.UsageError, match="no/log.*--output_dir"):
    _run(features, _jobs(features), tmp_path, log=str(tmp_path / "no/log"))


def test_settings_out_of_range_are_refused(features, tmp_path):
  with pytest.raises(errors.UsageError, match="workers is 0"):
    _run(features, _jobs(features), tmp_path, workers=0)
  for settings, message in (
    ({"costs": ()}, r"\(\).*COSTS"),
    ({"costs": (1.0, 0.0)}, r"\(1.0, 0.0\).*COSTS"),
    ({"costs": (1.0, 1.0)}, r"\(1.0, 1.0\).*COSTS"),
    ({"positive_weight": 0.0}, "positive_weight is 0.0"),
    ({"tolerance": -1.0}, "tolerance -1.0"),
    ({"max_iterations": 0}, "max_iterations is 0"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      svm_fits.SvmSettings(**settings)


def test_the_defaults_are_those_of_the_benchmark():
  assert _SETTINGS.report() == {
    "features": "of unit length (l2)",
    "classifier": "linear SVM (scikit-learn's LinearSVC, dual)",
    "loss": "squared hinge",
    "penalty": "l2",
    "costs": [0.01, 0.1, 1, 2, 5, 10, 15, 20, 50, 100, 1000],
    "class_weights": {"present": 2.0, "absent": 1.0},
    "tolerance": 1e-4,
    "max_iterations": 2000,
    "seed": 0,
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
