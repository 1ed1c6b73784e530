"""Semantic segmentation on an encoder, frozen or fine-tuned."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets.masks import masked_images
from tf_ssl.evaluation import fine_tune_loop, kept_results, protocol
from tf_ssl.evaluation.segmentation import mask_check, metrics, outcome
from tf_ssl.evaluation.segmentation import network as segmentation_network
from tf_ssl.evaluation.segmentation import runs as segmentation_run
from tf_ssl.reporting import statistics

_FOLDER = "segmentation"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segmentation:
  """Trains decoder and head on masks, tests at the masks' own size.

  Attributes:
    train: the images to train on.
    test: the images to test with, of the same classes; None to hold out a part
      of `train`.
    held_out: the share of `train`, in that case.
    sgd: learning rates; that of the encoder 0 leaves it frozen.
    decoder: "fcn" or "deeplabv3plus".
    num_filters: channels of decoder and head.
    image_size: height and width, pixels, of what the network is shown: a random
      part in training, the whole image at most so large in testing.
    scales: the smallest and the largest by which training images are scaled
      after they have been fitted into `image_size`.
    batch_size: images of a step.
    steps: of training.
    seeds: of heads and augmentation; one run each.
    max_skipped_fraction: the share of the pairs that may be unusable.
  """

  train: masked_images.MaskedImages
  test: masked_images.MaskedImages | None = None
  held_out: float = 0.2
  sgd: fine_tune_loop.Sgd
  decoder: str = "deeplabv3plus"
  num_filters: int = 256
  image_size: Sequence[int] = (512, 512)
  scales: Sequence[float] = (0.5, 2.0)
  batch_size: int = 16
  steps: int = 10000
  seeds: Sequence[int] = (0, 1, 2)
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Refuses what would fail only after all masks have been read."""
    if self.train is None:
      raise errors.UsageError(
        "there are no images with masks to train on; set IMAGES and MASKS"
      )
    if self.steps < 1 or self.num_filters < 1 or len(self.image_size) != 2:
      raise errors.UsageError(
        f"steps={self.steps}, num_filters={self.num_filters}, "
        f"image_size={self.image_size}: expected at least 1, at least 1, and "
        "(height, width)"
      )
    statistics.check_seeds(self.seeds)

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures one model; see `protocol.DownstreamProtocol`."""
    encoder = subject.trainable
    train, test = self.train, self.test
    if test is None:
      train, test = masked_images.hold_out(train, self.held_out)
    data = {
      "train": masked_images.digest(train),
      "test": masked_images.digest(test),
    }
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
    with kept.locked():
      checked = self._checked(train, test, kept)
      names = outcome.class_names(checked["train"])
      runs = self._runs(encoder, checked, names, kept, say)
    for role, found in checked.items():
      data[role] |= {"used": found.data.num_images, "classes": len(names)}
    notes = []
    if self.test is None:
      notes.append(
        f"the test images are {self.held_out:g} of one set, held out at equal "
        "distances: not a test set that others use"
      )
    if encoder.description.note and not self.sgd.is_frozen:
      notes.append(encoder.description.note)
    return outcome.outcome(
      runs,
      names,
      checked,
      title=f"Segmentation, {settings['encoder']} encoder, {self.decoder}",
      settings=settings | {"seeds": list(self.seeds)},
      data=data,
      notes=notes,
    )

  def _settings(self) -> dict[str, Any]:
    return {
      "decoder": self.decoder,
      "encoder": "frozen" if self.sgd.is_frozen else "fine-tuned",
      "num_filters": self.num_filters,
      "image_size": list(self.image_size),
      "scales": list(self.scales),
      "flip_probability": 0.5,
      "batch_size": self.batch_size,
      "steps": self.steps,
      **self.sgd.report(),
      "tested_at": "the masks' own size",
      "test_images": "as given"
      if self.test is not None
      else f"{self.held_out:g} of the images, at equal distances",
    }

  def _checked(self, train, test, kept) -> dict[str, mask_check.Checked]:
    """Both sides, of the same classes."""
    first = mask_check.check(
      train,
      kept,
      role="train",
      max_skipped_fraction=self.max_skipped_fraction,
    )
    if (train.class_ids, train.class_names) != (
      test.class_ids,
      test.class_names,
    ):
      raise errors.UsageError(
        f"{train.source} and {test.source} have other classes "
        f"({len(train.class_ids)} and {len(test.class_ids)} of them); expected "
        "the same ids and names in both"
      )
    second = mask_check.check(
      test,
      kept,
      role="test",
      num_classes=first.num_classes,
      max_skipped_fraction=self.max_skipped_fraction,
    )
    return {"train": first, "test": second}

  def _runs(self, encoder, checked, names, kept, say) -> list[outcome.Run]:
    """The result of each seed."""
    found = []
    for seed, result, picture in kept.each_seed(
      self.seeds,
      lambda: self._prepared(encoder, checked, names),
      title=encoder.name,
    ):
      scores = metrics.scores(np.array(result["confusion"]))
      say(
        f"seed {seed}: mean IoU {100 * scores.mean_iou:.2f} %, pixel accuracy "
        f"{100 * scores.pixel_accuracy:.2f} %"
      )
      found.append(outcome.Run(seed, result["loss"], scores, picture))
    return found

  def _prepared(self, encoder, checked, names) -> segmentation_run.Runs:
    network = segmentation_network.SegmentationNetwork(
      encoder,
      decoder=self.decoder,
      num_classes=checked["train"].num_classes,
      num_filters=self.num_filters,
      frozen=self.sgd.is_frozen,
    )
    return segmentation_run.Runs(
      encoder,
      network,
      sgd=self.sgd,
      training=segmentation_run.Training(
        tuple(self.image_size),
        tuple(self.scales),
        self.batch_size,
        self.steps,
      ),
      class_names=names,
      **checked,
    )
