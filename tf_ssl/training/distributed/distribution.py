"""Devices and workers that train together."""

import contextlib
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.training.distributed import cluster as cluster_lib

STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")


def split_cpu(devices: int) -> None:
  """Splits the CPU into logical devices, to run several replicas without GPUs.

  Args:
    devices: number of devices.

  Raises:
    UsageError: `devices` is below 1, or TensorFlow has computed in this process
      before.
  """
  if devices < 1:
    raise errors.UsageError(
      f"logical devices: got {devices}; expected at least 1; change"
      " --logical_devices."
    )
  if devices == 1:
    return
  one = tf.config.LogicalDeviceConfiguration()
  try:
    tf.config.set_logical_device_configuration(
      tf.config.list_physical_devices("CPU")[0], [one] * devices
    )
  except RuntimeError:
    raise errors.UsageError(
      "logical devices: TensorFlow has computed in this process before;"
      " expected --logical_devices to come first."
    ) from None


def strategy(
  name: str = "auto", *, worker_seconds: float = 300.0
) -> tf.distribute.Strategy:
  """Returns the strategy of the devices that train together.

  Args:
    name: "one" for one device, "mirrored" for all devices of this machine,
      "multi_worker" for the machines of TF_CONFIG, "tpu" for the TPU of
      TPU_NAME. "auto" is "multi_worker" if TF_CONFIG names several workers,
      else "tpu" if TPU_NAME is set, else "mirrored" if there are several GPUs
      or logical CPUs, else "one".
    worker_seconds: seconds to wait for the other workers of TF_CONFIG.

  Raises:
    UsageError: the name is unknown, or its devices are not available.
  """
  if name not in STRATEGIES:
    raise errors.UsageError(
      f"strategy {name!r}: expected one of {', '.join(STRATEGIES)}; change"
      " `strategy`."
    )
  if name == "auto":
    name = _automatic()
  if name == "one":
    return tf.distribute.get_strategy()
  if name == "mirrored":
    return tf.distribute.MirroredStrategy(_local_devices())
  if name == "multi_worker":
    cluster_lib.wait_for_workers(cluster_lib.read(), seconds=worker_seconds)
    return tf.distribute.MultiWorkerMirroredStrategy()
  return _tpu()


def check_batch(batch_size: int) -> None:
  """Raises UsageError if the replicas cannot share a global batch equally."""
  replicas = tf.distribute.get_strategy().num_replicas_in_sync
  if batch_size % replicas:
    raise errors.UsageError(
      f"BATCH_SIZE={batch_size} cannot be divided among {replicas} replicas:"
      f" expected a multiple of {replicas}, such as"
      f" {-(-batch_size // replicas) * replicas}; change BATCH_SIZE."
    )


def any_worker(flag: bool) -> bool:
  """Whether `flag` is set on any worker; all workers must call it.

  It is also a barrier: it returns once all workers have called it.
  """
  if len(cluster_lib.read().workers) == 1:
    return flag
  return bool(sum_over_workers(np.float32(flag)) > 0)


def sum_over_workers(values: np.ndarray) -> np.ndarray:
  """Sums arrays of equal shape over the workers; all workers must call it."""
  if len(cluster_lib.read().workers) == 1:
    return values
  return _sum_over_workers(tf.constant(values)).numpy()


def agree_on_averages(model: tf.keras.Model) -> None:
  """Sets batch norm's moving averages of every replica to their mean.

  A checkpoint holds that mean. The run then continues with the same bits as a
  run restored from the checkpoint.
  """
  if tf.distribute.get_strategy().num_replicas_in_sync == 1:
    return
  for variable in model.variables:
    if variable.synchronization == tf.VariableSynchronization.ON_READ:
      variable.assign(variable.read_value())


@tf.function
def _sum_over_workers(value: tf.Tensor) -> tf.Tensor:
  now = tf.distribute.get_strategy()
  local = now.num_replicas_in_sync // len(cluster_lib.read().workers)

  def in_replica():
    context = tf.distribute.get_replica_context()
    # On the replica's device; only the first of a worker counts.
    first = context.replica_id_in_sync_group % local == 0
    here = tf.where(first, value, tf.zeros_like(value))
    return context.all_reduce(tf.distribute.ReduceOp.SUM, here)

  return now.experimental_local_results(now.run(in_replica))[0]


@contextlib.contextmanager
def lost_workers():
  """Turns TensorFlow's errors for a lost worker into WorkerLostError.

  Raises:
    WorkerLostError: another worker of the cluster has ended.
  """
  try:
    yield
  except (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
  ) as error:
    found = cluster_lib.read()
    if len(found.workers) == 1:
      raise
    reason = str(error).strip().splitlines()[0][:200]
    raise errors.WorkerLostError(
      f"worker {found.index} lost contact with another worker ({reason}). Start"
      " the same command again on all workers: the run resumes from its last"
      " checkpoint."
    ) from error


def distribute(
  make: Callable[[int, int], tf.data.Dataset], *, batch_size: int
) -> tf.data.Dataset:
  """Distributes a dataset over the replicas in scope.

  Args:
    make: function (index, count) -> dataset of the contiguous share of each
      global batch of process `index` of `count`.
    batch_size: global batch size.

  Returns:
    Dataset for `Model.fit`.
  """
  cluster = cluster_lib.read()
  now = tf.distribute.get_strategy()
  if now.num_replicas_in_sync == 1:
    return make(0, 1)

  def input_of(context):
    del context
    part = batch_size // now.num_replicas_in_sync
    return make(cluster.index, len(cluster.workers)).rebatch(part)

  return now.distribute_datasets_from_function(input_of)


def _automatic() -> str:
  if len(cluster_lib.read().workers) > 1:
    return "multi_worker"
  if os.environ.get("TPU_NAME"):
    return "tpu"
  return "mirrored" if len(_local_devices()) > 1 else "one"


def _local_devices() -> list[str]:
  """Names of the GPUs, or without GPUs of the logical CPUs."""
  devices = tf.config.list_logical_devices(
    "GPU"
  ) or tf.config.list_logical_devices("CPU")
  return [device.name for device in devices]


def _tpu() -> tf.distribute.Strategy:
  address = os.environ.get("TPU_NAME", "")
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
  except (ValueError, tf.errors.OpError) as error:
    raise errors.UsageError(
      f"TPU_NAME={address!r}: no TPU answers there ({error}); expected a TPU's"
      " name or address."
    ) from error
  return tf.distribute.TPUStrategy(resolver)
