"""Runs a training as several worker processes on this machine.

The words after -- are flags of tools.train, or another command.
"""

import sys

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `launcher.launch` and ends with its exit code."""
  from tf_ssl.training.distributed import launcher

  command = list(invocation.rest)
  if command and command[0].startswith("-"):
    command = [sys.executable, "-m", f"{__package__}.train", *command]
  code = launcher.launch(
    command,
    workers=invocation.flags.workers,
    restarts=invocation.flags.restarts,
    say=lambda line: print(line, file=sys.stderr, flush=True),
  )
  if code:
    sys.exit(code)


TOOL = cli.Tool("launch", __doc__, main, takes_rest=True)
TOOL.number_flag("workers", 2, "Number of processes that train together.")
TOOL.number_flag(
  "restarts",
  3,
  "Number of restarts of all workers, from the last checkpoint, after one was"
  " killed or lost.",
)

if __name__ == "__main__":
  TOOL.run()
