"""Several models at once, with options for all or for one of them."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import image_model, load


def load_models(
  specs: Sequence[str],
  *,
  layer: Sequence[str] = (),
  preprocessing: Sequence[str] = (),
  image_size: int | None = None,
  restore_run: Callable[[str], tf.keras.Model] | None = None,
) -> list[image_model.ImageModel]:
  """Loads models, each with a name of its own.

  Args:
    specs: "NAME=PATH" or "PATH", as in `load.load_model`.
    layer: what to read: "LAYER" for all models, "NAME=LAYER" for one.
    preprocessing: likewise; a name of `preprocessing.BY_NAME`.
    image_size: see `load.load_model`.
    restore_run: the same.

  Returns:
    The models in the order of `specs`.

  Raises:
    UsageError: no model, two of one name, an option for a model that is not
      there, or as `load.load_model`.
  """
  names = [load.split(spec)[0] for spec in specs]
  if not names or len(set(names)) != len(names):
    raise errors.UsageError(
      f"models: {', '.join(names) or 'none'}; expected at least one, each with "
      "a name of its own: NAME=PATH"
    )
  layers = _of_each("layer", layer, names)
  preprocessings = _of_each("preprocessing", preprocessing, names)
  return [
    load.load_model(
      spec,
      layer=layers[name],
      preprocessing=preprocessings[name],
      image_size=image_size,
      restore_run=restore_run,
    )
    for spec, name in zip(specs, names, strict=True)
  ]


def _of_each(
  option: str, values: Sequence[str], names: Sequence[str]
) -> dict[str, str | None]:
  """The option's value for each model; one for a single model wins."""
  for_all, for_one = [], {}
  for value in values:
    name, equals, rest = value.partition("=")
    if not equals:
      for_all.append(value)
    elif name not in names or name in for_one:
      raise errors.UsageError(
        f"{option}={value!r}: expected one value for each of the models "
        f"{', '.join(names)}"
      )
    else:
      for_one[name] = rest
  if len(for_all) > 1:
    raise errors.UsageError(
      f"{option} is given {len(for_all)} times for all models "
      f"({', '.join(for_all)}); expected once, or NAME=VALUE for each"
    )
  common = for_all[0] if for_all else None
  return {name: for_one.get(name, common) for name in names}
