"""The linear probe of MoCo's code: SGD on features of random crops."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import (
  classification,
  labeled_sets,
  predictions,
  protocol,
  sanity,
  seeds,
)
from tf_ssl.evaluation.linear import linear_training
from tf_ssl.input_pipeline import skipped as skipped_lib

_FOLDER = "linear"


class Tested(NamedTuple):
  """The G classifiers of one seed, one for each learning rate.

  Attributes:
    validation: [G] accuracies that the choice is based on, 0..1; None for a
      classifier that has diverged.
    predictions: [G] predictions for the test images; None for a classifier that
      has diverged.
  """

  validation: Sequence[float | None]
  predictions: Sequence[predictions.Predictions | None]


class Choice(NamedTuple):
  """The learning rate that is reported.

  Attributes:
    number: index of the learning rate, 0..G-1.
    details: accuracies by learning rate, JSON values.
    table: the accuracies as a table.
    notes: sentences about how the choice was made.
  """

  number: int
  details: list[dict[str, Any]]
  table: protocol.Table
  notes: list[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearProbe(labeled_sets.FeatureProtocol):
  """A linear classifier on the frozen model (He et al. 2020, section 4.1).

  All learning rates are trained side by side on the same crops. The reported
  one has the highest validation accuracy on held-out training images. With a
  `validation_fraction` of 0 all training images are trained on, as for MoCo's
  own numbers, and the choice among several rates is made on the test images,
  which the report states.

  Attributes:
    learning_rates: learning rates for batches of `schedule.batch_size`; MoCo
      uses 30.
    schedule: length of the training and decay; by default MoCo's (METHODS 2).
    validation_fraction: fraction of each class of `train` to hold out, 0 to
      below 1.
    seeds: seeds of weights, order, crops and held-out images, one run each.
    min_area: smallest area of a random crop, as a fraction of the image's area.
  """

  learning_rates: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
  schedule: linear_training.Schedule = linear_training.Schedule()
  validation_fraction: float = 0.1
  seeds: Sequence[int] = (0,)
  min_area: float = 0.08

  def __post_init__(self):
    """Checks the settings before any image is read."""
    protocol.check_numbers(
      "learning_rates", "LEARNING_RATES", self.learning_rates
    )
    seeds.check(self.seeds)
    errors.require(
      self.schedule.epochs > 0 and self.schedule.batch_size >= 1,
      f"{self.schedule.epochs} epochs, batches of {self.schedule.batch_size}: "
      "expected more than 0 epochs and at least 1 image per batch; change "
      "EPOCHS or BATCH_SIZE",
    )

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures one model; see `protocol.DownstreamProtocol`."""
    sets = labeled_sets.match(self.train, self.test)
    held_out = [self._held_out(sets.train, seed) for seed in self.seeds]
    self._check_batch(held_out)
    key = {**self._settings(), **sets.key(subject.frozen.description)}
    with seeds.open_results(
      os.path.join(output_dir, _FOLDER), key, say
    ) as kept:
      features = self.features(
        subject,
        sets,
        output_dir,
        roles=("test", "train") if self.validation_fraction else ("test",),
      )
      skipped = {}
      for each in features.values():
        skipped |= each.skipped
      trained = []
      for seed, out in zip(self.seeds, held_out, strict=True):
        file = os.path.join(kept.folder, f"seed-{seed}.npz")
        grid, unreadable = self._trained(subject, sets, seed, out, file)
        skipped |= unreadable
        trained.append(self._tested(grid, features, out))
        say(self._line(seed, trained[-1]))
    notes = sanity.warned(
      "linear",
      sanity.of_features({k: v.values for k, v in features.items()}),
    )
    return self._outcome(sets, features["test"].labels, trained, skipped, notes)

  def _held_out(self, train, seed) -> np.ndarray:
    if not self.validation_fraction:
      return np.zeros(train.num_images, bool)
    return labeled_sets.hold_out(train, self.validation_fraction, seed=seed)

  def _check_batch(self, held_out: Sequence[np.ndarray]) -> None:
    fewest = min(int(np.count_nonzero(~out)) for out in held_out)
    errors.require(
      self.schedule.batch_size <= fewest,
      f"a batch of {self.schedule.batch_size} images is larger than the "
      f"{fewest} images to train on; lower BATCH_SIZE",
    )

  def _trained(self, subject, sets, seed, held_out, file):
    """The trained classifiers of a seed, and the images it could not read."""
    grid = linear_training.LinearGrid(
      subject.frozen.description.width,
      len(sets.class_names),
      self.learning_rates,
      seed=seed,
    )
    chosen = np.flatnonzero(~held_out).astype(np.int64)
    skipped = skipped_lib.SkippedFiles(
      None, len(chosen), self.max_skipped_fraction
    )
    boxes = sets.train.boxes
    linear_training.train(
      subject.frozen,
      sets.train._replace(
        examples=records_lib.Examples(
          images=chosen[:, np.newaxis],
          boxes=None if boxes is None else boxes[chosen][:, np.newaxis],
        )
      ),
      grid,
      self.schedule,
      file=file,
      image_size=self.image_size,
      seed=seed,
      min_area=self.min_area,
      encoder_batch_size=self.batch_size,
      skipped=skipped,
      title=f"Linear probe, seed {seed}",
    )
    return grid, skipped.reasons

  def _tested(self, grid, features, held_out) -> Tested:
    """Predictions and validation accuracies of a seed's classifiers."""
    test = features["test"]
    if self.validation_fraction:
      train = features["train"]
      _, rows = labeled_sets.held_out_rows(train, held_out)
      validation = train.values[rows], train.labels[rows]
    accuracies, found = [], []
    for number, diverged in enumerate(grid.has_diverged()):
      if diverged:
        accuracies.append(None)
        found.append(None)
        continue
      found.append(grid.predict(test.values, test.labels, number))
      accuracies.append(found[-1].accuracy())
      if self.validation_fraction:
        accuracies[-1] = grid.predict(*validation, number).accuracy()
    return Tested(accuracies, found)

  def _outcome(self, sets, labels, trained, skipped, notes) -> protocol.Outcome:
    choice = choose(
      self.learning_rates, trained, on_test=not self.validation_fraction
    )
    own = protocol.Outcome(
      protocol="linear",
      title="Linear probe, MoCo's protocol",
      settings=self._settings()
      | {
        "chosen_learning_rate": self.learning_rates[choice.number],
        "seeds": list(self.seeds),
      },
      data=sets.data(),
      results={},
      details={"learning_rates": choice.details},
      tables=[choice.table],
      skipped=skipped,
      notes=[*choice.notes, *notes],
    )
    return classification.outcome(
      [each.predictions[choice.number] for each in trained],
      labels,
      sets.class_names,
      names=[f"seed {seed}" for seed in self.seeds],
      own=own,
    )

  def _line(self, seed: int, tested: Tested) -> str:
    """Validation accuracies of a seed as one line."""
    found = [
      f"{rate:g}: {'diverged' if accuracy is None else f'{accuracy:.1%}'}"
      for rate, accuracy in zip(
        self.learning_rates, tested.validation, strict=True
      )
    ]
    return f"seed {seed}: {', '.join(found)}"

  def _settings(self) -> dict[str, Any]:
    """Everything that the trained weights depend on, but seeds and data."""
    return {
      "learning_rates": list(self.learning_rates),
      "chosen_by": f"a share of {self.validation_fraction:g} of each training "
      "class, not learned from"
      if self.validation_fraction
      else "the test images",
      "optimizer": "SGD, momentum 0.9, no weight decay",
      "start": "weights N(0, 0.01), biases 0",
      "epochs": self.schedule.epochs,
      "decay": f"times {self.schedule.decay:g} after epochs "
      + ", ".join(f"{epoch:g}" for epoch in self.schedule.decay_epochs),
      "batch_size": self.schedule.batch_size,
      "image_size": self.image_size,
      "training_crop": f"area {self.min_area:g} to 1, mirrored at random",
      "crop": "the middle, of the image resized by 256/224",
    }


def choose(
  rates: Sequence[float], tested: Sequence[Tested], *, on_test: bool
) -> Choice:
  """Chooses the learning rate with the best mean validation accuracy.

  Ties go to the earlier learning rate.

  Args:
    rates: [G] learning rates.
    tested: classifiers of each seed.
    on_test: whether `Tested.validation` was measured on the test images.

  Raises:
    UsageError: every classifier has diverged.
  """
  means = [
    None if None in each else float(np.mean(each))
    for each in zip(*(seed.validation for seed in tested), strict=True)
  ]
  errors.require(
    any(mean is not None for mean in means),
    f"all classifiers have diverged, with the learning rates {list(rates)}; "
    "lower LEARNING_RATES",
  )
  number = int(np.argmax([-1.0 if mean is None else mean for mean in means]))
  columns = ["test"] if on_test else ["validation", "test"]
  details = []
  for i, (rate, mean) in enumerate(zip(rates, means, strict=True)):
    row = {"learning_rate": rate, "has_diverged": mean is None}
    if mean is not None:
      row[f"{columns[0]}_top1_percent"] = 100 * mean
      row["test_top1_percent"] = 100 * float(
        np.mean([seed.predictions[i].accuracy() for seed in tested])
      )
    details.append(row)
  table = protocol.Table(
    "By learning rate, means over seeds",
    ["learning rate", *(f"{name} top-1, %" for name in columns), ""],
    [
      [
        row["learning_rate"],
        *(row.get(f"{name}_top1_percent") for name in columns),
        "chosen" if i == number else "diverged" * row["has_diverged"],
      ]
      for i, row in enumerate(details)
    ],
  )
  notes = []
  if len(rates) > 1 and on_test:
    notes.append(
      "the learning rate was chosen on the test images: the result is "
      "optimistic"
    )
  if len(rates) > 2 and rates[number] in (min(rates), max(rates)):
    end = "smallest" if rates[number] == min(rates) else "largest"
    notes.append(
      f"the chosen learning rate, {rates[number]:g}, is the {end} of the grid: "
      "others may be better; extend LEARNING_RATES"
    )
  return Choice(number, details, table, notes)
