"""Runs an experiment: pretraining, measuring, evaluating, and one page of it.

The gin file names the steps, the seeds, the tables and what is expected. Each
step's output is kept by a hash of all that it depends on: stopped or killed,
the same command goes on, and what is finished is not done again. RESULTS.md is
made of the numbers of all experiments in output_dir.
"""

import sys

from ._cli import cli

_OUTPUT_DIR = "runs/paper"


def main(invocation: cli.Invocation) -> None:
  """Runs `conduct.conduct` and ends with 1 where a step failed."""
  from tf_ssl.experiment import conduct, experiment

  from ._cli import gin_runs

  flags = invocation.flags
  failed = conduct.conduct(
    invocation.configured(experiment.Experiment)(),
    name=conduct.name_of(flags.gin_file),
    output_dir=flags.output_dir or _OUTPUT_DIR,
    parse=gin_runs.config_text,
    tool_command=lambda name: [sys.executable, "-m", f"{__package__}.{name}"],
    jobs=flags.jobs,
    dry_run=flags.dry_run,
    only=flags.only,
    results_file=flags.results,
    command=invocation.command,
  )
  for why in failed.values():
    print(f"run_experiment: {why}", file=sys.stderr)
  if failed:
    sys.exit(1)


TOOL = cli.Tool(
  "run_experiment",
  __doc__,
  main,
  config_folders=["paper"],
  takes_files=True,
)
TOOL.text_flag(
  "output_dir", f"The folder of all experiments; {_OUTPUT_DIR} by default."
)
TOOL.number_flag("jobs", 1, "How many steps run at once.")
TOOL.switch("dry_run", "Prints the steps and what would run.")
TOOL.repeated_flag(
  "only", "Runs what this pattern matches, such as 'rendered/moco/*'."
)
TOOL.text_flag("results", "The page; RESULTS.md in output_dir by default.")

if __name__ == "__main__":
  TOOL.run()
