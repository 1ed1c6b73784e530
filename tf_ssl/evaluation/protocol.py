"""What every downstream protocol takes and what it gives.

A protocol is a frozen dataclass that a gin file binds, such as `knn.Knn`: its
fields are all that its numbers depend on, and `run` measures one model. What
comes out is an `Outcome`, which `protocol_report` writes: a number without its
protocol is not comparable.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.models import image_model, load, trainable


def check_numbers(name: str, macro: str, values: Sequence[float]) -> None:
  """Refuses settings to choose from that are none, repeated, or not above 0.

  Args:
    name: of the settings.
    macro: that sets them.
    values: of them.

  Raises:
    UsageError: names both.
  """
  if not values or len(set(values)) != len(values) or not min(values) > 0:
    raise errors.UsageError(
      f"{name} is {list(values)}; expected different numbers above 0; change "
      f"{macro}"
    )


def identity(description: image_model.Description) -> dict[str, Any]:
  """What of a model's description numbers depend on: not its name and place.

  Args:
    description: of an `ImageModel` or of a `TrainableEncoder`.
  """
  found = description._asdict()
  return {k: v for k, v in found.items() if k not in ("name", "path")}


class Table(NamedTuple):
  """Rows for people; numbers are formatted by the report.

  Attributes:
    title: what the rows are.
    columns: the names of the columns.
    rows: cells, strings or numbers; None where there is no value.
  """

  title: str
  columns: Sequence[str]
  rows: Sequence[Sequence[Any]]


class Outcome(NamedTuple):
  """What a protocol measured, with all that the numbers depend on.

  Attributes:
    protocol: its short name, such as "knn"; the same for all its runs.
    title: one line for people.
    settings: of the protocol, JSON values: whatever changes a number (k,
      temperature, learning rates, crop, image size, grid of C, seeds).
    data: from the role of each set of images ("train", "test") to its digest
      (`datasets.records.digest`), with whatever else identifies it.
    results: the headline numbers by name. Shares are in percent, 0..100, with
      names that end in "_percent".
    details: everything else worth keeping, JSON values (by class, by seed, the
      whole grid). "intervals_95", where results are means over repetitions, has
      the mean and both ends of each (`repetitions.MeanInterval`) by its name in
      `results`: what `schema` compares.
    tables: for the page.
    pictures: from file names to PNG bytes, such as {"confusion.png": ...}.
    skipped: from the names of examples left out to the reasons.
    notes: sentences that a reader of the numbers should know.
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
  """The model that is evaluated, loaded when a protocol asks for it.

  Attributes:
    spec: "NAME=PATH" or "PATH", as `models.load` takes it.
    layer: what to read; None chooses.
    preprocessing: over what the file says; None for that.
    restore_run: as `models.load.load_model` takes it.
  """

  spec: str
  layer: str | None = None
  preprocessing: str | None = None
  restore_run: Callable[[str], tf.keras.Model] | None = None

  @property
  def name(self) -> str:
    """For reports."""
    return load.split(self.spec)[0]

  @property
  def path(self) -> str:
    """As given."""
    return load.split(self.spec)[1]

  @functools.cached_property
  def frozen(self) -> image_model.ImageModel:
    """The model as a function from images to features.

    Raises:
      UsageError: as `models.load.load_model`.
    """
    return load.load_model(
      self.spec,
      layer=self.layer,
      preprocessing=self.preprocessing,
      restore_run=self.restore_run,
    )

  @functools.cached_property
  def trainable(self) -> trainable.TrainableEncoder:
    """The model as a network to fine-tune, with weights of its own.

    `layer` does not matter to it. Whoever trains it gives it back as it was
    (`TrainableEncoder.restored`).

    Raises:
      UsageError: as `models.trainable.load_trainable`.
    """
    return trainable.load_trainable(
      self.spec,
      preprocessing=self.preprocessing,
      restore_run=self.restore_run,
    )


class DownstreamProtocol(Protocol):
  """What a gin file binds to `evaluate.Evaluation.protocol`."""

  def run(
    self,
    subject: Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> Outcome:
    """Measures one model.

    Args:
      subject: the model.
      output_dir: is there; what is worth keeping between two calls (features,
        checkpoints) lies below it, so that the same call goes on where it was
        stopped.
      say: prints one line.

    Raises:
      UsageError: models or data that cannot be used.
    """
