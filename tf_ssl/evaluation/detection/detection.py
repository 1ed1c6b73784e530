"""Object detection on a frozen or fine-tuned encoder, with COCO's metrics."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.evaluation import fine_tune_loop, protocol, sanity, seeds
from tf_ssl.evaluation.detection import (
  coco_metrics,
  outcome,
  pictures,
  retinanet,
)
from tf_ssl.input_pipeline import boxed_images, numbered_images
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import trainable
from tf_ssl.ops import progress, workdir

_FOLDER = "detection"
_DRAWN = 5  # Test images in the picture.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection:
  """Trains Model Garden's RetinaNet on boxes, then tests by COCO's metrics.

  Attributes:
    train: training images with boxes.
    test: test images with boxes of the same classes; None to hold out a part of
      `train`.
    held_out: share of `train` that is held out if `test` is None.
    split_seed: seed of the choice of held-out images.
    class_agnostic: whether all objects have one class; for few images.
    sgd: learning rates; 0 for the encoder freezes it.
    architecture: decoder and heads on the encoder.
    image_size: side in pixels of the square that images are fitted into.
    batch_size: images per step.
    steps: number of training steps.
    seeds: seeds of the heads and of the order of images; one run each.
    max_skipped_fraction: largest share of unusable images, 0..1.
  """

  train: annotations_lib.Annotations
  test: annotations_lib.Annotations | None = None
  held_out: float = 0.25
  split_seed: int = 0
  class_agnostic: bool = False
  sgd: fine_tune_loop.Sgd
  architecture: retinanet.Architecture = retinanet.Architecture()
  image_size: int = 512
  batch_size: int = 16
  steps: int = 10000
  seeds: Sequence[int] = (0,)
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Checks the settings that would fail only after loading the model."""
    errors.require(
      self.train is not None,
      "there are no images with boxes to train on; set IMAGES and ANNOTATIONS",
    )
    errors.require(
      self.steps >= 1 and self.batch_size >= 1,
      f"steps={self.steps}, batch_size={self.batch_size}: expected at least "
      "1 each; change STEPS or BATCH_SIZE",
    )
    seeds.check(self.seeds)
    if self.test is not None:
      train, test = (
        (tuple(each.category_ids.tolist()), each.class_names)
        for each in (self.train, self.test)
      )
      errors.require(
        train == test,
        f"{self.train.source} and {self.test.source} have different classes "
        f"({len(train[0])} and {len(test[0])}); expected the same ids and "
        "names in ANNOTATIONS and TEST_ANNOTATIONS",
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
    sets = self._sets()
    data = {role: annotations_lib.digest(each) for role, each in sets.items()}
    settings = self._settings()
    key = {
      **settings,
      "data": data,
      "model": protocol.model_key(encoder.description),
    }
    found, skipped = [], {}
    with seeds.open_results(
      os.path.join(output_dir, _FOLDER), key, say
    ) as kept:
      for role, each in sets.items():
        sets[role], reasons = self._usable(each, role)
        skipped |= reasons
      doubts = sanity.one_sided(*map(_objects, sets.values()), unit="objects")
      runs = functools.cache(lambda: _Runs(self, encoder, **sets))
      for seed in self.seeds:
        stem = os.path.join(kept.folder, f"seed-{seed}")
        result = kept.result(
          f"seed-{seed}",
          lambda folder, s=seed, path=stem: runs().run(s, path, folder),
        )
        say(f"seed {seed}: {outcome.headline(result['overall'])}")
        if result["overall"]["AR100"] == 0:
          doubts.append(f"seed {seed}: no detection is at an object")
        found.append(outcome.Run(seed, result, f"{stem}.png"))
    for role, each in sets.items():
      data[role] |= {"used": each.num_images, "classes": len(each.class_names)}
    return outcome.outcome(
      found,
      **sets,
      title=f"Detection, {settings['encoder']} encoder, RetinaNet",
      settings=settings | {"seeds": list(self.seeds)},
      data=data,
      skipped=skipped,
      notes=[*self._notes(encoder), *sanity.warned("detection", doubts)],
    )

  def _sets(self) -> dict[str, annotations_lib.Annotations]:
    """Training and test images with the classes to detect, by role."""
    train, test = self.train, self.test
    if self.class_agnostic:
      train = coco_metrics.without_classes(train)
      test = None if test is None else coco_metrics.without_classes(test)
    if test is None:
      first, second = annotations_lib.split_images(
        train.num_images, test_fraction=self.held_out, seed=self.split_seed
      )
      train, test = (
        annotations_lib.take(train, part) for part in (first, second)
      )
      test = test._replace(skipped={})  # `train` names them.
    return {"train": train, "test": test}

  def _settings(self) -> dict[str, Any]:
    return {
      "detector": "RetinaNet of tf-models-official",
      "encoder": "frozen" if self.sgd.is_frozen else "fine-tuned",
      **dataclasses.asdict(self.architecture),
      "classes": "all as one" if self.class_agnostic else "as given",
      "image_size": self.image_size,
      "framing": "fitted into a square",
      "flip_probability": 0.5,
      "batch_size": self.batch_size,
      "steps": self.steps,
      **self.sgd.settings(),
      "metrics": "COCOeval of pycocotools, boxes, 100 detections per image",
      "test_images": "as given"
      if self.test is not None
      else f"{self.held_out:g} of the images, split seed {self.split_seed}",
    }

  def _usable(self, data, role: str):
    """The usable images of a role, and {name: reason} of the others."""
    skipped = {
      name: reason for reason, names in data.skipped.items() for name in names
    }
    usable, of_other_shape = boxed_images.of_annotated_shape(
      data, max_skipped_fraction=self.max_skipped_fraction
    )
    prefix = "" if role == "train" or self.test is None else "TEST_"
    errors.require(
      not usable.crowd.all(),  # Also false if there is no box at all.
      f"{data.source}: there is no box of a single object in the "
      f"{usable.num_images} {role} images; expected some; change "
      f"{prefix}ANNOTATIONS",
    )
    skipped |= of_other_shape
    return usable, {f"{role}/{name}": why for name, why in skipped.items()}

  def _notes(self, encoder) -> list[str]:
    notes = []
    if self.test is None:
      notes.append(
        f"the test images are {self.held_out:g} of one set, held out at "
        "random, and not a standard test set"
      )
    if self.class_agnostic:
      notes.append(
        "all objects have one class: these numbers measure where objects are "
        "found, not what they are, and are not COCO's usual AP"
      )
    clipped = self.train.clipped
    if self.test is not None:
      clipped += self.test.clipped
    if clipped:
      notes.append(f"{clipped} boxes reached beyond their images and were cut")
    if encoder.description.note and not self.sgd.is_frozen:
      notes.append(encoder.description.note)
    return notes


class _Runs:
  """The runs of one protocol on one model, with one compiled step."""

  def __init__(
    self,
    settings: Detection,
    encoder: trainable.TrainableEncoder,
    train: annotations_lib.Annotations,
    test: annotations_lib.Annotations,
  ):
    self._settings, self._encoder = settings, encoder
    self._train, self._test = train, test
    self._detector = retinanet.RetinaNet(
      encoder,
      settings.architecture,
      num_classes=len(train.class_names),
      image_size=settings.image_size,
      frozen=settings.sgd.is_frozen,
    )
    self._loop = fine_tune_loop.FineTuneLoop(
      self._detector, encoder, settings.sgd
    )

  def run(self, seed: int, stem: str, folder: str) -> dict[str, Any]:
    """Trains from a seed and tests.

    Args:
      seed: seed of the heads' weights, the order of the images and their flips.
      stem: start of the paths of two files: `stem`.png shows some detections,
        `stem`-coco-results.json has all of them in COCO's results format.
      folder: folder of checkpoints.

    Returns:
      JSON values: "overall" and "by_class" of `coco_metrics.Metrics`, "loss",
      the last training loss, "skipped", {name: reason}, and "tested", the
      number of test images.

    Raises:
      UsageError: too many images, or all test images, cannot be read.
    """
    settings, skipped = self._settings, self._skipped(self._train)
    title = f"{self._encoder.name}, seed {seed}"
    with skipped.explained():
      loss, (data, detections, images, missing) = self._loop.run(
        lambda start: self._batches(seed, start, skipped),
        lambda: self._tested(f"{title}, testing"),
        seed=seed,
        steps=settings.steps,
        folder=folder,
        title=title,
      )
    metrics = coco_metrics.measure(data, detections)
    workdir.write_json(
      f"{stem}-coco-results.json",
      coco_metrics.coco_results(data, detections),
      indent=None,
    )
    with workdir.replacing_file(f"{stem}.png") as path:
      path.write_bytes(
        pictures.draw(
          [
            _example(data, detections, index, image, settings.image_size)
            for index, image in images.items()
          ],
          data.class_names,
          title=self._encoder.name,
        )
      )
    return {
      "overall": metrics.overall,
      "by_class": metrics.by_class,
      "loss": loss,
      "skipped": {
        f"{role}/{name}": reason
        for role, reasons in (("train", skipped.reasons), ("test", missing))
        for name, reason in reasons.items()
      },
      "tested": data.num_images,
    }

  def _skipped(self, data) -> skipped_lib.SkippedFiles:
    return skipped_lib.SkippedFiles(
      None, data.num_images, self._settings.max_skipped_fraction
    )

  def _batches(self, seed: int, start: int, skipped) -> tf.data.Dataset:
    size = self._settings.batch_size
    examples = boxed_images.training_examples(
      self._train,
      image_size=self._settings.image_size,
      seed=seed,
      start=start * size,
      stop=self._settings.steps * size,
      skipped=skipped,
    )
    batches = examples.map(
      self._detector.targets,
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
    ).batch(size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)

  def _tested(
    self, title: str
  ) -> tuple[
    annotations_lib.Annotations,
    coco_metrics.Detections,
    dict[int, np.ndarray],
    Mapping[str, str],
  ]:
    """Detects objects in all readable test images.

    Returns:
      The readable images with their ground truth; detections in them; {index of
      one of them: [H, W, 3] uint8} for a few; {name of an unreadable image:
      reason}.
    """
    skipped = self._skipped(self._test)
    size = self._settings.image_size
    dataset = numbered_images.numbered_images(
      self._test.images,
      image_size=size,
      batch_size=self._settings.batch_size,
      framing="fitted",
      skipped=skipped,
    )
    scales = boxed_images.scales(self._test, size)
    number = self._test.num_images
    drawn = np.linspace(0, number - 1, min(_DRAWN, number)).round().astype(int)
    read, rows, images = [], [], {}
    with (
      skipped.explained(),
      progress.bar(title, total=number, unit="image") as bar,
    ):
      for batch in dataset:
        found = [value.numpy() for value in self._detector.detect(batch.image)]
        found = retinanet.Detected(*found)
        for i, index in enumerate(batch.index.numpy().tolist()):
          # An unreadable image is replaced by the next readable one.
          if len(images) < len(drawn) and index >= drawn[len(images)]:
            images[len(read)] = batch.image[i].numpy()
          count = found.count[i]
          boxes = found.boxes[i, :count] / scales[index]
          width, height = self._test.image_sizes[index]
          rows.append(
            (
              np.full(count, len(read)),
              np.clip(boxes, 0, [width, height, width, height]),
              found.scores[i, :count],
              found.class_ids[i, :count],
            )
          )
          read.append(index)
        bar.update(len(batch.index))
    errors.require(
      read,
      f"{self._test.source}: none of {number} test images can be read, "
      f"the first {skipped.first}",
    )
    columns = map(np.concatenate, zip(*rows, strict=True))
    return (
      annotations_lib.take(self._test, read),
      coco_metrics.Detections(*columns),
      images,
      skipped.reasons,
    )


def _objects(data: annotations_lib.Annotations) -> dict[str, int]:
  """Number of single objects by class name."""
  counts = np.bincount(
    data.class_ids[~data.crowd], minlength=len(data.class_names)
  )
  return dict(zip(data.class_names, counts.tolist(), strict=True))


def _example(data, detections, index: int, image, size: int):
  """One test image for the picture, without the padding of its square."""
  scale = float(boxed_images.scales(data, size)[index])
  width, height = np.ceil(data.image_sizes[index] * scale).astype(int)
  own = data.image_index == index
  found = detections.image_index == index
  return pictures.Example(
    image[:height, :width],
    data.boxes[own] * scale,
    data.class_ids[own],
    detections.boxes[found] * scale,
    detections.class_ids[found],
    detections.scores[found],
  )
