"""Runs an experiment: pretraining, measurements, evaluation, page of results.

The gin file lists steps, seeds, tables and expected orderings. Outputs are
cached by everything they depend on: after an interruption, the same command
resumes and finished steps are not run again. RESULTS.md has the results of all
experiments in output_dir.
"""

import sys

from ._cli import cli

_OUTPUT_DIR = "runs/paper"


def main(invocation: cli.Invocation) -> None:
  """Runs `conduct.conduct`; exits with 1 if a step failed."""
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
  "output_dir", f"Folder of all experiments; default {_OUTPUT_DIR}."
)
TOOL.number_flag("jobs", 1, "Number of steps that run at once.")
TOOL.switch("dry_run", "Prints the steps without running them.")
TOOL.repeated_flag(
  "only", "Runs matching steps and their inputs, such as 'rendered/moco/*'."
)
TOOL.text_flag("results", "Path of the page; default RESULTS.md in output_dir.")

if __name__ == "__main__":
  TOOL.run()
