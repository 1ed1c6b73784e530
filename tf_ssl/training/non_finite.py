"""Saves and replays the batch whose loss or gradient is not finite."""

import pathlib

import numpy as np
import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.methods import base
from tf_ssl.ops import workdir
from tf_ssl.training import checkpoints as checkpoints_lib
from tf_ssl.training import run_directory


class NonFiniteLossError(errors.UsageError):
  """The loss or gradient of a step is not finite; the run has stopped."""


def is_non_finite(error: tf.errors.OpError) -> bool:
  """Whether the train step's own check raised this error."""
  return base.NON_FINITE in str(error)


def save(
  batch,
  *,
  directory: pathlib.Path,
  step: int,
  checkpoints: checkpoints_lib.Checkpoints,
) -> NonFiniteLossError:
  """Saves a batch and the weights before its step.

  Args:
    batch: views of the step, a NamedTuple of tensors.
    directory: path of the folder to write.
    step: number of steps done before.
    checkpoints: checkpoints of the run, whose weights are those before the
      step.

  Returns:
    Error to raise, which tells how to replay the batch.
  """
  path = directory / f"batch_{step}.npz"
  views = {name: np.asarray(v) for name, v in batch._asdict().items()}
  with workdir.writable(directory, run_directory.ARGUMENT):
    directory.mkdir(parents=True, exist_ok=True)
    with workdir.replacing_file(path) as temporary:
      with open(temporary, "wb") as file:
        np.savez(file, step=step, **views)
    checkpoints.save_aside(directory)
  return NonFiniteLossError(
    f"the loss of step {step + 1}, or its gradient, is not finite. Its batch is"
    f" in {path}, the weights before it in {directory}/checkpoint. To see"
    " which tensors break: python -m tools.replay_batch"
    f" --model_dir={directory.parent}"
    " (often LEARNING_RATE is too high)."
  )


def of_lost_batch(step: int) -> NonFiniteLossError:
  """Error to raise where the batch cannot be made again."""
  return NonFiniteLossError(
    f"the loss of step {step + 1}, or its gradient, is not finite. Its batch"
    " came from a tf.data service, which cannot make it again; to look into"
    " it, train without data_service_address (often LEARNING_RATE is too high)."
  )


def replay(model: base.ContrastiveModel, directory: pathlib.Path) -> list[str]:
  """Runs the saved batch again with the saved weights.

  Args:
    model: method, built and compiled from the run's config.
    directory: path of the folder that `save` wrote.

  Returns:
    One line each for views, features, embeddings, logits, the loss, weights and
    gradients: how many values are not finite, and the largest of the others.
  """
  checkpoint = tf.train.Checkpoint(**model.checkpoint_roots)
  with workdir.without_wildcards(directory / "checkpoint") as readable:
    checkpoint.restore(readable).expect_partial()
  path = max(directory.glob("batch_*.npz"), key=lambda p: p.stat().st_mtime)
  with np.load(path, allow_pickle=False) as saved:
    step = tf.constant(saved["step"], tf.int64)
    views = model.view_type(
      **{k: tf.constant(saved[k]) for k in model.view_type._fields}
    )
  model.optimizer.iterations.assign(step)  # Seeds the shuffle of the keys.
  if model.finish_views is not None:
    views = model.finish_views(views, step)
  lines = [f"replaying {path.name}"]
  for name in batches.view_fields(type(views)):
    images = getattr(views, name)
    lines.append(_describe(f"view {name}", images))
    images = tf.reshape(images, [-1, *images.shape[-3:]])  # Patches as images.
    lines.append(_describe(f"feature of {name}", model(images, training=True)))
    lines.append(_describe(f"embedding of {name}", model.embed(images, True)))
  variables = model.learned_variables
  with tf.GradientTape() as tape:
    contrast = model.contrast(views, training=True)
  lines.append(_describe("logits", contrast.logits))
  lines.append(_describe("loss", contrast.loss))
  for variable, gradient in zip(
    variables, tape.gradient(contrast.loss, variables), strict=True
  ):
    lines.append(_describe(f"weight {variable.name}", variable))
    lines.append(_describe(f"gradient of {variable.name}", gradient))
  return lines


def _describe(name: str, tensor) -> str:
  values = np.asarray(tensor, np.float64)
  finite = np.isfinite(values)
  bad = values.size - int(finite.sum())
  largest = np.abs(values[finite]).max() if finite.any() else float("nan")
  mark = f"NOT FINITE in {bad} of {values.size}" if bad else "finite"
  return f"{name}: {mark}, largest {largest:.3g}"
