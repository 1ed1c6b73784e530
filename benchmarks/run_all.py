r"""Measures the ratios that have goals in one sitting, and writes their page.

  python -m benchmarks.run_all --output_dir=runs/benchmarks --data=data
  python -m benchmarks.run_all --output_dir=runs/benchmarks --page_only

`make benchmarks DATA=data` runs the first. Run it on an idle machine: the page
says how much other programs have computed.

--data is a folder with cifar10/train and imagenette/train (class folders) and
videos/davis2016. --output_dir gets NAME.json with the ratios of a benchmark and
NAME.log with what it printed. The same command resumes: it runs what has no
result, has failed or could not run. --page gets the table; --page_only writes
it without running anything.

A benchmark that fails, takes longer than --minutes, or needs what is missing
(data, PyTorch, AMX) is a row that says so. Those that train for hours are named
with their last result and are not run.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import psutil

from benchmarks import machine, ratios, script, suite, suite_page
from tf_ssl import errors
from tf_ssl.ops import child_process, progress, workdir

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_MACHINE = "machine.json"


def run(
  benchmark: suite.Benchmark, folder: pathlib.Path, data: str, *, minutes: float
) -> dict[str, Any]:
  """Runs a benchmark in a child process.

  Args:
    benchmark: benchmark to run.
    folder: folder for NAME.log and the ratios.
    data: path of the data.
    minutes: time that it may take.

  Returns:
    `ratios` (what was measured, even if it failed later), `error` (None or what
    went wrong), `minutes`, and `others`, the cores that other programs used.
  """
  lines = folder / f"{benchmark.name}.jsonl"
  lines.unlink(missing_ok=True)
  log = folder / f"{benchmark.name}.log"
  began, before = time.perf_counter(), _other_cpu_seconds()
  with open(log, "wb") as output:
    child = child_process.start(
      [sys.executable, *benchmark.command(data)],
      env=child_process.environment(
        **{ratios.FILE: str(lines.absolute()), "PYTHONUNBUFFERED": "1"}
      ),
      end_with_parent=True,
      own_session=True,  # So that its own children end with it.
      stdin=subprocess.DEVNULL,
      stdout=output,
      stderr=subprocess.STDOUT,
      cwd=_ROOT,
    )
    try:
      code = child.wait(60 * minutes)
      error = None
      if code not in (0, benchmark.missed):
        last = child_process.last_line(log.read_bytes())
        error = f"{child_process.how_it_ended(code)}: {last}"
    except subprocess.TimeoutExpired:
      error = f"stopped after {minutes:g} minutes"
    finally:
      _end(child)
  spent = time.perf_counter() - began
  kept = ratios.read(lines)
  lines.unlink(missing_ok=True)
  if not error and not kept:
    error = "it has measured nothing"
  return {
    "ratios": [ratio._asdict() for ratio in kept],
    "error": error,
    "minutes": spent / 60,
    "others": max(_other_cpu_seconds() - before, 0.0) / spent,
  }


def _end(child: subprocess.Popen) -> None:
  """Kills what is left of the process group of a child."""
  with contextlib.suppress(ProcessLookupError):
    os.killpg(child.pid, signal.SIGKILL)
  child.wait()


def _other_cpu_seconds() -> float:
  """CPU seconds of the machine without this process and its children."""
  times = psutil.cpu_times()
  busy = sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0)
  usages = map(
    resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
  )
  return busy - sum(used.ru_utime + used.ru_stime for used in usages)


def _results(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  return {
    benchmark.name: workdir.read_json(path)
    for benchmark in suite.BENCHMARKS
    if (path := folder / f"{benchmark.name}.json").exists()
  }


def _describe(folder: pathlib.Path) -> dict[str, Any]:
  """The description of this machine, which must be that of the results.

  Raises:
    UsageError: the results are of another machine or other versions.
  """
  now = machine.description()
  with contextlib.suppress(importlib.metadata.PackageNotFoundError):
    now["versions"]["torch"] = importlib.metadata.version("torch")
  path = folder / _MACHINE
  if not path.exists():
    began = datetime.datetime.now().astimezone()
    workdir.write_json(path, {**now, "began": f"{began:%Y-%m-%d %H:%M %Z}"})
  before = workdir.read_json(path)
  different = [
    name
    for name in ("processor", "cores", "accelerators", "versions")
    if before[name] != now[name]
  ]
  if _clean(before["commit"]) != _clean(now["commit"]):
    different.append("commit")
  errors.require(
    not different,
    f"--output_dir={folder} has results with another"
    f" {' and '.join(different)}: one page is of one machine and one version;"
    " give another folder",
  )
  return before


def _clean(commit: str | None) -> str | None:
  """A commit without "-dirty", which the page itself causes."""
  return commit and commit.removesuffix("-dirty")


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs the command.

  Raises:
    UsageError: an argument cannot be used.
  """
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--output_dir", required=True, type=pathlib.Path)
  parser.add_argument("--data", type=pathlib.Path)
  parser.add_argument("--page", type=pathlib.Path, default=suite_page.PATH)
  parser.add_argument("--page_only", action="store_true")
  parser.add_argument("--only", action="append", default=[])
  parser.add_argument("--minutes", type=float, default=15.0)
  given = parser.parse_args(arguments)
  names = [benchmark.name for benchmark in suite.BENCHMARKS]
  for name in given.only:
    errors.require(
      name in names, f"--only={name}: expected one of {', '.join(names)}"
    )
  errors.require(
    given.minutes > 0, f"--minutes={given.minutes:g}: expected more than 0"
  )
  errors.require(
    given.data is None or given.data.is_dir(),
    f"--data={given.data}: expected a folder with cifar10, imagenette, videos",
  )
  folder = given.output_dir
  if given.page_only:
    errors.require(
      (folder / _MACHINE).exists(),
      f"--output_dir={folder}: {_MACHINE} is missing; run without --page_only",
    )
  else:
    with workdir.writable(folder, "output_dir"):
      folder.mkdir(parents=True, exist_ok=True)
    _describe(folder)
    _run_missing(folder, given)
  found = _results(folder)
  text = suite_page.page(workdir.read_json(folder / _MACHINE), found)
  with workdir.writable(given.page, "page"):
    workdir.write_text(given.page, text)
  print(text)
  failed = [name for name, result in found.items() if result["error"]]
  if failed:
    print(f"Without a result: {', '.join(failed)}.")
  print(given.page)


def _run_missing(folder: pathlib.Path, given: argparse.Namespace) -> None:
  data = given.data and given.data.absolute()
  found = _results(folder)
  chosen = [
    benchmark
    for benchmark in suite.BENCHMARKS
    if not given.only or benchmark.name in given.only
  ]
  waiting = [
    benchmark
    for benchmark in chosen
    if benchmark.name not in found or found[benchmark.name]["error"]
  ]
  done = len(chosen) - len(waiting)
  with progress.bar(
    "benchmarks", total=len(chosen), done=done, unit="benchmark"
  ) as bar:
    for benchmark in waiting:
      bar.set_postfix_str(benchmark.name)
      if problem := suite.missing(benchmark, data):
        result = {"ratios": [], "error": problem}
      else:
        result = run(benchmark, folder, str(data), minutes=given.minutes)
      workdir.write_json(folder / f"{benchmark.name}.json", result)
      bar.update()


if __name__ == "__main__":
  script.run("run_all", main)
