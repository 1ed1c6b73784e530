"""The linear probe of MoCo's code: SGD on features of random crops."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import (
  classification,
  kept_results,
  labeled_sets,
  protocol,
)
from tf_ssl.evaluation.linear import choice as linear_choice
from tf_ssl.evaluation.linear import grid as linear_grid
from tf_ssl.evaluation.linear import linear_training
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.reporting import statistics

_FOLDER = "linear"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearProbe:
  """A linear classifier on the frozen model (He et al. 2020, section 4.1).

  All learning rates are trained side by side, on the same crops. One of them is
  chosen by images of the training set that are held out; with a
  `validation_fraction` of 0 all are learned from, as in MoCo's own numbers, and
  the choice among several is made on the test images, which the report says.

  Attributes:
    train: labeled images.
    test: labeled images of the same classes.
    learning_rates: for batches of `schedule.batch_size`; 30 is MoCo's.
    schedule: MoCo's by default (METHODS 2).
    validation_fraction: of each class of `train`, 0 to below 1.
    seeds: of weights, order, crops and of what is held out; one run each.
    image_size: pixels a side.
    min_area: smallest area of a crop, as a share of the image's.
    encoder_batch_size: images that the model sees at once.
    max_skipped_fraction: of the images that may be unreadable.
  """

  train: records_lib.ImageRecords
  test: records_lib.ImageRecords
  learning_rates: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
  schedule: linear_training.Schedule = linear_training.Schedule()
  validation_fraction: float = 0.1
  seeds: Sequence[int] = (0,)
  image_size: int = 224
  min_area: float = 0.08
  encoder_batch_size: int = 64
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Refuses what would fail only after the first epochs."""
    protocol.check_numbers(
      "learning_rates", "LEARNING_RATES", self.learning_rates
    )
    statistics.check_seeds(self.seeds)
    if not self.schedule.epochs > 0 or self.schedule.batch_size < 1:
      raise errors.UsageError(
        f"{self.schedule.epochs} epochs of batches of "
        f"{self.schedule.batch_size}; expected more than 0 epochs and at least "
        "1 image; change EPOCHS or BATCH_SIZE"
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
    data = sets.data()
    kept = kept_results.KeptResults(
      os.path.join(output_dir, _FOLDER),
      {
        **self._settings(),
        "data": {k: v["labels_sha256"] for k, v in data.items()},
        "images": {k: v["sha256"] for k, v in data.items()},
        "model": protocol.identity(subject.frozen.description),
      },
      say,
    )
    with kept.locked():
      roles = {"test": sets.test}
      if self.validation_fraction:
        roles["train"] = sets.train
      features = {
        role: labeled_sets.features(
          subject,
          images,
          output_dir,
          role,
          image_size=self.image_size,
          batch_size=self.encoder_batch_size,
          max_skipped_fraction=self.max_skipped_fraction,
        )
        for role, images in roles.items()
      }
      skipped = {}
      for one in features.values():
        skipped |= one.skipped
      trained = []
      for seed, out in zip(self.seeds, held_out, strict=True):
        file = os.path.join(kept.folder, f"seed-{seed}.npz")
        grid, lost = self._trained(subject, sets, seed, out, file)
        skipped |= lost
        trained.append(self._tested(grid, features, out))
        say(linear_choice.line(seed, self.learning_rates, trained[-1]))
    return self._outcome(sets, data, features["test"].labels, trained, skipped)

  def _held_out(self, train, seed) -> np.ndarray:
    if not self.validation_fraction:
      return np.zeros(train.num_images, bool)
    return labeled_sets.hold_out(train, self.validation_fraction, seed=seed)

  def _check_batch(self, held_out: Sequence[np.ndarray]) -> None:
    fewest = min(int(np.count_nonzero(~out)) for out in held_out)
    if self.schedule.batch_size > fewest:
      raise errors.UsageError(
        f"batches of {self.schedule.batch_size} images were asked for, and "
        f"there are {fewest} images to learn from; lower BATCH_SIZE"
      )

  def _trained(self, subject, sets, seed, held_out, file):
    """The classifiers of a seed, and what could not be read."""
    grid = linear_grid.LinearGrid(
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
      encoder_batch_size=self.encoder_batch_size,
      skipped=skipped,
      title=f"Linear probe, seed {seed}",
    )
    return grid, skipped.reasons

  def _tested(self, grid, features, held_out) -> linear_choice.Tested:
    """What each classifier of a seed says about both sets."""
    test = features["test"]
    if self.validation_fraction:
      train = features["train"]
      _, rows = labeled_sets.held_out_rows(train, held_out)
      validation = train.values[rows], train.labels[rows]
    scores, found = [], []
    for number, diverged in enumerate(grid.has_diverged()):
      if diverged:
        scores.append(None)
        found.append(None)
        continue
      found.append(grid.guesses(test.values, test.labels, number))
      scores.append(found[-1].accuracy())
      if self.validation_fraction:
        scores[-1] = grid.guesses(*validation, number).accuracy()
    return linear_choice.Tested(scores, found)

  def _outcome(self, sets, data, labels, trained, skipped) -> protocol.Outcome:
    choice = linear_choice.choose(
      self.learning_rates,
      trained,
      name="learning rate",
      macro="LEARNING_RATES",
      on_test=not self.validation_fraction,
    )
    found = classification.findings(
      [each.guesses[choice.number] for each in trained],
      labels,
      sets.class_names,
      names=[f"seed {seed}" for seed in self.seeds],
    )
    return protocol.Outcome(
      protocol="linear",
      title="Linear probe, MoCo's protocol",
      settings=self._settings()
      | {"chosen_learning_rate": choice.value, "seeds": list(self.seeds)},
      data=data,
      results=found.results,
      details=found.details | {"learning_rates": choice.details},
      tables=[choice.table, *found.tables],
      pictures=found.pictures,
      skipped=skipped,
      notes=[*found.notes, *choice.notes],
    )

  def _settings(self) -> dict[str, Any]:
    """All that the trained weights depend on, but seeds and data."""
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
