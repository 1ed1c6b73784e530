"""Measures and predicts the cost of training on more replicas.

  python -m benchmarks.scaling

It has three parts, each in new processes because a CPU can be split only once:
- time of an all-reduce as a function of its size, on 2 and 4 logical devices;
- time of MoCo's step with the same global batch on 1, 2 and 4 logical devices,
  and of a model: the time on one device, which has the same cores, plus that of
  the collective operations;
- prediction of the model for 8 to 256 GPUs with 32 images each, for given
  bandwidths.
"""

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np  # noqa: E402

_SIZES = [2**n for n in range(10, 27, 4)]  # Bytes, 1 KiB to 64 MiB.
_BATCH, _IMAGE = 64, 32
_EMBEDDING = 128

# ResNet-50 at 224 px: weights with MoCo v2's head, and one view.
_RESNET50_BYTES = 4 * (23_508_032 + 2048 * 2048 + 2048 + 2048 * 128 + 128)
_VIEW_BYTES = 4 * 224 * 224 * 3


def main() -> None:
  """Measures, fits, predicts."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--part", help=argparse.SUPPRESS)
  parser.add_argument("--replicas", type=int, help=argparse.SUPPRESS)
  parser.add_argument(
    "--gpu_images_per_second",
    type=float,
    default=350.0,
    help="assumed speed of MoCo's step with ResNet-50 on one GPU",
  )
  parser.add_argument(
    "--node_gpus", type=int, default=8, help="number of GPUs of a node"
  )
  parser.add_argument(
    "--link_gb", type=float, default=100.0, help="bandwidth inside a node, GB/s"
  )
  parser.add_argument(
    "--network_gb", type=float, default=12.5, help="bandwidth of a node, GB/s"
  )
  parser.add_argument(
    "--latency_us",
    type=float,
    default=20.0,
    help="latency of a hop of a collective operation",
  )
  args = parser.parse_args()
  if args.part:
    print(json.dumps(globals()[args.part](args.replicas)))
    return
  fits = {}
  for replicas in (2, 4):
    times = _fresh("all_reduce_seconds", replicas)
    slope, fixed = np.polyfit(_SIZES, times, 1, w=1 / np.array(times))
    fits[replicas] = fixed, slope
    measured = ", ".join(
      f"{size >> 10:,} KiB {1e3 * t:.2f} ms"
      for size, t in zip(_SIZES, times, strict=True)
    )
    print(f"all-reduce, {replicas} logical devices: {measured}")
    print(
      f"  fit: {1e3 * fixed:.2f} ms + {slope * 2**30 * 1e3:.0f} ms per GiB"
      f" ({1e-9 / slope:.1f} GB/s)",
      flush=True,
    )
  one = _fresh("step_seconds", 1)
  print(f"MoCo step, batch {_BATCH}: 1 device {one['seconds']:.3f} s")
  for replicas, (fixed, slope) in fits.items():
    found = _fresh("step_seconds", replicas)
    messages = [
      one["weight_bytes"],
      *_batch_messages(_BATCH, 4 * _IMAGE**2 * 3),
    ]
    model = one["seconds"] + sum(fixed + slope * m for m in messages)
    print(
      f"  {replicas} devices {found['seconds']:.3f} s, model {model:.3f} s,"
      f" measured over model {found['seconds'] / model:.2f}",
      flush=True,
    )
  _predict(args)


def _batch_messages(batch: int, view_bytes: int) -> list[int]:
  """Bytes that MoCo gathers: key views, keys, keys for the queue."""
  keys = 4 * _EMBEDDING * batch
  return [view_bytes * batch, keys, keys]


def _predict(args) -> None:
  per_gpu = 32
  compute = per_gpu / args.gpu_images_per_second
  print(
    f"\nResNet-50, 224 px, {per_gpu} images a GPU: {compute:.3f} s computing;"
    f" {args.link_gb:g} GB/s between the {args.node_gpus} GPUs,"
    f" {args.network_gb:g} GB/s between nodes"
  )
  print("  GPUs  gradients  shuffle  keys  step   efficiency  limited by")
  for gpus in (8, 16, 32, 64, 128, 256):
    batch = per_gpu * gpus
    rate = args.link_gb if gpus <= args.node_gpus else args.network_gb
    share = (gpus - 1) / gpus
    hops = 1e-6 * args.latency_us * np.log2(gpus)
    gradients = 2 * share * _RESNET50_BYTES / (1e9 * rate) + hops
    # A node receives the views of the batch once for all of its GPUs.
    views, *keys = _batch_messages(batch, _VIEW_BYTES)
    shuffle = share * views / (1e9 * rate) + hops
    keys = sum(share * m / (1e9 * rate) + hops for m in keys)
    parts = {
      "computing": compute,
      "gradients": gradients,
      "shuffling BN's views": shuffle,
      "keys": keys,
    }
    step = sum(parts.values())
    print(
      f"  {gpus:4d}  {gradients:8.3f}s  {shuffle:6.3f}s {keys:5.3f}s"
      f" {step:5.3f}s  {compute / step:9.0%}   {max(parts, key=parts.get)}"
    )


def _fresh(part: str, replicas: int):
  done = subprocess.run(
    [sys.executable, "-m", "benchmarks.scaling", f"--part={part}"]
    + [f"--replicas={replicas}"],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def _strategy(replicas: int):
  from tf_ssl.training.distributed import distribution

  distribution.split_cpu(replicas)
  return distribution.strategy("auto")


def all_reduce_seconds(replicas: int) -> list[float]:
  """Durations of an all-reduce for each of `_SIZES`."""
  strategy = _strategy(replicas)
  import tensorflow as tf

  from tf_ssl.ops import cross_replica

  def measure(size: int) -> float:
    @tf.function
    def step():
      def in_replica():
        values = tf.ones([size // 4])
        return cross_replica.total(values)[0]

      return strategy.run(in_replica)

    return _median(
      lambda: strategy.experimental_local_results(step())[0].numpy()
    )

  return [measure(size) for size in _SIZES]


def step_seconds(replicas: int) -> dict:
  """Duration of MoCo's step with a small ResNet-18 on noise."""
  strategy = _strategy(replicas)
  import functools

  import tensorflow as tf

  from benchmarks import train_step
  from tf_ssl.encoders import resnet

  with strategy.scope():
    encoder = functools.partial(resnet.resnet18, width=0.5, stem="small")
    model = train_step.build(encoder, _IMAGE, _BATCH, 4096, "float32")
  views = train_step.pair(_BATCH, _IMAGE)
  dataset = tf.data.Dataset.from_tensors(views).cache().repeat()
  if replicas > 1:
    dataset = strategy.experimental_distribute_dataset(dataset)
  iterator = iter(dataset)
  function = model.make_train_function()
  return {
    "seconds": _median(lambda: function(iterator)["loss"].numpy()),
    "weight_bytes": sum(
      4 * int(np.prod(v.shape)) for v in model.learned_variables
    ),
  }


def _median(step, runs: int = 7) -> float:
  times = []
  for run in range(runs + 2):
    began = time.perf_counter()
    step()
    if run >= 2:
      times.append(time.perf_counter() - began)
  return float(np.median(times))


if __name__ == "__main__":
  main()
