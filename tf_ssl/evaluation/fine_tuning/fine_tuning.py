"""Semi-supervised fine-tuning: an encoder learns from a share of the labels."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import fine_tune_loop, protocol, seeds
from tf_ssl.evaluation.fine_tuning import classifier, label_subsets, outcome
from tf_ssl.input_pipeline import labeled_images
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import trainable
from tf_ssl.ops import progress

_FOLDER = "fine_tuning"
_TEST_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning:
  """Trains encoder and classifier on shares of the labels, then tests both.

  Attributes:
    train: labeled training images.
    test: labeled test images of the same classes.
    sgd: learning rates; 0 for the encoder freezes it.
    label_shares: shares of the labeled images to train on, balanced over the
      classes.
    seeds: seeds of the image subsets, heads and crops; one run each.
    from_scratch: whether to train the same network from random weights, too.
    image_size: side of the images in pixels.
    min_area: smallest area of a training crop, as a share of the image's.
    batch_size: images per step; fewer if a share has fewer.
    epochs: passes over the images of a share.
    min_steps: smallest number of steps of a run, so that a few images are not
      trained for a handful of steps.
    max_skipped_fraction: largest share of unreadable images, 0..1.
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
    """Checks the settings that would fail only after the first runs."""
    seeds.check(self.seeds)
    shares = tuple(self.label_shares)
    errors.require(
      shares and len(set(shares)) == len(shares),
      f"label_shares={shares}: expected different numbers; change LABEL_SHARES",
    )
    errors.require(
      self.batch_size >= 1 and self.epochs >= 0 and self.min_steps >= 1,
      f"batch_size={self.batch_size}, epochs={self.epochs}, "
      f"min_steps={self.min_steps}: expected at least 1, 0 and 1",
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
    sets = label_subsets.match(self.train, self.test)
    data, notes = sets.data(), list(sets.notes)
    settings = self._settings()
    key = {
      **settings,
      "data": data,
      "model": protocol.model_key(encoder.description),
    }
    runs = _Runs(self, encoder, sets)
    found = []
    with seeds.open_results(
      os.path.join(output_dir, _FOLDER), key, say
    ) as kept:
      for share in self.label_shares:
        for start in ("pretrained", "scratch")[: 1 + self.from_scratch]:
          for seed in self.seeds:
            cell = (share, start, seed)
            result = kept.result(
              f"{share:g}-of-labels-{start}-seed-{seed}",
              lambda folder, cell=cell: runs.run(*cell, folder),
            )
            found.append(outcome.Run(*cell, **result))
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
    """Number of steps of a run on this many images."""
    batch = min(self.batch_size, images)
    return max(self.min_steps, round(self.epochs * images / batch))

  def _settings(self) -> dict[str, Any]:
    return {
      "subsets": "the same number from each class, drawn for each seed",
      "image_size": self.image_size,
      "training_crop": f"area {self.min_area:g} to 1, mirrored at random",
      "test_crop": "center of the image resized by 256/224",
      "batch_size": self.batch_size,
      "epochs": self.epochs,
      "min_steps": self.min_steps,
      **self.sgd.settings(),
    }


class _Runs:
  """The runs of one protocol on one model, with one compiled step."""

  def __init__(
    self,
    settings: FineTuning,
    encoder: trainable.TrainableEncoder,
    sets: label_subsets.PartlyLabeled,
  ):
    self._settings, self._sets = settings, sets
    self._model = classifier.Classifier(
      encoder, num_classes=sets.num_classes, frozen=settings.sgd.is_frozen
    )
    self._loop = fine_tune_loop.FineTuneLoop(self._model, encoder, settings.sgd)

  def run(self, share, start, seed, folder) -> dict[str, Any]:
    """Trains and tests once; JSON values, the fields of `outcome.Run`."""
    settings, train = self._settings, self._sets.train
    began = time.monotonic()
    chosen = label_subsets.balanced(
      train.labels, share, num_classes=self._sets.num_classes, seed=seed
    )
    boxes = None if train.boxes is None else train.boxes[chosen, None]
    subset = train._replace(
      examples=records_lib.Examples(chosen[:, None].astype("int64"), boxes)
    )
    steps = settings.steps(len(chosen))
    batch_size = min(settings.batch_size, len(chosen))
    skipped = skipped_lib.SkippedFiles(
      None, len(chosen), settings.max_skipped_fraction
    )
    title = f"{100 * share:g} % of labels, {start}, seed {seed}"

    def batches(first: int):
      return labeled_images.labeled_crops(
        subset,
        image_size=settings.image_size,
        batch_size=batch_size,
        seed=seed,
        num_steps=steps,
        start_step=first,
        min_area=settings.min_area,
        skipped=skipped,
      )

    with skipped.explained():
      loss, tested = self._loop.run(
        batches,
        lambda: self._test(f"{title}, testing"),
        seed=seed,
        steps=steps,
        folder=folder,
        title=title,
        from_scratch=start == "scratch",
      )
    return {
      "images": len(chosen),
      "steps": steps,
      "loss": loss,
      **tested,
      "skipped": _by_role("train", skipped) | tested["skipped"],
      "seconds": round(time.monotonic() - began, 3),
    }

  def _test(self, title: str) -> dict[str, Any]:
    settings, test = self._settings, self._sets.test
    skipped = skipped_lib.SkippedFiles(
      None, test.num_images, settings.max_skipped_fraction
    )
    dataset = labeled_images.labeled_images(
      test,
      image_size=settings.image_size,
      batch_size=min(_TEST_BATCH, settings.batch_size),
      skipped=skipped,
    )
    count, top1, top5, predicted = 0, 0, 0, set()
    bar = progress.bar(title, total=test.num_images, unit="image")
    with bar, skipped.explained():
      for images, labels in dataset:
        scores, labels = self._model.scores(images), labels.numpy()
        bar.update(len(labels))
        scores, labels = scores[labels >= 0], labels[labels >= 0]
        count += len(labels)
        predicted.update(scores.argmax(axis=1).tolist())
        top1 += classifier.hits(scores, labels, 1)
        top5 += classifier.hits(scores, labels, outcome.TOP)
    errors.require(
      count,
      f"none of {test.num_images} test images can be used, the first "
      f"{skipped.first}; expected labeled images in TEST_IMAGES",
    )
    return {
      "tested": count,
      "top1": 100 * top1 / count,
      "top5": 100 * top5 / count,
      "predicted_classes": len(predicted),
      "skipped": _by_role("test", skipped),
    }


def _by_role(role: str, skipped: skipped_lib.SkippedFiles) -> dict[str, str]:
  return {f"{role}/{name}": why for name, why in skipped.reasons.items()}
