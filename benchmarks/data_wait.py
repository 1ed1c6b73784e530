r"""Measures how long training waits for data in the few-minutes configs.

  python -m benchmarks.data_wait --data=data

--data is a folder with cifar10/train and imagenette/train (class folders) and,
for the configs on videos, videos/davis2016; configs whose data are missing are
named and left out. Rendered data are rendered on first use.

Trains each config for some steps without its monitors, in float32 and in
bfloat16 where the hardware has it, and prints the fraction of the time after
the first steps in which the train step waited for a batch, as `data wait` in
the progress bar of a run, beside its limit. The exit code is 3 if one is above.
On other than two cores: `taskset -c 0,1 python -m benchmarks.data_wait ...`.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tools._cli import gin_files, quiet

quiet.import_tensorflow()

import gin  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks import machine, ratios  # noqa: E402
from tf_ssl import errors  # noqa: E402
from tf_ssl.input_pipeline import wait_clock  # noqa: E402
from tf_ssl.ops import bfloat16, threads  # noqa: E402
from tf_ssl.training import assembly, callbacks, data, phases  # noqa: E402
from tf_ssl.training import settings as settings_lib  # noqa: E402

LIMIT = 0.05  # Of the time of training.
CIFAR10, IMAGENETTE, VIDEOS = (
  "cifar10/train",
  "imagenette/train",
  "videos/davis2016",
)
# Name of a file in gin_configs -> its images, relative to --data.
CONFIGS = {
  "pretrain/moco_v2_cifar10": CIFAR10,
  "pretrain/moco_v2_imagenette": IMAGENETTE,
  "pretrain/pirl_cifar10": CIFAR10,
  "pretrain/pirl_imagenette": IMAGENETTE,
  "pretrain/simclr_cifar10": CIFAR10,
  "pretrain/simclr_imagenette": IMAGENETTE,
  "pretrain/npid_cifar10": CIFAR10,
  "pretrain/supervised_cifar10": CIFAR10,
  "pretrain/supervised_imagenette": IMAGENETTE,
  "pretrain/supervised_contrastive_cifar10": CIFAR10,
  "pretrain/supervised_contrastive_imagenette": IMAGENETTE,
  "pretrain/hybrid_cifar10": CIFAR10,
  "pretrain/quickstart": None,
  "pretrain/quickstart_images": None,
  "video/frame_pairs_few_steps": VIDEOS,
  "video/moco_v2_frames_few_steps": VIDEOS,
}


class Waited(NamedTuple):
  """What a short training has measured after its first steps.

  Attributes:
    images_per_second: examples of the batches, per second.
    fraction: fraction of the time that was spent waiting for data.
  """

  images_per_second: float
  fraction: float


class _Window(callbacks.StepMetrics):
  """Starts its window after the first steps, which compile and fill buffers."""

  def __init__(self, first: int, **options):
    memory = types.SimpleNamespace(memory={})
    super().__init__(memory, every=first, **options)
    self._first = first

  def on_train_batch_end(self, batch, logs=None):
    super().on_train_batch_end(batch, logs)
    if self.step == self._first:
      self.close_window()


def measure(
  settings: settings_lib.Pretraining, *, first: int, steps: int
) -> Waited:
  """Trains `first` steps, then `steps` that count, without monitors.

  Args:
    settings: settings of a run, with a precision other than "auto".
    first: number of steps before the measurement.
    steps: number of steps of the measurement.
  """
  settings = dataclasses.replace(
    settings_lib.locate(
      dataclasses.replace(settings, monitors=(), more_monitors=())
    ),
    steps=first + steps,
  )
  tf.keras.backend.clear_session()
  assembly.seed_everything(settings)
  records = data.read(settings)
  model = assembly.build_method(
    settings,
    num_images=records.num_examples,
    num_classes=data.num_classes(records),
  )
  assembly.compile_method(settings, model)
  clock = wait_clock.WaitClock()
  window = _Window(
    first,
    timeline=settings.timeline,
    wait_seconds=lambda: clock.seconds,
  )
  with tempfile.TemporaryDirectory() as folder:
    batches = data.RunBatches(
      settings,
      records,
      model.view_type,
      skipped_file=pathlib.Path(folder) / "skipped",
    )
    phases.fit(
      model,
      settings.timeline,
      lambda step, share: clock.watch(batches.from_step(step, share)),
      start=0,
      callbacks=[window],
    )
  return Waited(
    window.latest["images_per_second"], window.latest["data_wait_fraction"]
  )


@contextlib.contextmanager
def configured(
  config: str, images: pathlib.Path | None, bindings: Sequence[str]
) -> Iterator[settings_lib.Pretraining]:
  """Yields the settings of a config, while gin holds it.

  Args:
    config: name of a file in gin_configs, without its suffix.
    images: path of the images or videos; None where the config has its own.
    bindings: further lines of gin.

  Raises:
    UsageError: the config or a line cannot be used.
  """
  lines = []
  if config.startswith("video/"):
    lines = [f"VIDEOS={str(images)!r}", "SAME_VIDEO_IN_BATCH=True"]
  elif images:
    # The kNN needs both, and is not run.
    lines = [
      f"{name}={str(images)!r}" for name in ("IMAGES", "HELD_OUT_IMAGES")
    ]
  gin.clear_config()
  try:
    gin_files.load([f"gin_configs/{config}.gin"], [*lines, *bindings])
    yield gin_files.configured(settings_lib.Pretraining)()
  finally:
    gin.clear_config()


def row(config: str, precision: str, waited: Waited) -> str:
  """A row of the table."""
  mark = "" if waited.fraction <= LIMIT else " **above**"
  return (
    f"| `{config}.gin` | {precision} | {waited.images_per_second:.0f} |"
    f" {waited.fraction:.1%}{mark} |"
  )


def main(arguments: Sequence[str] | None = None) -> int:
  """Prints the table; returns the number of rows above the limit.

  Raises:
    UsageError: an argument cannot be used.
  """
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--data", required=True, type=pathlib.Path)
  parser.add_argument("--config", action="append", choices=tuple(CONFIGS))
  parser.add_argument("--precision", action="append")
  parser.add_argument("--gin_bindings", action="append", default=[])
  parser.add_argument("--first_steps", type=int, default=20)
  parser.add_argument("--steps", type=int, default=100)
  given = parser.parse_args(arguments)
  errors.require(
    min(given.first_steps, given.steps) >= 1,
    f"--first_steps={given.first_steps}, --steps={given.steps}: expected at"
    " least 1",
  )
  threads.use_for_tensorflow(1)  # As all these configs do.
  support = bfloat16.support()
  precisions = given.precision or (
    ["float32", "mixed_bfloat16"] if support.in_hardware else ["float32"]
  )
  print(
    f"Waiting for data, {given.steps} steps after the first"
    f" {given.first_steps}; limit {LIMIT:.0%}. Processor:"
    f" {machine.processor()}, {threads.num_cores()} cores; {support.reason}.\n"
  )
  print("| config | precision | images/s | data wait |\n|---|---|---|---|")
  above, left_out = 0, []
  for config in given.config or CONFIGS:
    images = CONFIGS[config] and (given.data / CONFIGS[config]).absolute()
    if images and not images.is_dir():
      left_out.append(f"{config} ({images} is missing)")
      continue
    for precision in precisions:
      with configured(config, images, given.gin_bindings) as settings:
        settings = dataclasses.replace(settings, precision=precision)
        waited = measure(settings, first=given.first_steps, steps=given.steps)
      above += waited.fraction > LIMIT
      ratios.keep(
        f"time spent waiting for data, {config}.gin, {precision}",
        waited.fraction,
        unit=ratios.PERCENT,
        at_most=LIMIT,
      )
      print(row(config, precision, waited), flush=True)
  if left_out:
    print(f"\nLeft out: {'; '.join(left_out)}.")
  return above


if __name__ == "__main__":
  try:
    sys.exit(3 if main() else 0)
  except errors.UsageError as error:
    print(f"data_wait: {error}", file=sys.stderr)
    sys.exit(2)
