"""Self-supervised visual representations with TensorFlow and Keras.

The names below are loaded when they are first used, so that `import tf_ssl`
does not import TensorFlow. docs/python.md shows each in a few lines.
"""

import importlib

from tf_ssl.ops import compat

compat.choose_keras_2()  # Before anything imports TensorFlow.

__version__ = "0.2.0"

_MODULES = {
  "pretrain": "tf_ssl.api.pretraining",
  "load_model": "tf_ssl.api.encoders",
  "extract_features": "tf_ssl.api.encoders",
  "export_encoder": "tf_ssl.api.encoders",
  "import_weights": "tf_ssl.api.encoders",
  "measure_invariance": "tf_ssl.api.measurements",
  "evaluate": "tf_ssl.api.measurements",
  "diagnose_dataset": "tf_ssl.api.datasets",
  "track_regions": "tf_ssl.api.datasets",
  "representation_invariance_score": "tf_ssl.invariance.score",
  "MoCo": "tf_ssl.methods.moco",
  "Pirl": "tf_ssl.methods.pirl",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
  if name not in _MODULES:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
  value = getattr(importlib.import_module(_MODULES[name]), name)
  globals()[name] = value
  return value


def __dir__() -> list[str]:
  return sorted({*globals(), *__all__})
