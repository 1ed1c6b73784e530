r"""Measures what the few-minutes configs learn: several seeds, mean, interval.

  python -m benchmarks.few_minutes --data=data --output_dir=runs/few_minutes \
    --config=moco_v2_cifar10 --config=moco_v2_imagenette --seeds=3

Runs `tools.train` for each config and seed, on a quiet machine, one after the
other. --data is a folder with cifar10/{train,test} and imagenette/{train,val},
class folders each; the end of a config's name says which it learns from.

The same command resumes a stopped table: finished runs are not repeated, and an
interrupted one continues from its checkpoint. With --runs=N it ends after N
runs, so that a long table can be made in pieces. --jobs=2 makes two runs at
once, each on half of the cores: these networks are small, so that two such runs
end sooner than one after the other (minutes are then those of half the cores).

--steps=325 --steps=2600 trains for these numbers of steps in place of the
config's own, with whole schedules, to show what fewer or more minutes would
give. These runs have a table of their own, `few_minutes_steps.csv` and `.md`,
and `few_minutes_steps.png` draws them and the config's own runs.

`few_minutes.csv` in --output_dir has a row for each finished run, and
`few_minutes.md` the table: kNN accuracy (k 20, T 0.1) untrained and trained,
mean with 95 % Student's t interval over the seeds, wall-clock minutes of the
whole command, CPU minutes, and the processor. To go on with a table on another
machine, copy the CSV file there; `results/few_minutes.csv` has the published
rows.
"""

import argparse
import json
import pathlib
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any, NamedTuple

from benchmarks import few_minutes_tables as tables
from benchmarks import machine, script, training_run
from tf_ssl import errors
from tf_ssl.ops import progress, threads

CONFIGS = tuple(
  f"{method}_{data}"
  for data in ("cifar10", "imagenette")
  for method in ("moco_v2", "simclr", "pirl")
)
_TEST_FOLDERS = {"cifar10": "test", "imagenette": "val"}


class Run(NamedTuple):
  """One config with one seed.

  Attributes:
    config: name of a file in gin_configs/pretrain, without its suffix.
    seed: seed of the run.
    folder: model_dir of the run.
    steps: number of steps; None for that of the config.
  """

  config: str
  seed: int
  folder: pathlib.Path
  steps: int | None = None

  def command(self, data: pathlib.Path, bindings: Sequence[str]) -> list[str]:
    """Words of the command that trains."""
    images = data / dataset(self.config)
    test = images / _TEST_FOLDERS[images.name]
    return training_run.command(
      f"gin_configs/pretrain/{self.config}.gin",
      self.folder,
      [
        f"IMAGES={str(images / 'train')!r}",
        f"HELD_OUT_IMAGES={str(test)!r}",
        f"SEED={self.seed}",
        *bindings,
        *([] if self.steps is None else [f"STEPS={self.steps}"]),
      ],
    )


def _run_of(
  config: str, seed: int, steps: int | None, folder: pathlib.Path
) -> Run:
  name = f"{config}_seed{seed}" + ("" if steps is None else f"_steps{steps}")
  return Run(config, seed, folder / name, steps)


def dataset(config: str) -> str:
  """Name of the data that a config learns from.

  Raises:
    UsageError: the name of the config ends with none.
  """
  name = config.rsplit("_", 1)[-1]
  errors.require(
    name in _TEST_FOLDERS,
    f"--config={config}: expected a name of gin_configs/pretrain that ends with"
    f" {' or '.join(_TEST_FOLDERS)}, such as {CONFIGS[0]}",
  )
  return name


def train(
  run: Run, data: pathlib.Path, bindings: Sequence[str]
) -> dict[str, Any]:
  """Trains, or resumes, on the cores of the calling thread.

  Returns:
    A row of few_minutes.csv.

  Raises:
    UsageError: the command has failed, and has said why, or was stopped.
  """
  done = training_run.train(run.command(data, bindings), run.folder)
  return {
    "config": run.config,
    "seed": run.seed,
    **_accuracies(run.folder / "metrics.jsonl"),
    **done,
    "cores": threads.num_cores(),
    "processor": machine.processor(),
  }


def _accuracies(metrics: pathlib.Path) -> dict[str, float]:
  lines = metrics.read_text(encoding="utf-8").splitlines()
  found = [
    record["knn_accuracy"]
    for record in map(json.loads, lines)
    if "knn_accuracy" in record
  ]
  return {"knn_untrained": found[0], "knn_trained": found[-1]}


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs the command.

  Raises:
    UsageError: an argument cannot be used, or a run has failed.
  """
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--data", required=True, type=pathlib.Path)
  parser.add_argument("--output_dir", required=True, type=pathlib.Path)
  parser.add_argument("--config", action="append", default=[])
  parser.add_argument("--gin_bindings", action="append", default=[])
  parser.add_argument("--seeds", type=int, default=3)
  parser.add_argument("--steps", type=int, action="append", default=[])
  parser.add_argument("--runs", type=int, default=0)
  parser.add_argument("--jobs", type=int, default=1)
  given = parser.parse_args(arguments)
  errors.require(
    given.seeds >= 1, f"--seeds={given.seeds}: expected at least 1"
  )
  errors.require(given.runs >= 0, f"--runs={given.runs}: expected at least 0")
  errors.require(
    1 <= given.jobs <= threads.num_cores(),
    f"--jobs={given.jobs}: expected 1 to the number of cores,"
    f" {threads.num_cores()}",
  )
  for steps in given.steps:
    errors.require(steps >= 1, f"--steps={steps}: expected at least 1")
  configs = given.config or CONFIGS
  for config in configs:
    folder = given.data / dataset(config)
    errors.require(
      folder.is_dir(),
      f"--data={given.data}: {folder} is missing; expected a folder with"
      f" {' and '.join(_TEST_FOLDERS)}",
    )
  given.output_dir.mkdir(parents=True, exist_ok=True)
  runs = [
    _run_of(config, seed, steps, given.output_dir)
    for seed in range(given.seeds)
    for steps in dict.fromkeys(given.steps or [None])
    for config in dict.fromkeys(configs)
  ]
  table = tables.Table(
    given.output_dir, tables.CURVE if given.steps else tables.TABLE
  )

  def is_done(run: Run) -> bool:
    return table.has(run.config, run.seed, run.steps)

  waiting = [run for run in runs if not is_done(run)]
  done = len(runs) - len(waiting)
  with progress.bar("runs", total=len(runs), done=done, unit="run") as bar:

    def finish(run: Run) -> None:
      table.add(train(run, given.data.absolute(), given.gin_bindings))
      bar.update()

    _at_once(given.jobs, finish, waiting[: given.runs or None])
  if table.rows():
    table.write()
    print(tables.markdown(table.rows()), end="")
  left = sum(not is_done(run) for run in runs)
  if left:
    print(f"{left} runs are left: run the command again.")


def _at_once(jobs: int, work: Callable[[Run], None], runs: Sequence[Run]):
  """Calls `work` for each run, `jobs` at once, each on its share of the cores.

  After an error no further run begins; those that have begun are finished.
  """
  with threads.pool(jobs) as pool:
    try:
      for done in futures.as_completed(
        [pool.submit(work, run) for run in runs]
      ):
        done.result()
    except BaseException:
      pool.shutdown(wait=False, cancel_futures=True)
      raise


if __name__ == "__main__":
  script.run("few_minutes", main)
