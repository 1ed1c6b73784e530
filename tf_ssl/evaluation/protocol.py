"""The interface of downstream protocols: model in, outcome out.

A protocol is a frozen dataclass that a gin file binds, such as `knn.Knn`. Its
fields hold everything that its results depend on; `run` measures one model and
returns an `Outcome`, which `report` writes together with the settings: a result
without its protocol cannot be compared.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import image_model, load, trainable


class Table(NamedTuple):
  """A table of a report, with unformatted values.

  Attributes:
    title: title of the table.
    columns: column headings.
    rows: rows of strings and numbers; None for a missing value.
  """

  title: str
  columns: Sequence[str]
  rows: Sequence[Sequence[Any]]


class Outcome(NamedTuple):
  """Results of a protocol, with everything they depend on.

  Attributes:
    protocol: short name of the protocol, such as "knn"; equal for all its runs.
    title: title of the report, one line.
    settings: JSON values of all settings that change a result (k, temperature,
      learning rates, crop, image size, grid of C, seeds).
    data: facts that identify each set of images, by role ("train", "test"),
      such as its digest (`datasets.records.digest`).
    results: headline numbers by name. Names of percentages, 0..100, end in
      "_percent".
    details: further JSON values (by class, by seed, the whole grid). For means
      over repetitions, "intervals_95" maps names of `results` to mean, low and
      high (`statistics.MeanInterval`); `reporting.schema` compares these.
    tables: tables of the page.
    pictures: PNG files by file name, such as {"confusion.png": ...}.
    skipped: reasons by name of the examples that were left out.
    notes: sentences that a reader of the results should know.
  """

  protocol: str
  title: str
  settings: Mapping[str, Any]
  data: Mapping[str, Mapping[str, Any]]
  results: Mapping[str, float]
  details: Mapping[str, Any] = {}
  tables: Sequence[Table] = ()
  pictures: Mapping[str, bytes] = {}
  skipped: Mapping[str, str] = {}
  notes: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Subject:
  """The evaluated model, loaded when a protocol first asks for it.

  Attributes:
    spec: "NAME=PATH" or "PATH", as in `models.load.load_model`.
    layer: name of the layer to read; None chooses one.
    preprocessing: pixel values that the model expects; None for those stated in
      its file.
    restore_run: function that restores an encoder from a run folder, as in
      `models.load.load_model`.
    torch_python: path of a Python with PyTorch, as in `models.load.load_model`.
  """

  spec: str
  layer: str | None = None
  preprocessing: str | None = None
  restore_run: Callable[[str], tf.keras.Model] | None = None
  torch_python: str | None = None

  @property
  def name(self) -> str:
    """Name of the model in reports."""
    return load.split(self.spec)[0]

  @property
  def path(self) -> str:
    """Path of the model as the user gave it."""
    return load.split(self.spec)[1]

  @functools.cached_property
  def frozen(self) -> image_model.ImageModel:
    """The model as a function from images to features.

    Raises:
      UsageError: the model cannot be loaded (`models.load.load_model`).
    """
    return load.load_model(
      self.spec,
      layer=self.layer,
      preprocessing=self.preprocessing,
      torch_python=self.torch_python,
      restore_run=self.restore_run,
    )

  @functools.cached_property
  def trainable(self) -> trainable.TrainableEncoder:
    """The model as a network to fine-tune, with its own copy of the weights.

    It ignores `layer`. Train it inside `TrainableEncoder.restored`, which
    restores the weights afterwards.

    Raises:
      UsageError: the model cannot be trained (`models.trainable`).
    """
    return trainable.load_trainable(
      self.spec,
      preprocessing=self.preprocessing,
      restore_run=self.restore_run,
    )


class DownstreamProtocol(Protocol):
  """The interface of the objects bound to `evaluate.Evaluation.protocol`."""

  def run(
    self,
    subject: Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> Outcome:
    """Measures one model.

    Args:
      subject: model to evaluate.
      output_dir: path of an existing folder. Features, checkpoints and finished
        parts are kept below it, so that the same call resumes after an
        interruption.
      say: prints one line of progress.

    Raises:
      UsageError: the model or the images cannot be used.
    """


def check_numbers(name: str, macro: str, values: Sequence[float]) -> None:
  """Checks a grid of settings.

  Args:
    name: name of the setting.
    macro: name of the gin macro that binds it.
    values: different numbers > 0, at least one.

  Raises:
    UsageError: the grid is empty, or has repeated numbers or numbers <= 0.
  """
  errors.require(
    values and len(set(values)) == len(values) and min(values) > 0,
    f"{name} is {list(values)}; expected different numbers above 0; change "
    f"{macro}",
  )


def model_key(description: image_model.Description) -> dict[str, Any]:
  """The part of a model's description that results depend on.

  Args:
    description: description of an `ImageModel` or a `TrainableEncoder`.

  Returns:
    JSON values by name: everything but the model's name and path.
  """
  found = description._asdict()
  return {k: v for k, v in found.items() if k not in ("name", "path")}
