# For type checkers: __init__.py loads these names when they are first used.
from tf_ssl.api.datasets import diagnose_dataset as diagnose_dataset
from tf_ssl.api.datasets import track_regions as track_regions
from tf_ssl.api.encoders import export_encoder as export_encoder
from tf_ssl.api.encoders import extract_features as extract_features
from tf_ssl.api.encoders import import_weights as import_weights
from tf_ssl.api.encoders import load_model as load_model
from tf_ssl.api.measurements import evaluate as evaluate
from tf_ssl.api.measurements import measure_invariance as measure_invariance
from tf_ssl.api.pretraining import pretrain as pretrain
from tf_ssl.invariance.score import (
  representation_invariance_score as representation_invariance_score,
)
from tf_ssl.methods.moco import MoCo as MoCo
from tf_ssl.methods.pirl import Pirl as Pirl

__version__: str
