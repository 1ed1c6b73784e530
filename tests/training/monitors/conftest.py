"""A run for monitors to measure, without training."""

import types

import pytest
import tensorflow as tf

from tf_ssl.training.monitors import base


@pytest.fixture
def make_context(tmp_path):
  """Function that makes a context of a method or encoder, and given batches."""

  def make(method=None, *, encoder=None, probe=None, sample=None, **values):
    context = base.Context(
      method=method or types.SimpleNamespace(encoder=encoder),
      **{
        "writer": tf.summary.create_file_writer(str(tmp_path / "events")),
        "tensorboard": str(tmp_path / "events"),
        "model_dir": str(tmp_path),
        "image_size": 4,
        "batch_size": 5,
        **values,
      },
    )
    for name, batch in (("probe", probe), ("sample", sample)):
      if batch is not None:
        context.__dict__[name] = batch
    return context

  return make
