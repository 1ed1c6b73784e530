"""Measures the overhead of feature extraction: image files in, features out.

  python -m benchmarks.feature_extraction            # speed, then memory

Each result is a ratio measured in one run:
- throughput from files on disk to features on disk, relative to the encoder
  alone on batches in memory (expected >= 0.9);
- the throughput of two models in one pass, relative to both encoders alone;
- peak memory with ten times the images (expected: only the list of images
  grows).

The images are made here; nothing is downloaded. With few images the last
batches, which leave a core idle, dominate: for ResNet-18 the ratio is 0.76 with
256 images and 0.94 with 1,024.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402

from benchmarks import ratios  # noqa: E402
from tf_ssl.datasets import image_folder, records  # noqa: E402
from tf_ssl.encoders import resnet  # noqa: E402
from tf_ssl.features import store  # noqa: E402
from tf_ssl.input_pipeline import view_batches  # noqa: E402
from tf_ssl.models import encoder_models, image_model, load


def main() -> None:
  """Runs the selected comparisons."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--images", type=int, default=1024)
  parser.add_argument("--file_size", type=int, default=192, help="px a side")
  parser.add_argument("--image_size", type=int, default=128)
  parser.add_argument("--batch_size", type=int, default=32)
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--encoders", default="resnet18,resnet50")
  parser.add_argument("--memory_images", type=int, default=100_000)
  parser.add_argument("--no_speed", action="store_true")
  parser.add_argument("--no_memory", action="store_true")
  parser.add_argument("--peak_of", type=int, help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.peak_of:
    print(*_peak(args.peak_of))
    return
  if not args.no_speed:
    _compare_speed(args)
  if not args.no_memory:
    _compare_memory(args.memory_images)


def _compare_speed(args: argparse.Namespace) -> None:
  view_batches.keep_freed_memory()
  encoders = {name: _encoder(name) for name in args.encoders.split(",")}
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "images")
    write_images(path, args.images, args.file_size)
    images = image_folder.read(str(path), labeled=False)
    for name, encoder in encoders.items():
      _compare_one({name: encoder}, images, folder, args)
    if len(encoders) > 1:
      _compare_one(encoders, images, folder, args)


def _encoder(name: str) -> tf.keras.Model:
  encoder = getattr(resnet, name)()
  encoder(tf.zeros([1, 32, 32, 3]), training=False)  # Creates the weights.
  return encoder


def _compare_one(encoders, images, folder, args) -> None:
  count = images.num_images
  shape = [args.batch_size, args.image_size, args.image_size, 3]
  batch = tf.random.stateless_normal(shape, [0, 1])  # Like normalized images.
  batches = [batch] * (count // args.batch_size)
  functions = [
    tf.function(lambda x, encoder=encoder: encoder(x, training=False))
    for encoder in encoders.values()
  ]
  models = [
    image_model.ImageModel(
      name, encoder_models.of_encoder(encoder, "untrained", name)
    )
    for name, encoder in encoders.items()
  ]

  def bare(number: int) -> None:
    for function in functions:
      for each in batches[: number // args.batch_size]:
        function(each).numpy()

  def stored(number: int) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as output:
      store.extract(
        models,
        images._replace(
          files=images.files[:number], sizes=images.sizes[:number]
        ),
        output,
        image_size=args.image_size,
        batch_size=args.batch_size,
      )

  # The difference of a long and a short run excludes the startup.
  short, long = args.batch_size, len(batches) * args.batch_size
  runs = (bare, stored)
  for run in runs:
    run(short)  # Compiles and fills caches.
  wall, cpu = ({run: [] for run in runs} for _ in range(2))
  starting = []
  for _ in range(args.rounds):
    for run in runs:
      spent = [_spent(lambda n=n, run=run: run(n)) for n in (short, long)]
      wall[run].append(spent[1][0] - spent[0][0])
      cpu[run].append(spent[1][1] - spent[0][1])
    starting.append(spent[0][0])
  rates = [(long - short) / statistics.median(wall[run]) for run in runs]
  ratio = ratios.keep(
    f"images/s from files to features on disk over the bare encoder's,"
    f" {' and '.join(encoders)}",
    _ratio(wall[bare], wall[stored]),
    at_least=0.9,
  )
  print(
    f"{' and '.join(encoders)}, {long - short} images of {args.image_size} px:"
    f" bare {rates[0]:.1f} images/s, from files to disk {rates[1]:.1f}"
    f" images/s, ratio {ratio},"
    f" of CPU time {_ratio(cpu[bare], cpu[stored]):.3f}; {short} images with"
    f" startup {statistics.median(starting):.1f} s",
    flush=True,
  )


def _spent(run) -> tuple[float, float]:
  """Wall-clock and CPU time in seconds."""
  start = time.perf_counter(), time.process_time()
  run()
  return time.perf_counter() - start[0], time.process_time() - start[1]


def _ratio(one: list[float], other: list[float]) -> float:
  """Median over rounds of the ratio of two runs of one round."""
  return statistics.median(a / b for a, b in zip(one, other, strict=True))


def write_images(folder: pathlib.Path, count: int, size: int) -> None:
  """Writes JPEGs of smooth noise, as expensive to decode as photos."""
  folder.mkdir()
  rng = np.random.default_rng(0)
  for i in range(count):
    coarse = rng.integers(0, 256, [size // 8, size // 8, 3], np.uint8)
    image = Image.fromarray(coarse).resize((size, size), Image.BICUBIC)
    image.save(folder / f"{i:06d}.jpg", quality=90)


def _compare_memory(count: int) -> None:
  grown = []
  for each in (count // 10, count):
    done = subprocess.run(
      [
        sys.executable,
        "-m",
        "benchmarks.feature_extraction",
        f"--peak_of={each}",
      ],
      stdout=subprocess.PIPE,
      stderr=subprocess.DEVNULL,
      check=True,
    )
    peak, listed, written = map(float, done.stdout.split()[-3:])
    grown.append((peak, listed, written))
    print(
      f"  {each:8d} images: peak {peak:.0f} MiB, including {listed:.0f} MiB for"
      f" the list of images; features on disk {written:.0f} MiB",
      flush=True,
    )
  more = ratios.keep(
    "additional memory of feature extraction for ten times the images",
    (grown[1][0] - grown[1][1]) / (grown[0][0] - grown[0][1]) - 1,
    unit=ratios.PERCENT,
  )
  print(
    f"ten times the images: {more} additional memory without the list"
    f" of images, {grown[1][2] - grown[0][2]:.0f} MiB more features written"
  )


def _peak(count: int) -> tuple[float, float, float]:
  """Peak memory, list of images and written files, each in MiB."""
  with tempfile.TemporaryDirectory() as folder:
    write_images(pathlib.Path(folder, "images"), 1, 16)
    one = image_folder.read(str(pathlib.Path(folder, "images")), labeled=False)
    before = _resident()
    images = records.ImageRecords(  # One file in all entries.
      root=one.root,
      files=np.repeat(one.files, count),
      sizes=np.repeat(one.sizes, count),
    )
    listed = _resident() - before
    model = load.load_model("pixels")
    output = os.path.join(folder, "output")
    found = store.extract(
      [model], images, output, image_size=16, batch_size=256
    )
    assert len(found.index) == count
    written = sum(p.stat().st_size for p in pathlib.Path(output).iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  return peak, listed, written / 2**20


def _resident() -> float:
  """Resident memory of this process in MiB."""
  pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
  return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
  tf.get_logger().setLevel("ERROR")
  main()
