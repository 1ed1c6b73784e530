r"""Measures what the few-minutes configs learn: several seeds, mean, interval.

  python -m benchmarks.few_minutes --data=data --output_dir=runs/few_minutes \
    --config=moco_v2_cifar10 --config=moco_v2_imagenette --seeds=3

Runs `tools.train` for each config and seed, on a quiet machine, one after the
other. --data is a folder with cifar10/{train,test} and imagenette/{train,val},
class folders each; the end of a config's name says which it learns from.

The same command resumes a stopped table: finished runs are not repeated, and an
interrupted one continues from its checkpoint. With --runs=N it ends after N
runs, so that a long table can be made in pieces.
`few_minutes.md` and `few_minutes.csv` in --output_dir hold what there is: kNN
accuracy (k 20, T 0.1) untrained and trained for each seed, mean with 95 %
Student's t interval over the seeds, wall-clock minutes of the whole command,
CPU minutes, and the processor.
"""

import argparse
import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import machine, script, training_run
from tf_ssl import errors
from tf_ssl.ops import progress, workdir
from tf_ssl.reporting import statistics as intervals
from tf_ssl.reporting import tables

CONFIGS = tuple(
  f"{method}_{data}"
  for data in ("cifar10", "imagenette")
  for method in ("moco_v2", "simclr", "pirl")
)
_TEST_FOLDERS = {"cifar10": "test", "imagenette": "val"}
_RESULT = "few_minutes.json"


class Run(NamedTuple):
  """One config with one seed.

  Attributes:
    config: name of a file in gin_configs/pretrain, without its suffix.
    seed: seed of the run.
    folder: model_dir of the run.
  """

  config: str
  seed: int
  folder: pathlib.Path

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
      ],
    )


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


def train(run: Run, data: pathlib.Path, bindings: Sequence[str]) -> None:
  """Trains, or resumes; writes the result beside the run.

  Raises:
    UsageError: the command has failed, and has said why, or was stopped.
  """
  done = training_run.train(run.command(data, bindings), run.folder)
  workdir.write_json(
    run.folder / _RESULT,
    {**_accuracies(run.folder / "metrics.jsonl"), **done},
  )


def _accuracies(metrics: pathlib.Path) -> dict[str, float]:
  lines = metrics.read_text(encoding="utf-8").splitlines()
  found = [
    record["knn_accuracy"]
    for record in map(json.loads, lines)
    if "knn_accuracy" in record
  ]
  return {"knn_untrained": found[0], "knn_trained": found[-1]}


def results(runs: Sequence[Run]) -> list[dict[str, Any]]:
  """A row for each finished run."""
  return [
    {
      "config": run.config,
      "seed": run.seed,
      **workdir.read_json(run.folder / _RESULT),
    }
    for run in runs
    if (run.folder / _RESULT).exists()
  ]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
  """The table over configs, and the seeds it is made of."""
  text = [
    "kNN accuracy (k 20, temperature 0.1), untrained → trained; mean over the"
    " seeds with 95 % Student's t interval. Minutes are those of the whole"
    f" command. Processor: {machine.processor()}.",
    "",
    "| config | seeds | untrained | trained | interval | each seed | steps |"
    " minutes | CPU minutes | precision |",
    "|---|---|---|---|---|---|---|---|---|---|",
  ]
  groups = {}
  for row in rows:
    groups.setdefault(row["config"], []).append(row)
  for config, group in groups.items():
    trained = [row["knn_trained"] for row in group]
    mean, low, high = intervals.mean_interval(trained)
    interval = "–" if low is None else f"{low:.1%} to {high:.1%}"
    resumed = ", resumed" if any(row["resumed"] for row in group) else ""
    text.append(
      f"| `{config}.gin` | {len(group)} | {_mean(group, 'knn_untrained'):.1%} |"
      f" {mean:.1%} | {interval} | {', '.join(f'{x:.1%}' for x in trained)} |"
      f" {group[0]['steps']} | {_mean(group, 'wall_minutes'):.1f}{resumed} |"
      f" {_mean(group, 'cpu_minutes'):.1f} | {group[0]['precision']} |"
    )
  return "\n".join(text) + "\n"


def _mean(rows, name: str) -> float:
  return statistics.fmean(row[name] for row in rows)


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
  parser.add_argument("--runs", type=int, default=0)
  given = parser.parse_args(arguments)
  errors.require(
    given.seeds >= 1, f"--seeds={given.seeds}: expected at least 1"
  )
  errors.require(given.runs >= 0, f"--runs={given.runs}: expected at least 0")
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
    Run(config, seed, given.output_dir / f"{config}_seed{seed}")
    for seed in range(given.seeds)
    for config in configs
  ]
  waiting = [run for run in runs if not (run.folder / _RESULT).exists()]
  done = len(runs) - len(waiting)
  with progress.bar("runs", total=len(runs), done=done, unit="run") as bar:
    for run in waiting[: given.runs or None]:
      train(run, given.data.absolute(), given.gin_bindings)
      _write(given.output_dir, results(runs))
      bar.update()
  rows = results(runs)
  if rows:
    _write(given.output_dir, rows)
    print(markdown(rows), end="")
  if len(rows) < len(runs):
    print(f"{len(runs) - len(rows)} runs are left: run the command again.")


def _write(folder: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
  workdir.write_text(folder / "few_minutes.md", markdown(rows))
  workdir.write_text(folder / "few_minutes.csv", tables.csv_text(rows))


if __name__ == "__main__":
  script.run("few_minutes", main)
