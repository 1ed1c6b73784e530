"""run.json: on what, from what and how long a run went."""

import resource
import sys

from tf_ssl.ops import environment


def peak_memory_bytes() -> int:
  """The most memory this process has held so far (resident set)."""
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak if sys.platform == "darwin" else peak * 1024


def describe(*, command: str, seed: int, data: dict) -> dict:
  """What is known of a run when it starts.

  Args:
    command: what was typed.
    seed: of the run.
    data: digest of the images: count, bytes, hash of sorted names and sizes.
  """
  return {
    "command": command,
    "versions": environment.versions(),
    "git_commit": environment.git_commit(),
    "hardware": environment.hardware(),
    "data": data,
    "seed": seed,
  }
