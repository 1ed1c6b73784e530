r"""Measures training on a GPU: speed of ResNet-50, and learning on CIFAR-10.

  python -m benchmarks.gpu --output_dir=runs/gpu --cifar10=cifar10
  python -m benchmarks.gpu --output_dir=runs/gpu --cifar10=tfds:cifar10

The first part trains MoCo v2 with ResNet-50 at 224 px on JPEGs of noise, with
and without XLA, with the photometric half of augmentation on the device and in
the input pipeline, in float32, in TF32 and in bfloat16. It reports images/s,
the share of the time that the step waits for data, and FLOP/s of the
convolutions as a share of two peaks: that of a large matrix product, measured
here, and that of the GPU's data sheet, where it is known.

The second part trains ResNet-18 on CIFAR-10 as the notebook of MoCo's authors
does, and follows the kNN accuracy. --cifar10 is a folder with train and test
(class folders each) or a TFDS name; without it, the part is left out.

--output_dir gets gpu.md and gpu.json, and knn.png of the second part. The same
command resumes: a finished measurement is not repeated.

No GPU has run it yet. To try it on a CPU: --device=cpu --tiny.
"""

import argparse
import functools
import itertools
import json
import pathlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tools._cli import quiet

quiet.import_tensorflow()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks import data_wait, machine, script  # noqa: E402
from tf_ssl import errors  # noqa: E402
from tf_ssl.augment import recipes  # noqa: E402
from tf_ssl.encoders import batch_norm, heads, resnet  # noqa: E402
from tf_ssl.methods import moco  # noqa: E402
from tf_ssl.ops import environment, jpeg, optimizers, workdir  # noqa: E402
from tf_ssl.reporting import charts  # noqa: E402
from tf_ssl.training import metrics_log, pretrain  # noqa: E402
from tf_ssl.training import settings as settings_lib  # noqa: E402
from tf_ssl.training.monitors import base, labeled  # noqa: E402

# Peak of dense matrix products, TFLOP/s: float32, TF32, bfloat16; None where a
# GPU has no such unit. NVIDIA's data sheets: V100 SXM2, T4, A100, L4, H100 SXM,
# H200.
PEAKS = {
  "V100-SXM2": (15.7, None, None),
  "Tesla T4": (8.1, None, None),
  "A100": (19.5, 156.0, 312.0),
  "NVIDIA L4": (30.3, 60.0, 121.0),
  "H100 80GB HBM3": (67.0, 494.7, 989.4),
  "H200": (67.0, 494.7, 989.4),
}
# Name of a precision -> Keras dtype policy, whether TF32 replaces float32.
PRECISIONS = {
  "float32": ("float32", False),
  "TF32": ("float32", True),
  "bfloat16": ("mixed_bfloat16", False),
}
# A step trains the query encoder (forward, and twice as much backward) and
# calls the key encoder once.
_PASSES = 4


class Size(NamedTuple):
  """Size of both parts.

  Attributes:
    encoder: function that builds the encoder of the first part.
    image_size: side of the views of the first part, pixels.
    batch_size: batch size of the first part.
    queue_size: length of the queue of the first part.
    num_images: number of images of the first part.
    matrix: side of the matrices of the measured peak.
    cifar10_encoder: function that builds the encoder of the second part.
    cifar10_batch: batch size of the second part.
    cifar10_queue: length of the queue of the second part.
  """

  encoder: Any
  image_size: int
  batch_size: int
  queue_size: int
  num_images: int
  matrix: int
  cifar10_encoder: Any
  cifar10_batch: int
  cifar10_queue: int


_SPLIT = functools.partial(batch_norm.split, groups=8)
_TINY = functools.partial(
  resnet.ResNet,
  stack=resnet.basic_stack,
  blocks=(1, 1, 1, 1),
  width=1 / 32,
  stem="small",
  batch_norm=batch_norm.plain,
)
WHOLE = Size(
  functools.partial(resnet.resnet50, batch_norm=_SPLIT),
  image_size=224,
  batch_size=256,
  queue_size=65536,
  num_images=2048,
  matrix=8192,
  cifar10_encoder=functools.partial(
    resnet.resnet18, stem="small", batch_norm=_SPLIT
  ),
  cifar10_batch=512,
  cifar10_queue=4096,
)
TINY = Size(_TINY, 8, 8, 16, 24, 64, _TINY, 8, 8)


def flops_of_convolutions(encoder: tf.keras.Model, image_size: int) -> float:
  """FLOPs of all convolutions of a forward pass, for one image.

  Args:
    encoder: encoder of float32.
    image_size: side of the image, pixels.
  """
  image = tf.TensorSpec([1, image_size, image_size, 3])
  graph = (
    tf.function(lambda x: encoder(x, training=False))
    .get_concrete_function(image)
    .graph
  )
  total = 0
  for operation in graph.get_operations():
    if operation.type == "Conv2D":
      kernel = operation.inputs[1].shape.as_list()
      height, width = operation.outputs[0].shape.as_list()[1:3]
      total += 2 * int(np.prod(kernel)) * height * width
  return float(total)


def measured_peak(precision: str, side: int, *, runs: int = 10) -> float:
  """FLOP/s of the product of two square matrices on the device.

  Args:
    precision: name in `PRECISIONS`.
    side: number of rows and columns.
    runs: number of products.
  """
  policy, tf32 = PRECISIONS[precision]
  tf.config.experimental.enable_tensor_float_32_execution(tf32)
  dtype = tf.keras.mixed_precision.Policy(policy).compute_dtype
  matrix = tf.cast(tf.random.stateless_normal([side, side], [0, 0]), dtype)

  @tf.function
  def product():
    x = matrix
    for _ in range(runs):
      x = tf.matmul(x, matrix)
    return tf.reduce_sum(tf.cast(x, tf.float32))

  product().numpy()
  began = time.perf_counter()
  product().numpy()
  return 2.0 * side**3 * runs / (time.perf_counter() - began)


def data_sheet_peak(device: str, precision: str) -> float | None:
  """FLOP/s of `PEAKS` for the name of a GPU; None if it is unknown."""
  column = list(PRECISIONS).index(precision)
  for name, peaks in PEAKS.items():
    if re.search(rf"\b{name}\b", device) and peaks[column] is not None:
      return 1e12 * peaks[column]
  return None


def _moco(images, encoder, **values) -> settings_lib.Pretraining:
  method = functools.partial(
    moco.build_moco,
    encoder=encoder,
    projection_head=heads.MlpHead,
    **values.pop("method"),
  )
  return settings_lib.Pretraining(
    images=images,
    method=method,
    schedule=functools.partial(optimizers.LearningRate, kind="cosine"),
    strategy="one",
    **values,
  )


def _write_noise(folder: pathlib.Path, count: int) -> str:
  """JPEGs of 500 x 375 px of smooth noise, the usual size in ImageNet."""
  folder.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(0)
  for number in range(count):
    path = folder / f"{number}.jpg"
    if path.exists():
      continue
    coarse = rng.integers(0, 256, [15, 20, 3]).astype(np.float32)
    smooth = tf.image.resize(coarse, [375, 500], "bicubic").numpy()
    smooth += rng.normal(0, 8, smooth.shape)
    path.write_bytes(jpeg.encode(np.clip(smooth, 0, 255).astype(np.uint8)))
  return str(folder)


def measure_speed(
  size: Size, images: str, precision: str, *, xla: bool, on_device: bool, steps
) -> dict[str, Any]:
  """Trains for some steps with one combination of settings.

  Args:
    size: size of the network and the batch.
    images: path of the images.
    precision: name in `PRECISIONS`.
    xla: whether XLA compiles the step.
    on_device: whether the device runs the photometric half of augmentation.
    steps: number of steps of the measurement, after as many others.

  Returns:
    A row of gpu.json; `error` instead of numbers if the memory is too small.
  """
  row = {"precision": precision, "xla": xla, "on_device": on_device}
  policy, tf32 = PRECISIONS[precision]
  tf.config.experimental.enable_tensor_float_32_execution(tf32)
  settings = _moco(
    images,
    size.encoder,
    method={"queue_size": min(size.queue_size, size.num_images - 1)},
    recipe=recipes.moco_v2(),
    image_size=size.image_size,
    batch_size=size.batch_size,
    steps=1,
    learning_rate=0.03,
    precision=policy,
    jit_compile=xla,
    finish_views_in_step=on_device,
  )
  try:
    found = data_wait.measure(settings, first=steps, steps=steps)
  except tf.errors.ResourceExhaustedError:
    return {**row, "error": f"out of memory with a batch of {size.batch_size}"}
  return {
    **row,
    "images_per_second": found.images_per_second,
    "data_wait": found.fraction,
  }


class _Minutes(base.Monitor):
  """Minutes of the run so far, those of an interrupted one included."""

  def __init__(self, before: float, *, every: int):
    self.every = every
    self._began = time.perf_counter() - 60 * before

  def measure(self, step: int) -> Mapping[str, float]:
    return {"minutes": (time.perf_counter() - self._began) / 60}


def _splits(cifar10: str) -> tuple[str, str]:
  if cifar10.startswith("tfds:"):
    return f"{cifar10}:train", f"{cifar10}:test"
  folder = pathlib.Path(cifar10)
  found = str(folder / "train"), str(folder / "test")
  for path in found:
    errors.require(
      pathlib.Path(path).is_dir(),
      f"--cifar10={cifar10}: {path} is missing; expected a folder with train"
      " and test, or a TFDS name such as tfds:cifar10",
    )
  return found


def learn(
  size: Size, cifar10: str, model_dir: pathlib.Path, *, steps: int, every: int
) -> list[dict[str, float]]:
  """Trains on CIFAR-10, or resumes.

  Args:
    size: size of the network and the batch.
    cifar10: folder with train and test, or TFDS name.
    model_dir: path of the run's folder.
    steps: number of steps.
    every: number of steps between two measurements.

  Returns:
    Records with `step`, `minutes` and `knn_accuracy`.
  """
  train, test = _splits(cifar10)
  metrics = model_dir / "metrics.jsonl"

  def measured():
    records = metrics_log.read(metrics) if metrics.exists() else []
    names = ("step", "minutes", "knn_accuracy")
    return [{n: r[n] for n in names} for r in records if names[2] in r]

  tf.keras.backend.clear_session()
  tf.config.experimental.enable_tensor_float_32_execution(True)
  before = measured()
  settings = _moco(
    train,
    size.cifar10_encoder,
    method={
      "queue_size": size.cifar10_queue,
      "momentum": 0.99,
      "temperature": 0.1,
      "symmetric": True,
    },
    recipe=recipes.moco_v2(blur_probability=0.0),
    image_size=32,
    batch_size=size.cifar10_batch,
    steps=steps,
    learning_rate=0.06,
    optimizer=functools.partial(optimizers.MomentumSgd, weight_decay=5e-4),
    finish_views_in_step=True,
    monitors=(
      labeled.LabeledImages(
        train=train, test=test, linear_probe=False, every=every
      ),
      _Minutes(before[-1]["minutes"] if before else 0.0, every=every),
    ),
  )
  config = f"steps = {steps}\nevery = {every}\ncifar10 = {cifar10!r}\n"
  pretrain.pretrain(
    settings, model_dir=str(model_dir), operative_config=lambda: config
  )
  return measured()


def markdown(found: Mapping[str, Any]) -> str:
  """gpu.md: the table of speeds, and the accuracies on CIFAR-10."""
  text = [
    f"Device: {found['device']}. {found['network']}: MoCo v2, batch"
    f" {found['batch_size']}; {found['gflops_per_image']:.3g} GFLOP of"
    " convolutions for an image and step (query forward and backward, key"
    " forward). Peaks: the product of two matrices of"
    f" {found['matrix']} rows measured here, and the data sheet's.",
    "",
    "| precision | XLA | augmentation | images/s | data wait | TFLOP/s | of the"
    " measured peak | of the data sheet |",
    "|---|---|---|---|---|---|---|---|",
  ]
  for row in found["speed"]:
    where = "on the device" if row["on_device"] else "input pipeline"
    cells = [row["precision"], "yes" if row["xla"] else "no", where]
    if "error" in row:
      cells += [row["error"], *["–"] * 4]
    else:
      rate = row["images_per_second"] * found["gflops_per_image"] * 1e9
      cells += [
        f"{row['images_per_second']:.1f}",
        f"{row['data_wait']:.1%}",
        f"{rate / 1e12:.3g}",
        _share(rate, found["measured_peaks"][row["precision"]]),
        _share(rate, found["data_sheet_peaks"][row["precision"]]),
      ]
    text.append(f"| {' | '.join(cells)} |")
  if found.get("cifar10"):
    text += [
      "",
      "CIFAR-10, kNN (k 20, temperature 0.1) on the test images:",
      "",
      "| step | minutes | kNN |",
      "|---|---|---|",
    ]
    text += [
      f"| {r['step']} | {r['minutes']:.1f} | {r['knn_accuracy']:.1%} |"
      for r in found["cifar10"]
    ]
    text += ["", "![kNN accuracy against minutes](knn.png)"]
  return "\n".join(text) + "\n"


def _share(rate: float, peak: float | None) -> str:
  return "–" if peak is None else f"{rate / peak:.1%}"


def _draw(records: Sequence[Mapping[str, float]], device: str) -> bytes:
  with charts.figure(5, 3.2) as drawn:
    axes = drawn.subplots()
    axes.plot(
      [r["minutes"] for r in records],
      [100 * r["knn_accuracy"] for r in records],
      marker="o",
      color=charts.color(0),
    )
    axes.set_xlabel(f"minutes on {device}")
    axes.set_ylabel("kNN accuracy on CIFAR-10, %")
    charts.clean(axes)
    return charts.png(drawn)


def _device(name: str) -> str:
  """Name of the GPU, or of the processor.

  Raises:
    UsageError: there is no GPU, and no CPU was asked for.
  """
  if name == "cpu":
    tf.config.set_visible_devices([], "GPU")
    return machine.processor()
  found = environment.hardware()["accelerators"]
  errors.require(
    found,
    "TensorFlow finds no GPU: expected one; to try the command on a CPU, add"
    " --device=cpu --tiny",
  )
  return found[0]


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs the command.

  Raises:
    UsageError: there is no GPU, or an argument cannot be used.
  """
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--output_dir", required=True, type=pathlib.Path)
  parser.add_argument("--cifar10")
  parser.add_argument("--cifar10_steps", type=int, default=19_600)
  parser.add_argument("--cifar10_every", type=int, default=980)
  parser.add_argument("--steps", type=int, default=30)
  parser.add_argument("--batch_size", type=int)
  parser.add_argument("--precision", action="append", choices=tuple(PRECISIONS))
  parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
  parser.add_argument("--tiny", action="store_true")
  given = parser.parse_args(arguments)
  device = _device(given.device)
  if given.cifar10:
    _splits(given.cifar10)
  size = TINY if given.tiny else WHOLE
  if given.batch_size:
    size = size._replace(batch_size=given.batch_size)
  given.output_dir.mkdir(parents=True, exist_ok=True)
  results = given.output_dir / "gpu.json"
  precisions = given.precision or list(PRECISIONS)
  whole_size = {
    "device": device,
    "network": "a tiny ResNet" if given.tiny else "ResNet-50 at 224 px",
    "batch_size": size.batch_size,
    "matrix": size.matrix,
    "steps": given.steps,
  }
  found = json.loads(results.read_text()) if results.exists() else {}
  if any(found.get(name) != value for name, value in whole_size.items()):
    found = dict(whole_size)
  found.setdefault("speed", [])
  for name in ("measured_peaks", "data_sheet_peaks"):
    found.setdefault(name, {})

  def keep():
    workdir.write_json(results, found)
    workdir.write_text(given.output_dir / "gpu.md", markdown(found))

  encoder = size.encoder(dtype="float32")
  flops = flops_of_convolutions(encoder, size.image_size)
  found["gflops_per_image"] = _PASSES * flops / 1e9
  images = _write_noise(given.output_dir / "images", size.num_images)
  for precision in precisions:
    peak = measured_peak(precision, size.matrix)
    found["measured_peaks"][precision] = peak
    found["data_sheet_peaks"][precision] = data_sheet_peak(device, precision)
  done = {(r["precision"], r["xla"], r["on_device"]) for r in found["speed"]}
  for combination in itertools.product(
    precisions, (False, True), (False, True)
  ):
    if combination in done:
      continue
    precision, xla, on_device = combination
    found["speed"].append(
      measure_speed(
        size,
        images,
        precision,
        xla=xla,
        on_device=on_device,
        steps=given.steps,
      )
    )
    keep()
  if given.cifar10:
    found["cifar10"] = learn(
      size,
      given.cifar10,
      given.output_dir / "cifar10",
      steps=given.cifar10_steps,
      every=given.cifar10_every,
    )
    picture = _draw(found["cifar10"], device)
    with workdir.replacing_file(given.output_dir / "knn.png") as file:
      file.write_bytes(picture)
  keep()
  print(markdown(found), end="")


if __name__ == "__main__":
  script.run("gpu", main)
