"""Whether the devices of this machine compute bfloat16 in hardware.

Where they do not, TensorFlow emulates it: on a CPU without the instructions, a
train step takes several times as long as in float32.
"""

import os
from typing import NamedTuple

CPUINFO = "/proc/cpuinfo"
# Flags of the Linux kernel for what oneDNN, TensorFlow's library of CPU
# kernels, has bfloat16 kernels for.
INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
# NVIDIA's compute capability of the first GPUs with bfloat16 (Ampere).
CAPABILITY = (8, 0)
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"  # Read by TensorFlow.


class Support(NamedTuple):
  """Result of `support`.

  Attributes:
    in_hardware: whether all devices that train compute bfloat16 in hardware.
    reason: what shows it, such as "the processor has avx512_bf16".
  """

  in_hardware: bool
  reason: str


def support(cpuinfo: str = CPUINFO) -> Support:
  """Examines the devices that TensorFlow trains on: TPU, else GPUs, else CPU.

  Args:
    cpuinfo: path of the kernel's description of the processor. Without it, as
      on other systems than Linux, the processor counts as one without bfloat16.
  """
  import tensorflow as tf

  if tf.config.list_logical_devices("TPU"):
    return Support(True, "the device is a TPU")
  gpus = tf.config.list_physical_devices("GPU")
  if gpus:
    return _of_gpus([_capability(gpu) for gpu in gpus])
  return _of_processor(cpuinfo)


def _capability(gpu) -> tuple[int, int]:
  import tensorflow as tf

  details = tf.config.experimental.get_device_details(gpu)
  return tuple(details.get("compute_capability") or (0, 0))


def _of_gpus(capabilities: list[tuple[int, int]]) -> Support:
  lowest = min(capabilities)
  number = ".".join(map(str, lowest))
  needed = ".".join(map(str, CAPABILITY))
  if lowest >= CAPABILITY:
    return Support(True, f"the GPU has compute capability {number}")
  return Support(
    False, f"a GPU has compute capability {number}, below {needed}"
  )


def _of_processor(cpuinfo: str) -> Support:
  if os.environ.get(_ONEDNN, "1").lower() in ("0", "false"):
    return Support(False, f"{_ONEDNN} turns the bfloat16 kernels off")
  flags = _flags(cpuinfo)
  for name in INSTRUCTIONS:
    if name in flags:
      return Support(True, f"the processor has {name}")
  return Support(
    False, f"the processor has neither {' nor '.join(INSTRUCTIONS)}"
  )


def _flags(cpuinfo: str) -> list[str]:
  """Flags of the first processor; [] if they are unknown."""
  try:
    with open(cpuinfo, encoding="utf-8", errors="replace") as file:
      for line in file:
        name, _, value = line.partition(":")
        if name.strip() == "flags":
          return value.split()
  except OSError:
    pass
  return []
