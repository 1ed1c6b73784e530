"""Names the processor that a table was measured on."""

import pathlib
import platform

# What decides how fast it trains, besides its clock.
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def processor() -> str:
  """Name of the processor, with what it has for bfloat16."""
  try:
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
  except OSError:
    return platform.processor() or platform.machine()
  fields = dict(
    line.split("\t:", 1) if "\t:" in line else (line, "")
    for line in text.replace("\t\t", "\t").splitlines()
  )
  flags = fields.get("flags", "").split()
  kinds = [
    n for n in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if n in flags
  ]
  return f"{fields.get('model name', '').strip()} ({', '.join(kinds)})"
