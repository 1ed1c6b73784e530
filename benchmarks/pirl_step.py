"""Measures PIRL's train step against its encoder calls, and its memory.

  python -m benchmarks.pirl_step             # Overhead and memory.
  python -m benchmarks.pirl_step --no_memory

The overhead is the time of PIRL's train step divided by that of its encoder
calls (image and patches, forward and backward), alternating in one process. The
memory is the peak of a process that fills a bank of 1.28 million images and
reads and writes it with 32,000 negatives per image.
"""

import argparse
import os
import pathlib
import subprocess
import sys

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402

from benchmarks import ratios, train_step  # noqa: E402
from tf_ssl import batches  # noqa: E402
from tf_ssl.encoders import resnet  # noqa: E402
from tf_ssl.input_pipeline import view_batches  # noqa: E402
from tf_ssl.memory import memory_bank  # noqa: E402
from tf_ssl.methods import base, pirl  # noqa: E402
from tf_ssl.ops import optimizers  # noqa: E402

_IMAGES, _SIZE, _NEGATIVES = 1_281_167, 128, 32_000


def overhead(runs: int) -> None:
  """Prints the overhead."""
  batch, images, patch = 32, 100_000, 64
  setup = base.Setup(num_images=images, batch_size=batch, image_size=224)
  model = pirl.build_pirl(
    setup, encoder=resnet.resnet18, num_negatives=_NEGATIVES
  )
  model.compile(optimizers.MomentumSgd(0.03))
  model.optimizer.build(model.learned_variables)
  views = batches.JigsawPair(
    tf.random.stateless_normal([batch, 224, 224, 3], [0, 1]),
    tf.random.stateless_normal([batch, 9, patch, patch, 3], [0, 2]),
    tf.range(batch, dtype=tf.int64) * 7,
  )
  whole, bare = train_step.seconds(
    [
      train_step.timed(train_step.whole_step(model, views)),
      train_step.timed(_bare_step(model, views)),
    ],
    runs,
  )
  ratio = ratios.keep(
    "PIRL's step over its bare encoder calls, ResNet-18, 224 px,"
    f" {_NEGATIVES:,} negatives",
    whole / bare,
    at_most=1.15,
  )
  print(
    f"ResNet-18, 224 px and 9 patches of 64 px, batch {batch}, {_NEGATIVES:,}"
    f" negatives: PIRL step {whole:.3f} s, bare encoder calls {bare:.3f} s,"
    f" ratio {ratio}",
    flush=True,
  )


def _bare_step(model, views):
  variables = model.encoder.trainable_variables

  @tf.function
  def step():
    patches = tf.reshape(views.patches, [-1, *views.patches.shape[2:]])
    with tf.GradientTape() as tape:
      loss = sum(
        tf.reduce_mean(model.encoder(images, training=True) ** 2)
        for images in (views.image, patches)
      )
    gradients = tape.gradient(loss, variables)
    return tf.add_n([tf.reduce_sum(g) for g in gradients])

  return lambda: step().numpy()


def memory() -> None:
  """Prints the peak memory of processes with a bank of ImageNet's size."""
  for dtype in memory_bank.DTYPES:
    bank = _IMAGES * _SIZE * (2 if dtype == "float16" else 4) / 2**20
    for batch in (1, 8, 64):
      command = [sys.executable, "-m", "benchmarks.pirl_step"]
      command += [f"--peak_of={dtype}", f"--batch={batch}"]
      done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
      )
      before, peak = map(float, done.stdout.split()[-2:])
      print(
        f"{dtype} bank of {bank:.0f} MiB, batch {batch}: peak"
        f" {peak - before:.0f} MiB above TensorFlow, {peak - before - bank:.0f}"
        " MiB above the bank",
        flush=True,
      )


def _peak(dtype: str, batch: int) -> tuple[float, float]:
  """Peak memory of this process before the bank and after its use, MiB."""
  queries = tf.math.l2_normalize(tf.random.normal([batch, 2, _SIZE]), axis=2)
  index = tf.range(batch, dtype=tf.int64) * 1000
  before = _peak_so_far()
  bank = memory_bank.MemoryBank(_IMAGES, _SIZE, dtype=dtype)

  @tf.function
  def step(number):
    with tf.GradientTape() as tape:
      tape.watch(queries)
      found = bank.negative_similarities(
        queries, index, index + number, count=_NEGATIVES, seed=0
      )
      loss = tf.reduce_logsumexp(found)
    gradient = tape.gradient(loss, queries)
    bank.write(index, queries[:, 0] + 0.0 * gradient[:, 0], momentum=0.5)

  for number in range(5):
    step(tf.constant(number, tf.int64))
  return before, _peak_so_far()


def _peak_so_far() -> float:
  """Peak memory of this process, MiB; getrusage would include the parent's."""
  lines = pathlib.Path("/proc/self/status").read_text().splitlines()
  [line] = [line for line in lines if line.startswith("VmHWM")]
  return int(line.split()[1]) / 1024


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--runs", type=int, default=5)
  parser.add_argument("--no_memory", action="store_true")
  parser.add_argument("--no_speed", action="store_true")
  parser.add_argument("--peak_of", help=argparse.SUPPRESS)
  parser.add_argument("--batch", type=int, default=1, help=argparse.SUPPRESS)
  arguments = parser.parse_args()
  if arguments.peak_of:
    print(*_peak(arguments.peak_of, arguments.batch))
    sys.exit()
  view_batches.keep_freed_memory()  # As the input pipeline does in training.
  if not arguments.no_speed:
    overhead(arguments.runs)
  if not arguments.no_memory:
    memory()
