"""Measures MoCo's train step against its bare encoders and against PyTorch.

  python -m benchmarks.train_step                   # Overhead, two minutes.
  python -m benchmarks.train_step --torch=float32   # Speed relative to PyTorch.
  python -m benchmarks.train_step --torch=bfloat16
  python -m benchmarks.train_step --small           # bfloat16 over float32.
  python -m benchmarks.train_step --profile         # Where the CPU time goes.

The overhead is the time of MoCo's train step divided by that of its encoder
calls (query forward and backward, key forward), alternating in one process. The
comparison with PyTorch uses ResNet-50 at 224 px, batch size 16 and K = 65,536;
both steps alternate, each in its own process. `--small` and `--profile` use one
thread for each operation and the few-minutes configs: symmetric MoCo, ResNet-18
of a fraction of the width, split batch norm in 4 groups.
"""

import argparse
import contextlib
import functools
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import tensorflow as tf  # noqa: E402

from benchmarks import machine, ratios, step_profile  # noqa: E402
from tf_ssl import batches  # noqa: E402
from tf_ssl.encoders import batch_norm, heads, resnet  # noqa: E402
from tf_ssl.input_pipeline import view_batches  # noqa: E402
from tf_ssl.methods import base, moco  # noqa: E402
from tf_ssl.ops import optimizers, threads  # noqa: E402

PRECISIONS = ("float32", "mixed_bfloat16")
# Width, side of the views in pixels, batch size.
SMALL = ((0.25, 24, 64), (0.25, 24, 256), (0.5, 28, 128), (0.5, 64, 64))


def pair(batch: int, size: int) -> batches.ImagePair:
  """Two views of noise, [batch, size, size, 3] each."""
  views = [
    tf.random.stateless_normal([batch, size, size, 3], [0, i]) for i in (0, 1)
  ]
  return batches.ImagePair(*views)


def build(
  encoder, size: int, batch: int, queue_size: int, dtype: str, **options
):
  """A compiled MoCo; the options are those of `moco.build_moco`."""
  setup = base.Setup(
    num_images=10 * queue_size, batch_size=batch, image_size=size, dtype=dtype
  )
  model = moco.build_moco(
    setup, encoder=encoder, queue_size=queue_size, **options
  )
  model.compile(optimizers.MomentumSgd(0.03))
  model.optimizer.build(model.learned_variables)
  return model


def build_small(width: float, size: int, batch: int, dtype: str):
  """A compiled MoCo of the few-minutes configs."""
  encoder = functools.partial(
    resnet.resnet18,
    width=width,
    stem="small",
    batch_norm=functools.partial(batch_norm.split, groups=4),
  )
  head = functools.partial(heads.MlpHead, hidden_size=512)
  options = {"projection_head": head, "symmetric": True}
  return build(encoder, size, batch, 256, dtype, **options)


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
    ratio = ratios.keep(
      f"MoCo's step over its bare encoders, {name}", whole / bare, at_most=1.08
    )
    print(
      f"{name}: MoCo step {whole:.3f} s, bare encoders {bare:.3f} s,"
      f" ratio {ratio}",
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
  limit = {"float32": 1.4, "bfloat16": 1.3}[dtype]
  policy = "float32" if dtype == "float32" else "mixed_bfloat16"
  model = build(resnet.resnet50, size, batch, queue, policy)
  ours = timed(whole_step(model, pair(batch, size)))
  with torch_step(batch, size, queue, dtype) as theirs:
    ours, theirs = seconds([ours, theirs], runs)
  ratio = ratios.keep(
    f"images/s over PyTorch's, MoCo with ResNet-50, 224 px, {dtype}",
    theirs / ours,
    at_least=limit,
  )
  print(
    f"{dtype}: tf_ssl {batch / ours:.2f} images/s, PyTorch"
    f" {batch / theirs:.2f} images/s, ratio {ratio}"
  )


def small(runs: int) -> None:
  """Prints the speed of bfloat16 relative to float32 for the small configs."""
  for width, size, batch in SMALL:
    steps = []
    for dtype in PRECISIONS:
      model = build_small(width, size, batch, dtype)
      steps.append(timed(whole_step(model, pair(batch, size))))
    float32, bfloat16 = seconds(steps, runs)
    name = f"ResNet-18, width {width}, {size} px, batch {batch}"
    ratio = ratios.keep(
      f"bfloat16's speed over float32's, {name}",
      float32 / bfloat16,
      at_least=2.5 if "amx_bf16" in machine.instructions() else None,
    )
    print(
      f"{name}: float32 {batch / float32:.0f} images/s, bfloat16"
      f" {batch / bfloat16:.0f} images/s, ratio {ratio}",
      flush=True,
    )


def profile(runs: int) -> None:
  """Prints where the CPU time goes, for both precisions."""
  width, size, batch = SMALL[0]
  small_step = functools.partial(build_small, width, size, batch)
  large_step = functools.partial(build, resnet.resnet50, 224, 16, 65536)
  for name, built, views in (
    (f"ResNet-18, width {width}, {size} px", small_step, pair(batch, size)),
    ("ResNet-50, 224 px", large_step, pair(16, 224)),
  ):
    for dtype in PRECISIONS:
      result = step_profile.measure(whole_step(built(dtype), views), runs)
      title = f"{name}, batch {views.query.shape[0]}, {dtype}"
      print(step_profile.table(title, *result), flush=True)


if __name__ == "__main__":
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--torch", choices=("float32", "bfloat16"))
  parser.add_argument("--small", action="store_true")
  parser.add_argument("--profile", action="store_true")
  parser.add_argument("--runs", type=int, default=5)
  parser.add_argument("--threads_per_operation", type=int, default=0)
  arguments = parser.parse_args()
  view_batches.keep_freed_memory()  # As the input pipeline does in training.
  single = arguments.small or arguments.profile
  threads.use_for_tensorflow(1 if single else arguments.threads_per_operation)
  if arguments.small:
    small(arguments.runs)
  elif arguments.profile:
    profile(arguments.runs)
  elif arguments.torch:
    against_torch(arguments.torch, arguments.runs)
  else:
    overhead(arguments.runs)
