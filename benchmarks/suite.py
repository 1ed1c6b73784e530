"""The benchmarks whose ratios have goals, and those that take hours."""

import importlib.util
import pathlib
from typing import NamedTuple

from benchmarks import machine


class Benchmark(NamedTuple):
  """A benchmark with the sizes that it is run with.

  Attributes:
    name: name of its results.
    words: name of the module, then its arguments; {data} stands for --data.
    needs: instruction sets, and "torch".
    missed: exit code with which it says that a goal is missed.
  """

  name: str
  words: tuple[str, ...]
  needs: tuple[str, ...] = ()
  missed: int = 0

  def command(self, data: str) -> tuple[str, ...]:
    """Words after `python`."""
    module, *arguments = self.words
    return (
      "-m",
      f"benchmarks.{module}",
      *(word.replace("{data}", data) for word in arguments),
    )


class Long(NamedTuple):
  """A benchmark of hours, with its last result.

  Attributes:
    command: words after `python -m`.
    result: last result, whose numbers stand in the document.
    document: path of the document with the whole table, from the root.
  """

  command: str
  result: str
  document: str


# The sizes are for one sitting: a few minutes each on two idle cores.
BENCHMARKS = (
  Benchmark("step_overhead", ("train_step", "--runs=3")),
  Benchmark(
    "torch_float32", ("train_step", "--torch=float32", "--runs=3"), ("torch",)
  ),
  Benchmark(
    "torch_bfloat16",
    ("train_step", "--torch=bfloat16", "--runs=3"),
    ("torch", "amx_bf16"),
  ),
  Benchmark("bfloat16", ("train_step", "--small", "--runs=3"), ("amx_bf16",)),
  Benchmark("pirl_step", ("pirl_step", "--no_memory", "--runs=3")),
  Benchmark(
    "data_wait",
    (
      "data_wait",
      "--data={data}",
      "--config=pretrain/moco_v2_cifar10",
      "--config=pretrain/pirl_imagenette",
      "--config=pretrain/npid_cifar10",
      "--first_steps=8",
      "--steps=20",
    ),
    missed=3,
  ),
  Benchmark(
    "input_pipeline",
    ("input_pipeline", "--images={data}/imagenette/train", "--rounds=3"),
  ),
  Benchmark("video", ("video", "--videos={data}/videos/davis2016")),
  Benchmark("invariance", ("invariance", "--repeats=2")),
  Benchmark(
    "feature_extraction",
    ("feature_extraction", "--encoders=resnet18", "--memory_images=20000"),
  ),
  Benchmark("knn", ("downstream", "--only=knn", "--rounds=1")),
  Benchmark("linear_probe", ("downstream", "--only=probe")),
  Benchmark("linear_svm", ("downstream", "--only=svm")),
  Benchmark(
    "crop_statistics",
    (
      "crop_statistics",
      "--images=5000",
      "--pairs=64",
      "--areas=0.2",
      "--slow_images=3",
      "--repeats=2",
    ),
  ),
  Benchmark(
    "duplicates",
    ("duplicates", "--images={data}/imagenette/train", "--distance=12"),
  ),
)

LONG = (
  Long(
    "benchmarks.few_minutes --data=data --output_dir=runs/few_minutes"
    " --seeds=3",
    "kNN accuracy of MoCo v2, untrained → trained, mean of 3 seeds: CIFAR-10"
    " 35.2 % → 52.4 %, Imagenette 34.5 % → 56.2 %",
    "gin_configs/README.md",
  ),
  Long(
    "benchmarks.tracking --videos=DAVIS --videos=OTB --videos=VOT"
    " --matchers chain --fit",
    "region tracks at 1 s, on videos left out: precision 0.57 (at least 0.75),"
    " recall 0.51 (at least 0.5)",
    "gin_configs/video/README.md",
  ),
  Long(
    "benchmarks.track_training --videos=data/videos"
    " --output_dir=runs/track_training --seeds=5",
    "an object of a film left out is found again 1 s later: after training on"
    " frames 69.8 %, frame pairs 74.2 %, pairs and region tracks 74.8 %,"
    " untrained 60.7 %",
    "gin_configs/video/README.md",
  ),
  Long(
    "benchmarks.video_memory",
    "an hour-long video takes 310 MB beyond the idle process (at most 500 MB)",
    "benchmarks/README.md",
  ),
  Long(
    "benchmarks.downstream --only=knn --full --rounds=1",
    "exact kNN against 1,281,167 × 2,048 has 0.78 of the speed of the bare"
    " matrix product (at least 0.7)",
    "benchmarks/README.md",
  ),
  Long(
    "benchmarks.gpu --output_dir=runs/gpu --cifar10=cifar10",
    "No GPU has run it yet",
    "benchmarks/README.md",
  ),
)


def missing(benchmark: Benchmark, data: pathlib.Path | None) -> str | None:
  """What a benchmark needs and this machine lacks; None if it can run."""
  for need in benchmark.needs:
    if need == "torch":
      if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed here"
    elif need not in machine.instructions():
      return f"this processor has no {need}"
  for word in benchmark.words:
    if "{data}" not in word:
      continue
    if data is None:
      return "needs data: give --data"
    path = pathlib.Path(word.partition("=")[2].replace("{data}", str(data)))
    if not path.is_dir():
      return f"{path.relative_to(data)} is missing in --data"
  return None
