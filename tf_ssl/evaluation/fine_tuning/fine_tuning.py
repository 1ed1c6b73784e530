"""Semi-supervised fine-tuning: an encoder learns from a share of the labels."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tqdm

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import fine_tune_loop, kept_results, protocol
from tf_ssl.evaluation.fine_tuning import (
  classifier,
  label_subsets,
  outcome,
  partly_labeled,
)
from tf_ssl.input_pipeline import labeled_crops, labeled_images
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import trainable
from tf_ssl.reporting import statistics

_FOLDER = "fine_tuning"
_TOP = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning:
  """Trains encoder and classifier on shares of the labels, tests on images.

  Attributes:
    train: labeled images.
    test: labeled images of the same classes.
    sgd: learning rates; that of the encoder 0 leaves it frozen.
    label_shares: of the labeled images that are used, as many of each class.
    seeds: of the choice of images, heads and crops; one run each.
    from_scratch: whether the same network is also trained from random weights.
    image_size: pixels a side.
    min_area: smallest area of a crop, as a share of the image's.
    batch_size: images of a step; fewer where a share has fewer.
    epochs: over the images of a share.
    min_steps: of a run, whatever the epochs, so that few images are not left
      after a handful of steps.
    max_skipped_fraction: the share of images that may be unreadable.
  """

  train: records_lib.ImageRecords
  test: records_lib.ImageRecords
  sgd: fine_tune_loop.Sgd
  label_shares: Sequence[float] = (0.01, 0.1, 1.0)
  seeds: Sequence[int] = (0, 1, 2)
  from_scratch: bool = False
  image_size: int = 224
  min_area: float = 0.08
  batch_size: int = 256
  epochs: float = 30.0
  min_steps: int = 500
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Refuses what would fail only after the first runs."""
    statistics.check_seeds(self.seeds)
    shares = tuple(self.label_shares)
    if not shares or len(set(shares)) != len(shares):
      raise errors.UsageError(
        f"label_shares={shares}: expected different numbers; change "
        "LABEL_SHARES"
      )
    if self.batch_size < 1 or not self.epochs >= 0 or self.min_steps < 1:
      raise errors.UsageError(
        f"batch_size={self.batch_size}, epochs={self.epochs}, "
        f"min_steps={self.min_steps}: expected at least 1, 0 and 1"
      )

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures one model; see `protocol.DownstreamProtocol`."""
    encoder = subject.trainable
    sets = partly_labeled.match(self.train, self.test)
    data, notes = sets.data(), list(sets.notes)
    settings = self._settings()
    kept = kept_results.KeptResults(
      os.path.join(output_dir, _FOLDER),
      {
        **settings,
        "data": data,
        "model": protocol.identity(encoder.description),
      },
      say,
    )
    runs = _Runs(self, encoder, sets)
    found = []
    with kept.locked():
      for share in self.label_shares:
        for start in ("pretrained", "scratch")[: 1 + self.from_scratch]:
          for seed in self.seeds:
            part = f"{share:g}-of-labels-{start}-seed-{seed}"
            result = kept.get(part)
            if result is None:
              result = runs.run(share, start, seed, kept.working(part))
              kept.put(part, result)
            found.append(outcome.Run(share, start, seed, **result))
            say(found[-1].text())
    if encoder.description.note and not self.sgd.is_frozen:
      notes.append(encoder.description.note)
    return outcome.outcome(
      found,
      num_classes=sets.num_classes,
      settings=settings
      | {
        "label_shares": list(self.label_shares),
        "seeds": list(self.seeds),
        "from_scratch": self.from_scratch,
      },
      data=data,
      notes=notes,
    )

  def steps(self, images: int) -> int:
    """Of a run on so many images."""
    batch = min(self.batch_size, images)
    return max(self.min_steps, round(self.epochs * images / batch))

  def _settings(self) -> dict[str, Any]:
    return {
      "subsets": "as many of each class, drawn anew for each seed",
      "image_size": self.image_size,
      "training_crop": f"area {self.min_area:g} to 1, mirrored at random",
      "test_crop": "the middle, of the image resized by 256/224",
      "batch_size": self.batch_size,
      "epochs": self.epochs,
      "min_steps": self.min_steps,
      **self.sgd.report(),
    }


class _Runs:
  """The runs of one protocol on one model; compiled once for all of them."""

  def __init__(self, settings, encoder, sets):
    self._settings: FineTuning = settings
    self._encoder: trainable.TrainableEncoder = encoder
    self._sets: partly_labeled.PartlyLabeled = sets
    self._model = classifier.Classifier(
      encoder, num_classes=sets.num_classes, frozen=settings.sgd.is_frozen
    )
    frozen = settings.sgd.is_frozen
    self._fitter = fine_tune_loop.Fitter(
      self._model.loss,
      head=self._model.head_variables,
      encoder=encoder.trainable_variables,
      state=[
        *self._model.head_variables,
        *(() if frozen else encoder.variables),
      ],
      sgd=settings.sgd,
    )

  def run(self, share, start, seed, folder) -> dict[str, Any]:
    """Trains and tests once; JSON values, the fields of `Run`."""
    settings, train = self._settings, self._sets.train
    chosen = label_subsets.balanced(
      train.labels, share, num_classes=self._sets.num_classes, seed=seed
    )
    boxes = None if train.boxes is None else train.boxes[chosen, None]
    subset = train._replace(
      examples=records_lib.Examples(chosen[:, None].astype(np.int64), boxes)
    )
    steps = settings.steps(len(chosen))
    batch_size = min(settings.batch_size, len(chosen))
    skipped = skipped_lib.SkippedFiles(
      None, len(chosen), settings.max_skipped_fraction
    )
    title = f"{100 * share:g} % of labels, {start}, seed {seed}"

    def batches(first: int):
      return labeled_crops.labeled_crops(
        subset,
        image_size=settings.image_size,
        batch_size=batch_size,
        seed=seed,
        num_steps=steps,
        start_step=first,
        min_area=settings.min_area,
        skipped=skipped,
      )

    with self._encoder.restored():
      if start == "scratch":
        self._encoder.draw_weights(seed)
      self._model.draw_head(seed)
      with skipped.explained():
        loss = self._fitter.fit(
          batches, steps=steps, folder=folder, title=title
        )
      tested = self._tested(f"{title}, testing")
    return {
      "images": len(chosen),
      "steps": steps,
      "loss": None if np.isnan(loss) else loss,
      **tested,
      "skipped": _by_role("train", skipped) | tested["skipped"],
    }

  def _tested(self, title: str) -> dict[str, Any]:
    settings, test = self._settings, self._sets.test
    skipped = skipped_lib.SkippedFiles(
      None, test.num_images, settings.max_skipped_fraction
    )
    dataset = labeled_images.labeled_images(
      test,
      image_size=settings.image_size,
      batch_size=min(64, settings.batch_size),
      skipped=skipped,
    )
    count, top1, top5 = 0, 0, 0
    bar = tqdm.tqdm(
      total=test.num_images, desc=title, unit="image", mininterval=0.5
    )
    with bar, skipped.explained():
      for images, labels in dataset:
        scores, labels = self._model.scores(images), labels.numpy()
        bar.update(len(labels))
        scores, labels = scores[labels >= 0], labels[labels >= 0]
        count += len(labels)
        top1 += classifier.hits(scores, labels, 1)
        top5 += classifier.hits(scores, labels, _TOP)
    if not count:
      raise errors.UsageError(
        f"none of {test.num_images} test images can be used, the first "
        f"{skipped.first}; expected labeled images in TEST_IMAGES"
      )
    return {
      "tested": count,
      "top1": 100 * top1 / count,
      "top5": 100 * top5 / count,
      "skipped": _by_role("test", skipped),
    }


def _by_role(role: str, skipped: skipped_lib.SkippedFiles) -> dict[str, str]:
  return {f"{role}/{name}": why for name, why in skipped.reasons.items()}
