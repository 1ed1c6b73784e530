"""Semantic segmentation on a frozen or fine-tuned encoder."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets.masks import masked_images
from tf_ssl.evaluation import fine_tune_loop, protocol, sanity, seeds
from tf_ssl.evaluation.segmentation import (
  mask_check,
  metrics,
  network,
  outcome,
  pictures,
)
from tf_ssl.input_pipeline import masked_batches
from tf_ssl.models import trainable
from tf_ssl.ops import progress, workdir

_FOLDER = "segmentation"
_DRAWN = 4  # Test images in the picture.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segmentation:
  """Trains decoder and head on masks, then tests at the size of the masks.

  Attributes:
    train: training images with masks.
    test: test images with masks of the same classes; None to hold out a part of
      `train`.
    held_out: share of `train` that is held out if `test` is None.
    sgd: learning rates; 0 for the encoder freezes it.
    decoder: "fcn" or "deeplabv3plus".
    num_filters: channels of decoder and head.
    image_size: height and width in pixels of the network's input: a random crop
      in training, a limit for the resized image in testing.
    scales: smallest and largest random scale of training images, after they
      have been fitted into `image_size`.
    batch_size: images per step.
    steps: number of training steps.
    seeds: seeds of heads and augmentation; one run each.
    max_skipped_fraction: largest share of unusable images or masks, 0..1.
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
    """Checks the settings that would fail only after all masks are read."""
    errors.require(
      self.train is not None,
      "there are no images with masks to train on; set IMAGES and MASKS",
    )
    errors.require(
      self.steps >= 1 and self.num_filters >= 1 and len(self.image_size) == 2,
      f"steps={self.steps}, num_filters={self.num_filters}, "
      f"image_size={self.image_size}: expected at least 1, at least 1, and "
      "(height, width)",
    )
    seeds.check(self.seeds)

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
    key = {
      **settings,
      "data": data,
      "model": protocol.model_key(encoder.description),
    }
    found, doubts = [], []
    with seeds.open_results(
      os.path.join(output_dir, _FOLDER), key, say
    ) as kept:
      checked = self._checked(train, test, kept)
      names = outcome.class_names(checked["train"])
      doubts += mask_check.check_classes(checked, names)
      runs = functools.cache(lambda: _Runs(self, encoder, checked, names))
      for seed in self.seeds:
        picture = os.path.join(kept.folder, f"seed-{seed}.png")
        result = kept.result(
          f"seed-{seed}",
          lambda folder, s=seed, p=picture: runs().run(s, p, folder),
        )
        counts = np.array(result["confusion"])
        scores = metrics.scores(counts)
        doubts += [
          f"seed {seed}: {sentence}"
          for sentence in sanity.of_predictions(counts, names, "pixels")
        ]
        say(
          f"seed {seed}: mean IoU {100 * scores.mean_iou:.2f} %, "
          f"pixel accuracy {100 * scores.pixel_accuracy:.2f} %"
        )
        found.append(outcome.Run(seed, result["loss"], scores, picture))
    for role, usable in checked.items():
      data[role] |= {"used": usable.data.num_images, "classes": len(names)}
    notes = []
    if self.test is None:
      notes.append(
        f"the test images are {self.held_out:g} of one set, held out at equal "
        "distances, and not a standard test set"
      )
    if encoder.description.note and not self.sgd.is_frozen:
      notes.append(encoder.description.note)
    notes += sanity.warned("segmentation", doubts)
    return outcome.outcome(
      found,
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
      **self.sgd.settings(),
      "tested_at": "the size of the masks",
      "test_images": "as given"
      if self.test is not None
      else f"{self.held_out:g} of the images, at equal distances",
    }

  def _checked(self, train, test, kept) -> dict[str, mask_check.Checked]:
    """Checked training and test images of the same classes."""
    if (train.class_ids, train.class_names) != (
      test.class_ids,
      test.class_names,
    ):
      raise errors.UsageError(
        f"{train.source} and {test.source} have different classes "
        f"({len(train.class_ids)} and {len(test.class_ids)}); expected the "
        "same ids and names in both"
      )
    checked, num_classes = {}, None
    for role, data in (("train", train), ("test", test)):
      checked[role] = mask_check.check(
        data,
        kept,
        role=role,
        num_classes=num_classes,
        max_skipped_fraction=self.max_skipped_fraction,
      )
      num_classes = checked[role].num_classes
    return checked


class _Runs:
  """The runs of one protocol on one model, with one compiled step."""

  def __init__(
    self,
    settings: Segmentation,
    encoder: trainable.TrainableEncoder,
    checked: Mapping[str, mask_check.Checked],
    class_names: Sequence[str],
  ):
    self._settings, self._encoder = settings, encoder
    self._train, self._test = checked["train"], checked["test"]
    self._class_names = class_names
    self._network = network.SegmentationNetwork(
      encoder,
      decoder=settings.decoder,
      num_classes=self._train.num_classes,
      num_filters=settings.num_filters,
      frozen=settings.sgd.is_frozen,
    )
    self._loop = fine_tune_loop.FineTuneLoop(
      self._network, encoder, settings.sgd
    )

  def run(self, seed: int, picture: str, folder: str) -> dict[str, Any]:
    """Trains from a seed and tests.

    Args:
      seed: seed of the head's weights, the order of the images and their crops.
      picture: path of the PNG file to draw a few predictions into.
      folder: folder of checkpoints.

    Returns:
      JSON values: "confusion" [C, C] and "loss", the last training loss.
    """
    settings = self._settings
    title = f"{self._encoder.name}, seed {seed}"

    def batches(start: int):
      return masked_batches.training_batches(
        self._train.data,
        num_classes=self._train.num_classes,
        sides=tuple(settings.image_size),
        scales=tuple(settings.scales),
        batch_size=settings.batch_size,
        seed=seed,
        num_steps=settings.steps,
        start_step=start,
      )

    loss, (counts, examples) = self._loop.run(
      batches,
      lambda: self._tested(f"{title}, testing"),
      seed=seed,
      steps=settings.steps,
      folder=folder,
      title=title,
    )
    with workdir.replacing_file(picture) as path:
      path.write_bytes(
        pictures.draw(examples, self._class_names, title=self._encoder.name)
      )
    return {"confusion": counts.tolist(), "loss": loss}

  def _tested(self, title: str) -> tuple[np.ndarray, list[pictures.Example]]:
    """The confusion matrix [C, C] int64, and a few images with predictions."""
    data, classes = self._test.data, self._train.num_classes
    counts, examples = np.zeros((classes, classes), np.int64), []
    drawn = np.linspace(0, data.num_images - 1, min(_DRAWN, data.num_images))
    drawn = set(drawn.round().astype(int).tolist())
    dataset = masked_batches.whole_images(
      data, num_classes=classes, sides=tuple(self._settings.image_size)
    )
    for shown in progress.bar(
      title, dataset, total=data.num_images, unit="image"
    ):
      truth, index = shown.mask.numpy(), int(shown.index)
      predicted = self._network.predict(shown.image, truth.shape)
      counts += metrics.confusion(truth, predicted, classes)
      if index in drawn:
        image = shown.image[0].numpy().round().astype(np.uint8)
        examples.append(pictures.Example(image, truth, predicted))
    return counts, examples
