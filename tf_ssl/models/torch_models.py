"""PyTorch models, through a process that has PyTorch."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import batch_norms, reader
from tf_ssl.ops import child_process

# Environment variable that names a Python with PyTorch.
PYTHON = "TF_SSL_TORCH_PYTHON"
# What a model's name starts with, and the kind for people.
KINDS = {
  "torchscript": "TorchScript file",
  "torch_export": "torch.export file",
  "torchvision": "torchvision model",
  "timm": "timm model",
  "hf": "Hugging Face folder",
}
FORMS = (
  "torchscript:FILE.pt, torch_export:FILE.pt2, torchvision:NAME[:FILE|:random],"
  " timm:NAME[:FILE|:random] or hf:FOLDER"
)
SUFFIXES = (".pt", ".pth", ".pt2", ".ts", ".torchscript")
_FILES = ("torchscript", "torch_export")
# torch_child.py's reason for the input of a classifier.
_BEFORE_CLASSIFIER = "before the last linear layer"
_CHILD = pathlib.Path(__file__).with_name("torch_child.py")
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
_STOP_SECONDS = 2.0


class _Child:
  """The process that runs one model; its methods may be called by threads."""

  def __init__(self, model: str, python: str, arguments: Sequence[str]):
    """Starts the process.

    Args:
      model: name of the model, the start of errors.
      python: path of a Python with PyTorch.
      arguments: kind, path, weights and layer.

    Raises:
      UsageError: the Python cannot be started.
    """
    self._model = model
    self._lock = threading.Lock()
    self._log = tempfile.TemporaryFile()
    env = child_process.environment(**_OFFLINE)
    if python != sys.executable:  # Without modules of this Python.
      hidden = ("PYTHONPATH", "PYTHONHOME")
      env = {k: v for k, v in os.environ.items() if k not in hidden} | _OFFLINE
    with reader.reading(
      f"{model}: the Python {python} cannot be started",
      f"change --torch_python or {PYTHON}",
    ):
      self._process = child_process.start_python(
        _CHILD.read_text(encoding="utf-8"),
        *arguments,
        python=python,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=self._log,
        own_session=True,  # Ctrl-C ends it through the closed pipe.
      )
    weakref.finalize(self, _end, self._process)

  def ask(
    self, request: Mapping[str, Any] | None, images: np.ndarray | None = None
  ) -> tuple[dict[str, Any], bytes]:
    """Sends a message and waits for the answer.

    Args:
      request: JSON object; None only to read the first answer.
      images: [B, 3, H, W] float32, sent with the request.

    Returns:
      The answer's JSON object, and its bytes.

    Raises:
      UsageError: the model cannot be loaded, or the process has ended.
      RuntimeError: the model fails on the images.
    """
    with self._lock:
      try:
        if request is not None:
          data = memoryview(np.ascontiguousarray(images)).cast("B")
          line = {**request, "shape": images.shape, "bytes": len(data)}
          self._process.stdin.write(json.dumps(line).encode() + b"\n")
          self._process.stdin.write(data)
          self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        data = self._process.stdout.read(answer["bytes"])
      except (OSError, ValueError) as error:  # The pipe is closed.
        raise errors.UsageError(self._how_it_ended()) from error
    if "error" in answer:
      if request is not None:  # ImageModel says on which images.
        raise RuntimeError(answer["error"])
      raise errors.UsageError(f"{self._model}: {answer['error']}")
    return answer, data

  def _how_it_ended(self) -> str:
    code = self._process.wait()
    self._log.seek(0)
    return (
      f"{self._model}: the process with PyTorch has ended, "
      f"{child_process.how_it_ended(code)}: "
      f"{child_process.last_line(self._log.read())}"
    )


def _end(process: subprocess.Popen) -> None:
  process.stdout.close()
  child_process.stop([process], seconds=_STOP_SECONDS)
  try:
    process.stdin.close()
  except OSError:  # Bytes that the process has not read.
    pass


def is_spec(path: str) -> bool:
  """Whether a model is one of PyTorch's, by its first word."""
  return path.partition(":")[0] in KINDS and not os.path.exists(path)


def read(
  spec: str, *, layer: str | None = None, python: str | None = None
) -> reader.Reader:
  """Reads a PyTorch model.

  TorchScript and torch.export files are programs, which run: use only those
  from people you trust. Nothing is downloaded, and weights are read without
  running code.

  Args:
    spec: one of `FORMS`.
    layer: name of a submodule (of a value or node in the graph of a file);
      "class_token", "patch_mean" or "class_and_patch_mean" of a network with
      tokens; "output"; None for the input of the classifier.
    python: path of a Python with PyTorch; None for the one that the environment
      variable `PYTHON` names, or this one.

  Raises:
    UsageError: the file is missing, there is no PyTorch, or PyTorch cannot load
      the model or has no such layer.
  """
  kind, _, path = spec.partition(":")
  weights = ""
  if kind in ("torchvision", "timm"):
    path, _, weights = path.partition(":")
  for file in (path if kind in (*_FILES, "hf") else "", weights):
    errors.require(
      file in ("", "random") or os.path.exists(file),
      f"model {spec}: {file} was not found; expected {FORMS}",
    )
  errors.require(path, f"model {spec}: expected {FORMS}")
  python = python or os.environ.get(PYTHON) or sys.executable
  child = _Child(f"model {spec}", python, [kind, path, weights, layer or ""])
  facts, _ = child.ask(None)
  errors.require(
    "missing" not in facts,
    f"model {spec} needs PyTorch, and {python} does not have it "
    f"({facts.get('missing')}); install it, or give the path of a Python that "
    f"has it as --torch_python or {PYTHON}",
  )
  batch, _, height, width = facts.get("shape") or [None] * 4
  size = reader.fixed_size(height, width)
  if size is None and facts.get("size"):
    size = tuple(facts["size"])

  def run(images: np.ndarray, what: str = "features") -> np.ndarray:
    answer, data = child.ask({"do": what}, _channels_first(images))
    return np.frombuffer(data, np.float32).reshape(answer["shape"])

  return reader.Reader(
    kind=KINDS[kind],
    run=run,
    layer=facts["layer"],
    layer_chosen=facts["chosen"],
    digest=facts["digest"],
    image_size=size,
    batch_size=batch,
    channels_first=True,
    is_numpy=True,
    batch_norms=lambda: _batch_norms(child, batch, size),
    class_scores=(
      (lambda images: run(images, "output"))
      if facts["chosen"] == _BEFORE_CLASSIFIER
      else None
    ),
    **_preprocessing(facts),
  )


def _channels_first(images: np.ndarray) -> np.ndarray:
  return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)


def _batch_norms(
  child: _Child, batch: int | None, size: tuple[int, int] | None
) -> batch_norms.BatchNorms | None:
  """The first batch-norm layers; None without any."""

  def ask(images: np.ndarray) -> list[list[np.ndarray]]:
    answer, _ = child.ask({"do": "moments"}, _channels_first(images))
    return [[np.array(row) for row in layer] for layer in answer["moments"]]

  found = ask(np.zeros([batch or 1, *(size or (64, 64)), 3], np.float32))
  if not found:
    return None
  return batch_norms.BatchNorms(
    [batch_norms.Moments(*layer[:2]) for layer in found],
    lambda images: [batch_norms.Moments(*layer[2:]) for layer in ask(images)],
    batch,
  )


def _preprocessing(facts: Mapping[str, Any]) -> dict[str, Any]:
  """The preprocessing that a model comes with, as fields of `Reader`."""
  if "mean" not in facts:
    return {}
  mean, std = facts["mean"], facts["std"]
  return {
    "preprocessing": f"mean {mean}, standard deviation {std}",
    "preprocessing_chosen": facts["source"],
    "preprocess": lambda images: (
      (images / 255.0 - tf.constant(mean, tf.float32))
      / tf.constant(std, tf.float32)
    ),
  }
