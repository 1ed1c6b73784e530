"""Describes the machine and the software that a table was measured on."""

import functools
import json
import pathlib
import platform
from typing import Any

from tf_ssl.ops import child_process

# What decides how fast it trains, besides its clock; the later, the faster.
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_PATIENCE = 300  # Seconds for the start of TensorFlow on a busy machine.


def processor() -> str:
  """Name of the processor, with what it has for bfloat16."""
  name = _cpuinfo().get("model name", "").strip()
  if not name:
    return platform.processor() or platform.machine()
  return f"{name} ({', '.join(instructions())})"


def instructions() -> tuple[str, ...]:
  """Instruction sets of the processor that matter, as the kernel names them."""
  flags = _cpuinfo().get("flags", "").split()
  return tuple(name for name in _INSTRUCTIONS if name in flags)


def description() -> dict[str, Any]:
  """Hardware and versions, as JSON has them.

  A child process asks TensorFlow, so that this one stays free of it.

  Returns:
    `processor`, `cores`, `memory_bytes`, `accelerators` (names), `versions`
    (by package) and `commit` (None outside a checkout).
  """
  code = (
    "import json; from tf_ssl.ops import environment as e; print(json.dumps("
    "{**e.hardware(), 'versions': e.versions(), 'commit': e.git_commit()}))"
  )
  found = json.loads(child_process.output_of(code, seconds=_PATIENCE))
  return {**found, "processor": processor()}


@functools.cache
def _cpuinfo() -> dict[str, str]:
  """Fields of the first processor that the kernel describes."""
  try:
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
  except OSError:
    return {}
  first = text.split("\n\n")[0].replace("\t\t", "\t")
  fields = [line.split("\t:", 1) for line in first.splitlines()]
  return {field[0]: field[1] for field in fields if len(field) == 2}
