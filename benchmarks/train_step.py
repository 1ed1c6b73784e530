"""What momentum contrast costs beyond its encoders, and beside PyTorch.

  python -m benchmarks.train_step          # the overhead, a minute or two
  python -m benchmarks.train_step --torch  # and ours over PyTorch's images/s

The overhead is the time of MoCo's whole train step over that of the bare
encoders alone (query forward and backward, key forward, nothing else), in one
process, the two in turn. The comparison trains MoCo's step with ResNet-50 at
224 px, batch 16, K 65,536, in float32 and bfloat16.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import tensorflow as tf  # noqa: E402

from tf_ssl import types  # noqa: E402
from tf_ssl.encoders import resnet  # noqa: E402
from tf_ssl.input_pipeline import heap  # noqa: E402
from tf_ssl.methods import moco  # noqa: E402
from tf_ssl.training import optimizers  # noqa: E402


def pair(batch: int, size: int) -> types.ImagePair:
  """Two views of noise, [batch, size, size, 3]."""
  views = [
    tf.random.stateless_normal([batch, size, size, 3], [0, i]) for i in (0, 1)
  ]
  return types.ImagePair(*views)


def build(encoder, size: int, batch: int, queue_size: int, dtype: str):
  """A compiled MoCo."""
  model = moco.build_moco(
    encoder=encoder,
    num_images=10 * queue_size,
    batch_size=batch,
    image_size=size,
    queue_size=queue_size,
    dtype=dtype,
  )
  model.compile(optimizers.MomentumSgd(0.03))
  model.optimizer.build(model.learned_variables)
  return model


def whole_step(model, views):
  """The train step as `fit` runs it."""
  iterator = iter(tf.data.Dataset.from_tensors(views).cache().repeat())
  function = model.make_train_function()
  return lambda: function(iterator)["loss"].numpy()


def bare_step(model, views):
  """Query forward and backward, key forward; nothing is updated."""
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


def seconds(steps, runs: int) -> list[float]:
  """Median time of each step, taken in turn; the first two runs warm up."""
  times = [[] for _ in steps]
  for run in range(runs + 2):
    for step, taken in zip(steps, times, strict=True):
      began = time.perf_counter()
      step()
      if run >= 2:
        taken.append(time.perf_counter() - began)
  return [statistics.median(taken) for taken in times]


def overhead(runs: int) -> None:
  """Prints the step's cost over its encoders' for a small and a real size."""
  for name, encoder, size, batch, queue in (
    ("ResNet-18, 64 px, batch 64, K 4,096", resnet.resnet18, 64, 64, 4096),
    ("ResNet-50, 224 px, batch 16, K 65,536", resnet.resnet50, 224, 16, 65536),
  ):
    model = build(encoder, size, batch, queue, "float32")
    views = pair(batch, size)
    whole, bare = seconds(
      [whole_step(model, views), bare_step(model, views)], runs
    )
    print(
      f"{name}: MoCo step {whole:.3f} s, bare encoders {bare:.3f} s,"
      f" ratio {whole / bare:.3f} (limit 1.10)",
      flush=True,
    )


def against_torch(runs: int) -> None:
  """Prints our images/s over PyTorch's for the same step."""
  from benchmarks import torch_moco

  batch, size, queue = 16, 224, 65536
  views = pair(batch, size)
  for dtype, limit in (("float32", 1.4), ("mixed_bfloat16", 1.2)):
    model = build(resnet.resnet50, size, batch, queue, dtype)
    ours, theirs = seconds(
      [
        whole_step(model, views),
        torch_moco.step(batch, size, queue, bfloat16=dtype != "float32"),
      ],
      runs,
    )
    print(
      f"{dtype}: tf_ssl {batch / ours:.2f} images/s, PyTorch"
      f" {batch / theirs:.2f} images/s, ratio {theirs / ours:.2f}"
      f" (at least {limit})",
      flush=True,
    )


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--torch", action="store_true")
  parser.add_argument("--runs", type=int, default=5)
  arguments = parser.parse_args()
  heap.keep_freed_memory()  # as the input pipeline does in training
  overhead(arguments.runs)
  if arguments.torch:
    against_torch(arguments.runs)
