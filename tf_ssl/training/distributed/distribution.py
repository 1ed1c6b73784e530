"""Which devices train together, and how a CPU's threads are used."""

import contextlib
import os
from collections.abc import Callable

import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.training.distributed import cluster as cluster_lib

STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")


def use_threads(per_operation: int) -> None:
  """Divides each operation among so many threads; 0 leaves it to TensorFlow.

  TensorFlow can only be told before it first computes: later, a warning says
  that the number is without effect.
  """
  now = tf.config.threading.get_intra_op_parallelism_threads()
  if per_operation in (0, now):
    return
  try:
    tf.config.threading.set_intra_op_parallelism_threads(per_operation)
  except RuntimeError:
    logging.warning(
      "threads_per_operation=%d is without effect: TensorFlow has computed in"
      " this process before.",
      per_operation,
    )


def split_cpu(devices: int) -> None:
  """Makes the CPU look like so many devices, to see several replicas anywhere.

  Must come before TensorFlow first computes in the process.

  Raises:
    UsageError: fewer than one device, or too late.
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
  """The devices that train together.

  Args:
    name: "one" device; all devices of this machine, "mirrored"; the machines of
      TF_CONFIG, "multi_worker"; the "tpu" of TPU_NAME. "auto" takes the last of
      these for which there is something: TF_CONFIG names workers, TPU_NAME is
      set, there are several GPUs or logical CPUs; else one device.
    worker_seconds: how long to wait for the other workers of TF_CONFIG.

  Raises:
    UsageError: another name, or what it needs is not there.
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
  """Refuses a global batch that the replicas in scope cannot share equally.

  Raises:
    UsageError: it is not divisible.
  """
  replicas = tf.distribute.get_strategy().num_replicas_in_sync
  if batch_size % replicas:
    raise errors.UsageError(
      f"BATCH_SIZE={batch_size} cannot be divided among {replicas} replicas:"
      f" expected a multiple of {replicas}, such as"
      f" {-(-batch_size // replicas) * replicas}; change BATCH_SIZE."
    )


def any_worker(flag: bool) -> bool:
  """Whether `flag` is set on any worker; every worker must ask.

  Also a barrier: nobody comes back before everybody has come.
  """
  if len(cluster_lib.read().workers) == 1:
    return flag
  return bool(_sum_over_workers(tf.constant(float(flag))) > 0)


def agree_on_averages(model: tf.keras.Model) -> None:
  """Gives every replica the mean of batch norm's moving averages.

  That mean is what a checkpoint holds: after this a run that goes on is, to the
  bit, in the state of one that is restored.
  """
  if tf.distribute.get_strategy().num_replicas_in_sync == 1:
    return
  for variable in model.variables:
    if variable.synchronization == tf.VariableSynchronization.ON_READ:
      variable.assign(variable.read_value())


@tf.function
def _sum_over_workers(value: tf.Tensor) -> tf.Tensor:
  now = tf.distribute.get_strategy()

  def in_replica():
    context = tf.distribute.get_replica_context()
    here = tf.identity(value)  # on the replica's device
    return context.all_reduce(tf.distribute.ReduceOp.SUM, here)

  return now.experimental_local_results(now.run(in_replica))[0]


@contextlib.contextmanager
def lost_workers():
  """Turns the errors of a lost worker into one that says what to do.

  Raises:
    WorkerLostError: another worker of the cluster is gone.
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
      " the same command again on all workers: the run goes on from its last"
      " checkpoint."
    ) from error


def distribute(
  make: Callable[[int, int], tf.data.Dataset], *, batch_size: int
) -> tf.data.Dataset:
  """Gives every replica in scope its part of each global batch.

  Args:
    make: from this process's number and the number of processes to a dataset of
      this process's contiguous share of each global batch.
    batch_size: the global batch.

  Returns:
    What `Model.fit` takes.
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
  """The accelerators, or where there are none the logical CPUs."""
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
