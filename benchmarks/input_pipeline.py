"""Measures the speed of views on one core, and the growth of memory.

It measures four ratios, each within one run:
- two MoCo v2 views per image, compared with the recipe in Pillow and NumPy;
- the same of images that are kept decoded in memory, if they fit, compared with
  reading their files;
- crops for photometric steps on the accelerator, compared with decoding alone;
- peak memory with ten times the images.

python benchmarks/input_pipeline.py --images=../shared/data/imagenette/train
"""

import argparse
import math
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks import ratios  # noqa: E402

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_STEPS_TO_SETTLE = 200
_IN_MEMORY = "two, in memory"


def main() -> None:
  """Runs the comparisons that are not disabled."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--images", default="../shared/data/imagenette/train")
  parser.add_argument("--image_size", type=int, default=224)
  parser.add_argument("--batch_size", type=int, default=64)
  parser.add_argument("--steps", type=int, default=8, help="per round")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--memory_images", type=int, default=4000)
  parser.add_argument("--no_memory", action="store_true")
  parser.add_argument("--no_speed", action="store_true")
  parser.add_argument("--peak_memory_of", help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.peak_memory_of:
    print(_peak_memory(args.peak_memory_of))
    return
  if not args.no_speed:
    _compare_speed(args)
  if not args.no_memory:
    _compare_memory(args.memory_images)


def _compare_speed(args: argparse.Namespace) -> None:
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # Before TF.
  from tf_ssl.augment import recipes
  from tf_ssl.datasets import open_images
  from tf_ssl.input_pipeline import decoded_images, view_batches

  records = open_images.open_images(args.images)
  in_memory = decoded_images.decode_all(records, max_mib=512)
  paths = [records.path(i) for i in range(records.num_images)]
  random.Random(0).shuffle(paths)

  def pairs(steps: int, finish_views: bool, decoded=None):
    return view_batches.view_batches(
      records,
      recipe=recipes.moco_v2(),
      image_size=args.image_size,
      batch_size=args.batch_size,
      seed=0,
      num_steps=steps,
      finish_views=finish_views,
      decoded=decoded,
    )

  def pillow(steps: int):
    count = steps * args.batch_size
    return lambda: _pillow_views(
      (paths * (count // len(paths) + 1))[:count], args.image_size
    )

  def decoded(steps: int):
    return _consumer(_decoded(paths, steps * args.batch_size))

  makers = {
    "Pillow, two views": pillow,
    "two views": lambda steps: _consumer(pairs(steps, True)),
    "decoding alone": decoded,
    "geometry alone": lambda steps: _consumer(pairs(steps, False)),
  }
  if in_memory is not None:
    makers[_IN_MEMORY] = lambda steps: _consumer(pairs(steps, True, in_memory))
  # The difference of a long and a short run excludes the start.
  runs = {
    name: (make(1), make(1 + args.steps)) for name, make in makers.items()
  }
  for short, long in runs.values():
    short()
    long()  # Compiles and fills caches.
  wall = {name: [] for name in runs}
  cpu = {name: [] for name in runs}
  for _ in range(args.rounds):
    for name, (short, long) in runs.items():
      for run, sign in ((short, -1), (long, 1)):
        times = time.perf_counter(), time.process_time()
        run()
        spent = time.perf_counter() - times[0], time.process_time() - times[1]
        if sign < 0:
          base = spent
      wall[name].append(spent[0] - base[0])
      cpu[name].append(spent[1] - base[1])
  count = args.steps * args.batch_size
  print(f"{count} images per round, median of {args.rounds} rounds, one core")
  for name in runs:
    print(
      f"  {name:18s} {count / statistics.median(wall[name]):8.0f} images/s"
      f"  {1e3 * statistics.median(cpu[name]) / count:7.3f} ms of CPU per image"
    )
  # CPU time is less sensitive to other programs on the machine.
  views = ratios.keep(
    f"speed of two views of {args.image_size} px over Pillow's, one core",
    _ratio(cpu["Pillow, two views"], cpu["two views"]),
    at_least=3,
  )
  geometry = ratios.keep(
    "speed of views without the photometric half over decoding's, one core",
    _ratio(cpu["decoding alone"], cpu["geometry alone"]),
    at_least=0.5,
  )
  print(f"two views / Pillow: {views}")
  if in_memory is not None:
    faster = _ratio(cpu["two views"], cpu[_IN_MEMORY])
    print(f"two views of images in memory / of files: {faster:.2f}")
  print(f"geometry alone / decoding alone: {geometry}")


def _ratio(one: list[float], other: list[float]) -> float:
  """Returns the median ratio of measurements from the same round."""
  return statistics.median(a / b for a, b in zip(one, other, strict=True))


def _consumer(dataset):
  def consume() -> None:
    for _ in dataset:
      pass

  return consume


def _decoded(paths: list[str], count: int):
  import tensorflow as tf

  files = tf.constant(paths)
  dataset = tf.data.Dataset.range(count).map(
    lambda i: tf.io.decode_jpeg(
      tf.io.read_file(tf.gather(files, i % len(paths))), 3
    ),
    num_parallel_calls=tf.data.AUTOTUNE,
  )
  return dataset.prefetch(tf.data.AUTOTUNE)


def _pillow_views(paths: list[str], size: int) -> None:
  from PIL import Image

  rng = random.Random(0)
  for path in paths:
    image = Image.open(path).convert("RGB")
    for _ in range(2):
      _pillow_view(image, size, rng)


def _pillow_view(image, size: int, rng: random.Random):
  import numpy as np
  from PIL import Image, ImageEnhance, ImageFilter

  width, height = image.size
  left, top, w, h = 0, 0, width, height
  for _ in range(10):
    area = width * height * rng.uniform(0.2, 1.0)
    aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    w = round(math.sqrt(area * aspect))
    h = round(math.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      left, top = rng.randint(0, width - w), rng.randint(0, height - h)
      break
  view = image.resize(
    (size, size), Image.BILINEAR, box=(left, top, left + w, top + h)
  )
  if rng.random() < 0.8:
    steps = [
      lambda x: ImageEnhance.Brightness(x).enhance(rng.uniform(0.6, 1.4)),
      lambda x: ImageEnhance.Contrast(x).enhance(rng.uniform(0.6, 1.4)),
      lambda x: ImageEnhance.Color(x).enhance(rng.uniform(0.6, 1.4)),
      lambda x: _pillow_hue(x, rng.uniform(-0.1, 0.1)),
    ]
    rng.shuffle(steps)
    for step in steps:
      view = step(view)
  if rng.random() < 0.2:
    view = view.convert("L").convert("RGB")
  if rng.random() < 0.5:
    view = view.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 2.0)))
  if rng.random() < 0.5:
    view = view.transpose(Image.FLIP_LEFT_RIGHT)
  pixels = np.asarray(view, np.float32)
  pixels *= 1 / (255 * np.float32(_STD))
  pixels -= np.float32(_MEAN) / np.float32(_STD)
  return pixels


def _pillow_hue(image, turns: float):
  from PIL import Image

  hue, saturation, value = image.convert("HSV").split()
  shift = round(255 * turns)
  hue = hue.point([(v + shift) % 256 for v in range(256)])
  return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _compare_memory(num_images: int) -> None:
  import numpy as np
  from PIL import Image

  peaks = []
  for count in (num_images, 10 * num_images):
    folder = tempfile.mkdtemp()
    try:
      image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
      )
      first = os.path.join(folder, "0.jpg")
      image.save(first)
      for i in range(1, count):
        os.link(first, os.path.join(folder, f"{i}.jpg"))
      # A fresh process, since peak memory is never reset.
      done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--peak_memory_of", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
      )
      peaks.append(float(done.stdout.split()[-1]))
    finally:
      shutil.rmtree(folder)
    print(f"  {count:7d} images: peak memory {peaks[-1]:.1f} MiB")
  growth = ratios.keep(
    "additional memory of the input pipeline for ten times the images",
    peaks[1] / peaks[0] - 1,
    unit=ratios.PERCENT,
    at_most=0.05,
  )
  print(f"ten times the images: {growth} additional memory")


def _peak_memory(folder: str) -> float:
  """Returns the peak memory of this process after a fixed number of steps."""
  from tf_ssl.augment import recipes
  from tf_ssl.datasets import open_images
  from tf_ssl.input_pipeline import view_batches

  dataset = view_batches.view_batches(
    open_images.open_images(folder),
    recipe=recipes.moco_v2(),
    image_size=64,
    batch_size=64,
    seed=0,
    num_steps=_STEPS_TO_SETTLE,
  )
  for _ in dataset:
    pass
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
  main()
