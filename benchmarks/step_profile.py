"""Where the CPU time of a train step goes, for `benchmarks.train_step`."""

import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

# Group -> parts of the types of operations; the first that fits counts.
CONVOLUTIONS = "convolutions and matrix products"
REST = "everything else, and running the graph"
COMPILED = "compiled kernels"  # Functions of `jit_compile`.
EXECUTOR = "ExecutorState::Process"  # The profiler's event around kernels.
ASYNCHRONOUS = "ExecutorState::ProcessAsync::Start"  # Around compiled ones.
GROUPS = {
  CONVOLUTIONS: ("Conv2D", "MatMul"),
  "batch norm": ("BatchNorm",),
  "ReLU": ("Relu",),
  "sums": ("AddV2", "AddN"),
  "pooling": ("Pool",),
  "slices, joins, paddings": ("Slice", "Concat", "Split", "Pad", "Pack"),
  "casts": ("Cast",),
  "updates of weights": ("Resource", "Assign", "ReadVariable", "Mul", "L2Loss"),
}


def group_of(operation: str) -> str:
  """Group of a type of operation, such as "_MklNativeConv2D"."""
  for group, parts in GROUPS.items():
    if any(part in operation for part in parts):
      return group
  return REST


def shares(space: xplane_pb2.XSpace) -> Mapping[str, float]:
  """Share of each group in the time of TensorFlow's executor."""
  groups = dict.fromkeys([*GROUPS, COMPILED, REST], 0.0)
  executor = 0.0
  for plane in space.planes:
    if plane.name != "/host:CPU":
      continue
    for line in plane.lines:
      for event in line.events:
        name = plane.event_metadata[event.metadata_id].name
        node, _, operation = name.rpartition(":")
        if name == EXECUTOR:
          executor += event.duration_ps
        elif name == ASYNCHRONOUS:
          groups[COMPILED] += event.duration_ps
        elif node and ":" not in node:
          groups[group_of(operation)] += event.duration_ps
  groups[REST] = 0.0  # Holds the step as a whole, too.
  groups[REST] = executor - sum(groups.values())
  return {group: time / executor for group, time in groups.items()}


def measure(
  step: Callable[[], object], runs: int
) -> tuple[float, dict[str, float]]:
  """Runs a step without the profiler and then with it.

  Args:
    step: function that runs a compiled step. Each operation must use one
      thread. What else the machine does lengthens all operations alike.
    runs: number of measured steps of each kind.

  Returns:
    CPU seconds of a step, and those of each group, which sum to it.
  """
  for _ in range(2):
    step()
  began = time.process_time()
  for _ in range(runs):
    step()
  whole = (time.process_time() - began) / runs
  with tempfile.TemporaryDirectory() as folder:
    tf.profiler.experimental.start(
      folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=2)
    )
    for _ in range(runs):
      step()
    tf.profiler.experimental.stop()
    (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
  return whole, {group: s * whole for group, s in shares(space).items()}


def table(title: str, whole: float, groups: Mapping[str, float]) -> str:
  """Lines of a Markdown table, with the limit that convolutions set.

  Args:
    title: name of the step.
    whole: CPU seconds of a step.
    groups: CPU seconds of each group.
  """
  lines = [f"| {title} | CPU ms | share |", "|---|---|---|"]
  for group, seconds in groups.items():
    lines.append(f"| {group} | {1000 * seconds:.1f} | {seconds / whole:.1%} |")
  limit = whole / groups[CONVOLUTIONS]
  lines.append(f"| whole step | {1000 * whole:.1f} | {limit:.2f} x the limit |")
  return "\n".join(lines)
