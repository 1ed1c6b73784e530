"""Files that Keras 3 saved, through a process that has Keras 3."""

import json
import os
import pathlib
import tempfile

from tf_ssl import errors
from tf_ssl.models import (
  keras_config,
  keras_file,
  keras_models,
  reader,
  saved_models,
)
from tf_ssl.ops import child_process, compat

_EXPORT = pathlib.Path(__file__).with_name("keras3_export.py")
_SECONDS = 300.0
_BYTES_PER_SECOND = 2**22
# Address space of the child in bytes: TensorFlow's own, and room for a model.
_MEMORY = 2**34
_MEMORY_PER_BYTE = 8
_ADVICE = (
  "export the model as a SavedModel (model.export(...)) with the program that "
  "made it"
)


def read(path: str, *, layer: str | None = None) -> reader.Reader:
  """Reads a `.keras` or `.h5` file of Keras 3 without running code from it.

  Args:
    path: path of the file.
    layer: name of the layer to read; None chooses as for files of Keras 2.

  Raises:
    UsageError: there is no Keras 3, or the file is not a model, could run code,
      or has no such layer.
  """
  saved = keras_file.read(path)
  described = f"{path} was saved by Keras {saved.keras_version}"
  keras_config.check(saved.config, f"{described} and")
  num_bytes = keras_file.check_weights(path)
  python = compat.keras_3_python()
  errors.require(
    python is not None,
    f"{described}, and here is only Keras {compat.keras_version()}; set "
    f"{compat.KERAS_3_PYTHON} to the path of a Python with Keras 3 and "
    f"TensorFlow, or {_ADVICE}",
  )
  with (
    tempfile.TemporaryDirectory(prefix="tf_ssl_keras3_") as folder,
    reader.reading(f"{described} and cannot be read", _ADVICE),
  ):
    output = os.path.join(folder, "saved_model")
    printed = child_process.output_of(
      _EXPORT.read_text(encoding="utf-8"),
      os.path.abspath(path),
      output,
      layer or "",
      python=python,
      env=compat.keras_3_environment(),
      seconds=_SECONDS + num_bytes / _BYTES_PER_SECOND,
      memory=_MEMORY + _MEMORY_PER_BYTE * num_bytes,
    )
    answer = json.loads(printed.splitlines()[-1])
    found = saved_models.read(output)
  return found._replace(
    kind="Keras 3 file",
    layer=str(answer["layer"]),
    layer_chosen=str(answer["chosen"]),
    digest=reader.path_digest(path),
    **keras_models.preprocessing_of(*_facts(saved.config)),
  )


def _facts(config: object) -> tuple[str, str]:
  """Name of the model, and of its layer that scales pixels, or ""."""
  scaling, name = "", ""
  for node in keras_config.dicts(config):
    inner = node.get("config")
    if not isinstance(inner, dict):
      continue
    if node is config:
      name = str(inner.get("name", ""))
    if node.get("class_name") in ("Rescaling", "Normalization"):
      scaling = scaling or str(inner.get("name", "Rescaling"))
  return name, scaling
