"""Runs an experiment: pretraining, measurements, evaluation, page of results.

The gin file lists steps, seeds, tables and expected orderings. Outputs are
cached by everything they depend on: after an interruption, the same command
resumes and finished steps are not run again. RESULTS.md has the results of all
experiments in output_dir. --records=FOLDER keeps the numbers of finished steps,
without models: with them, another machine resumes the experiment. --pilot runs
it with the few seeds of its pilot, and --plan computes from them how many seeds
each ordering needs, and the hours.
"""

import sys

from ._cli import cli

_OUTPUT_DIR = "runs/paper"
_PYTHON = (sys.executable, "-m")


def main(invocation: cli.Invocation) -> None:
  """Runs `conduct.conduct`; exits with 1 if a step failed."""
  from tf_ssl.experiment import conduct, experiment, pilot

  from ._cli import gin_runs

  flags = invocation.flags
  given = invocation.configured(experiment.Experiment)()
  common = {
    "name": conduct.name_of(flags.gin_file),
    "output_dir": flags.output_dir or _OUTPUT_DIR,
    "parse": gin_runs.config_text,
    "tool_command": lambda tool: [*_PYTHON, f"{__package__}.{tool}"],
    "jobs": flags.jobs,
    "records_dir": flags.records or None,
  }
  if flags.plan:
    budget = flags.budget_hours or None
    pilot.estimate(given, budget_hours=budget, **common)
    return
  failed = conduct.conduct(
    given,
    **common,
    pilot=flags.pilot,
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
TOOL.number_flag("jobs", 1, "Steps that run at once, sharing the cores.")
TOOL.switch("pilot", "Runs the pilot's seeds, for --plan; writes no page.")
TOOL.switch(
  "plan", "Prints how many seeds each ordering needs, from the finished pilot."
)
TOOL.exclusive("pilot", "plan", reason="choose what to do")
TOOL.number_flag(
  "budget_hours",
  0.0,
  "With --plan: hours of the main run; names the orderings that need more.",
)
TOOL.text_flag(
  "records",
  "Folder of records of finished steps: their numbers, without models. Steps"
  " that it has are not run again.",
)
TOOL.switch("dry_run", "Prints the steps without running them.")
TOOL.repeated_flag(
  "only", "Runs matching steps and their inputs, such as 'rendered/moco/*'."
)
TOOL.text_flag("results", "Path of the page; default RESULTS.md in output_dir.")

if __name__ == "__main__":
  TOOL.run()
