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
import importlib.util
import os
import pathlib
import resource
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psutil

from benchmarks import machine, ratios, script
from tf_ssl import errors
from tf_ssl.ops import child_process, progress, workdir

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PAGE = _ROOT / "docs" / "results" / "benchmarks.md"
_MACHINE = "machine.json"
_DATA = "data"  # In the commands of the page.
_BUSY_CORES = 0.2  # Of other programs, from which on the page points to them.


class Benchmark(NamedTuple):
  """A benchmark with the sizes that it is run with.

  Attributes:
    name: name of its results.
    words: name of the module, then its arguments; {data} stands for --data.
    needs: instruction sets, and "torch".
    missed: exit code with which it says that a goal is missed.
  """

  name: str
  words: tuple[str, ...]
  needs: tuple[str, ...] = ()
  missed: int = 0

  def command(self, data: str) -> tuple[str, ...]:
    """Words after `python`."""
    module, *arguments = self.words
    return (
      "-m",
      f"benchmarks.{module}",
      *(word.replace("{data}", data) for word in arguments),
    )


class Long(NamedTuple):
  """A benchmark of hours, with its last result.

  Attributes:
    command: words after `python -m`.
    result: last result, whose numbers stand in the document.
    document: path of the document with the whole table, from the root.
  """

  command: str
  result: str
  document: str


# The sizes are for one sitting: a few minutes each on two idle cores.
BENCHMARKS = (
  Benchmark("step_overhead", ("train_step", "--runs=3")),
  Benchmark(
    "torch_float32", ("train_step", "--torch=float32", "--runs=3"), ("torch",)
  ),
  Benchmark(
    "torch_bfloat16",
    ("train_step", "--torch=bfloat16", "--runs=3"),
    ("torch", "amx_bf16"),
  ),
  Benchmark("bfloat16", ("train_step", "--small", "--runs=3"), ("amx_bf16",)),
  Benchmark("pirl_step", ("pirl_step", "--no_memory", "--runs=3")),
  Benchmark(
    "data_wait",
    (
      "data_wait",
      "--data={data}",
      "--config=pretrain/moco_v2_cifar10",
      "--config=pretrain/pirl_imagenette",
      "--config=pretrain/npid_cifar10",
      "--first_steps=8",
      "--steps=20",
    ),
    missed=3,
  ),
  Benchmark(
    "input_pipeline",
    ("input_pipeline", "--images={data}/imagenette/train", "--rounds=3"),
  ),
  Benchmark("video", ("video", "--videos={data}/videos/davis2016")),
  Benchmark("invariance", ("invariance", "--repeats=2")),
  Benchmark(
    "feature_extraction",
    ("feature_extraction", "--encoders=resnet18", "--memory_images=20000"),
  ),
  Benchmark("knn", ("downstream", "--only=knn", "--rounds=1")),
  Benchmark("linear_probe", ("downstream", "--only=probe")),
  Benchmark("linear_svm", ("downstream", "--only=svm")),
  Benchmark(
    "crop_statistics",
    (
      "crop_statistics",
      "--images=5000",
      "--pairs=64",
      "--areas=0.2",
      "--slow_images=3",
      "--repeats=2",
    ),
  ),
  Benchmark(
    "duplicates",
    ("duplicates", "--images={data}/imagenette/train", "--distance=12"),
  ),
)

LONG = (
  Long(
    "benchmarks.few_minutes --data=data --output_dir=runs/few_minutes"
    " --seeds=3",
    "kNN accuracy of MoCo v2, untrained → trained: CIFAR-10 34.2 % → 52.2 %,"
    " Imagenette 34.4 % → 58.0 %",
    "gin_configs/README.md",
  ),
  Long(
    "benchmarks.tracking --videos=DAVIS --videos=OTB --videos=VOT"
    " --matchers chain --fit",
    "region tracks at 1 s, on videos left out: precision 0.57 (at least 0.75),"
    " recall 0.51 (at least 0.5)",
    "gin_configs/video/README.md",
  ),
  Long(
    "benchmarks.video_memory",
    "an hour-long video takes 392 MB beyond the idle process (at most 500 MB)",
    "benchmarks/README.md",
  ),
  Long(
    "benchmarks.downstream --only=knn --full --rounds=1",
    "exact kNN against 1,281,167 × 2,048 has 0.78 of the speed of the bare"
    " matrix product (at least 0.7)",
    "benchmarks/README.md",
  ),
  Long(
    "benchmarks.gpu --output_dir=runs/gpu --cifar10=cifar10",
    "No GPU has run it yet",
    "benchmarks/README.md",
  ),
)


def missing(benchmark: Benchmark, data: pathlib.Path | None) -> str | None:
  """What a benchmark needs and this machine lacks; None if it can run."""
  for need in benchmark.needs:
    if need == "torch":
      if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed here"
    elif need not in machine.instructions():
      return f"this processor has no {need}"
  for word in benchmark.words:
    if "{data}" not in word:
      continue
    if data is None:
      return "needs data: give --data"
    path = pathlib.Path(word.partition("=")[2].replace("{data}", str(data)))
    if not path.is_dir():
      return f"{path.relative_to(data)} is missing in --data"
  return None


def run(
  benchmark: Benchmark, folder: pathlib.Path, data: str, *, minutes: float
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


def page(
  described: Mapping[str, Any] | None, found: Mapping[str, Mapping[str, Any]]
) -> str:
  """Markdown of the page.

  Args:
    described: `machine.description()` and `began`; None if nothing has run.
    found: what `run` has returned, by the name of the benchmark.
  """
  kept = {
    name: [ratios.Ratio(**ratio) for ratio in result["ratios"]]
    for name, result in found.items()
  }
  goals = [
    ratio.is_met
    for each in kept.values()
    for ratio in each
    if ratio.is_met is not None
  ]
  text = [
    "<!-- Written by `make benchmarks`. -->",
    "",
    "# Benchmarks",
    "",
    "Speed and memory depend on the machine, so each number is a ratio that is"
    " measured within one run, or has a goal of its own. `make benchmarks"
    " DATA=data` measures them on your machine, in one sitting, and writes this"
    " page. [Other machines](benchmarks_by_machine.md) have been measured one"
    " benchmark at a time.",
    "",
    *_of_machine(described, found),
    "",
  ]
  if goals:
    text += [f"**{sum(goals)} of {len(goals)} goals are met.**", ""]
  text += [
    "| benchmark | measured quantity | measured | goal | |",
    "|---|---|---|---|---|",
  ]
  for benchmark in BENCHMARKS:
    name = benchmark.name
    text += [_row(name, ratio) for ratio in kept.get(name, ())]
    problem = found[name]["error"] if name in found else "not run yet"
    if problem:
      cells = (f"`{name}`", _cell(problem), "–", "–", "not measured")
      text.append(f"| {' | '.join(cells)} |")
  text += [
    "",
    "## Commands",
    "",
    "| benchmark | command | minutes | cores used by other programs |",
    "|---|---|---|---|",
  ]
  for benchmark in BENCHMARKS:
    result = found.get(benchmark.name, {})
    command = shlex.join(("python", *benchmark.command(_DATA)))
    cells = [f"`{benchmark.name}`", f"`{command}`", "–", "–"]
    if "minutes" in result:
      busy = f"{result['others']:.1f}"
      if result["others"] >= _BUSY_CORES:
        busy = f"**{busy}**"
      cells[2:] = [f"{result['minutes']:.1f}", busy]
    text.append(f"| {' | '.join(cells)} |")
  text += [
    "",
    "## Not in this run",
    "",
    "These take hours, much memory or a GPU. Their last results are from other"
    " days and machines, which the linked table names.",
    "",
    "| command | last result |",
    "|---|---|",
  ]
  for long in LONG:
    link = os.path.relpath(_ROOT / long.document, _PAGE.parent)
    text.append(
      f"| `python -m {long.command}` | {long.result} ([table]({link})) |"
    )
  return "\n".join(text) + "\n"


def _of_machine(described, found) -> list[str]:
  if described is None:
    return ["**This page has no numbers yet**: run the command."]
  versions = ", ".join(
    f"{package} {version}" for package, version in described["versions"].items()
  )
  gpus = ", ".join(described["accelerators"]) or "none"
  measured = [each for each in found.values() if "minutes" in each]
  lines = [
    f"- Date: {described['began']}, {sum(e['minutes'] for e in measured):.0f}"
    " minutes",
    f"- Processor: {described['processor']}, {described['cores']} cores",
    f"- Memory: {described['memory_bytes'] / 2**30:.0f} GiB; GPUs: {gpus}",
    f"- Software: {versions}; commit {described['commit'] or 'unknown'}",
  ]
  if measured:
    others = statistics.fmean(each["others"] for each in measured)
    lines.append(f"- Other programs used {others:.1f} cores, on average")
  return lines


def _row(name: str, ratio: ratios.Ratio) -> str:
  verdict = {None: "", True: "met", False: "**missed**"}[ratio.is_met]
  cells = (f"`{name}`", ratio.what, ratio.measured, ratio.goal or "–", verdict)
  return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
  return " ".join(text.replace("|", "\\|").split())


def _results(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
  return {
    benchmark.name: workdir.read_json(path)
    for benchmark in BENCHMARKS
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
  parser.add_argument("--page", type=pathlib.Path, default=_PAGE)
  parser.add_argument("--page_only", action="store_true")
  parser.add_argument("--only", action="append", default=[])
  parser.add_argument("--minutes", type=float, default=15.0)
  given = parser.parse_args(arguments)
  names = [benchmark.name for benchmark in BENCHMARKS]
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
  text = page(workdir.read_json(folder / _MACHINE), found)
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
    for benchmark in BENCHMARKS
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
      if problem := missing(benchmark, data):
        result = {"ratios": [], "error": problem}
      else:
        result = run(benchmark, folder, str(data), minutes=given.minutes)
      workdir.write_json(folder / f"{benchmark.name}.json", result)
      bar.update()


if __name__ == "__main__":
  script.run("run_all", main)
