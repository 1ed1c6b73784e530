"""Measures MoCo's train step against its bare encoders and against PyTorch.

  python -m benchmarks.train_step                   # Overhead, two minutes.
  python -m benchmarks.train_step --torch=float32   # Speed relative to PyTorch.
  python -m benchmarks.train_step --torch=bfloat16

The overhead is the time of MoCo's train step divided by that of its encoder
calls (query forward and backward, key forward), alternating in one process. The
comparison with PyTorch uses ResNet-50 at 224 px, batch size 16 and K = 65,536;
both steps alternate, each in its own process.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import tensorflow as tf  # noqa: E402

from tf_ssl import batches  # noqa: E402
from tf_ssl.encoders import resnet  # noqa: E402
from tf_ssl.input_pipeline import view_batches  # noqa: E402
from tf_ssl.methods import base, moco  # noqa: E402
from tf_ssl.ops import optimizers, threads  # noqa: E402


def pair(batch: int, size: int) -> batches.ImagePair:
  """Two views of noise, [batch, size, size, 3] each."""
  views = [
    tf.random.stateless_normal([batch, size, size, 3], [0, i]) for i in (0, 1)
  ]
  return batches.ImagePair(*views)


def build(encoder, size: int, batch: int, queue_size: int, dtype: str):
  """A compiled MoCo."""
  setup = base.Setup(
    num_images=10 * queue_size, batch_size=batch, image_size=size, dtype=dtype
  )
  model = moco.build_moco(setup, encoder=encoder, queue_size=queue_size)
  model.compile(optimizers.MomentumSgd(0.03))
  model.optimizer.build(model.learned_variables)
  return model


def whole_step(model, views):
  """Function that runs the train step as `fit` does."""
  iterator = iter(tf.data.Dataset.from_tensors(views).cache().repeat())
  function = model.make_train_function()
  return lambda: function(iterator)["loss"].numpy()


def bare_step(model, views):
  """Function that runs query forward and backward and key forward."""
  variables = model.encoder.trainable_variables

  @tf.function
  def step():
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(model.encoder(views.query, training=True) ** 2)
    gradients = tape.gradient(loss, variables)
    keys = model.key_encoder(views.key, training=True)
    touched = [tf.reduce_sum(g) for g in gradients] + [tf.reduce_sum(keys)]
    return tf.add_n(touched)

  return lambda: step().numpy()


def timed(step):
  """Function that runs `step` and returns its duration in seconds."""

  def run() -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began

  return run


def seconds(steps, runs: int) -> list[float]:
  """Median duration of each step, alternating, after two warm-up runs."""
  times = [[step() for step in steps] for _ in range(runs + 2)][2:]
  return [statistics.median(taken) for taken in zip(*times, strict=True)]


def overhead(runs: int) -> None:
  """Prints the overhead for a small and a realistic size."""
  for name, encoder, size, batch, queue in (
    ("ResNet-18, 64 px, batch 64, K 4,096", resnet.resnet18, 64, 64, 4096),
    ("ResNet-50, 224 px, batch 16, K 65,536", resnet.resnet50, 224, 16, 65536),
  ):
    model = build(encoder, size, batch, queue, "float32")
    views = pair(batch, size)
    whole, bare = seconds(
      [timed(whole_step(model, views)), timed(bare_step(model, views))], runs
    )
    print(
      f"{name}: MoCo step {whole:.3f} s, bare encoders {bare:.3f} s,"
      f" ratio {whole / bare:.3f} (limit 1.10)",
      flush=True,
    )


@contextlib.contextmanager
def torch_step(batch: int, size: int, queue: int, dtype: str):
  """Yields a function that times PyTorch's step in another process."""
  command = [sys.executable, "-m", "benchmarks.torch_moco"]
  command += [f"--batch={batch}", f"--size={size}", f"--queue={queue}"]
  if dtype == "bfloat16":
    command.append("--bfloat16")
  pipe = subprocess.PIPE
  with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as peer:

    def run() -> float:
      print(file=peer.stdin, flush=True)
      answer = peer.stdout.readline()
      if not answer:
        sys.exit(
          "the process of PyTorch has ended; see above, or install torch"
        )
      return float(answer)

    yield run
    peer.stdin.close()


def against_torch(dtype: str, runs: int) -> None:
  """Prints the speed of this project's step relative to PyTorch's."""
  batch, size, queue = 16, 224, 65536
  limit = {"float32": 1.4, "bfloat16": 1.2}[dtype]
  policy = "float32" if dtype == "float32" else "mixed_bfloat16"
  model = build(resnet.resnet50, size, batch, queue, policy)
  ours = timed(whole_step(model, pair(batch, size)))
  with torch_step(batch, size, queue, dtype) as theirs:
    ours, theirs = seconds([ours, theirs], runs)
  print(
    f"{dtype}: tf_ssl {batch / ours:.2f} images/s, PyTorch"
    f" {batch / theirs:.2f} images/s, ratio {theirs / ours:.2f}"
    f" (at least {limit})"
  )


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--torch", choices=("float32", "bfloat16"))
  parser.add_argument("--runs", type=int, default=5)
  parser.add_argument("--threads_per_operation", type=int, default=0)
  arguments = parser.parse_args()
  view_batches.keep_freed_memory()  # As the input pipeline does in training.
  threads.use_for_tensorflow(arguments.threads_per_operation)
  if arguments.torch:
    against_torch(arguments.torch, arguments.runs)
  else:
    overhead(arguments.runs)
