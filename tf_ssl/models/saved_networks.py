"""SavedModels as networks to train: the reusable ones, ours and TF-Hub's."""

from collections.abc import Callable

import tensorflow as tf

from tf_ssl.models import reader, saved_calls

_STILL = (
  "its maps were exported for inference only: batch norm keeps the statistics "
  "that it came with"
)


def of_loaded(
  loaded: object, one_output: Callable[[object], tf.Tensor]
) -> Callable[[], reader.Network] | None:
  """What training needs of a loaded SavedModel; None if it cannot be trained.

  That takes `variables`, `trainable_variables` and a call with `training`, as a
  reusable SavedModel has them; and for maps a function `endpoints`, as ours
  have it.

  Args:
    loaded: what `tf.saved_model.load` returned.
    one_output: picks the features from what its call gives.
  """
  call = vars(loaded).get("__call__")
  modes = {
    training: saved_calls.of_images(call, training=training)
    for training in (False, True)
  }
  trainable = list(getattr(loaded, "trainable_variables", ()))
  if not trainable or None in modes.values():
    return None
  still = saved_calls.of_images(getattr(loaded, "endpoints", None))
  moving = saved_calls.of_images(
    getattr(loaded, "endpoints", None), training=True
  )
  maps = {False: still, True: moving or still}

  def features(images, training):
    run, spec = modes[training]
    return one_output(run(tf.cast(images, spec.dtype)))

  def endpoints(images, training):
    run, spec = maps[training]
    return run(tf.cast(images, spec.dtype))

  return lambda: reader.Network(
    features,
    endpoints if still else None,
    list(getattr(loaded, "variables", trainable)),
    trainable,
    note=_STILL if still and not moving else "",
  )
