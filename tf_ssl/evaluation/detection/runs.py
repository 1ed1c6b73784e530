"""One run of a detector: trained from a seed, then tested."""

import json
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tqdm

from tf_ssl import errors
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.evaluation import fine_tune_loop
from tf_ssl.evaluation.detection import coco_metrics, pictures, retinanet
from tf_ssl.input_pipeline import boxed_images, numbered_images
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import trainable
from tf_ssl.ops import workdir

_DRAWN = 5  # test images


class Training(NamedTuple):
  """How a detector is trained.

  Attributes:
    image_size: pixels a side of the square that images are fitted into.
    batch_size: B.
    steps: of a run.
    max_skipped_fraction: of the images that may be unreadable.
  """

  image_size: int
  batch_size: int
  steps: int
  max_skipped_fraction: float


class Runs:
  """Trains and tests a detector again and again, from different seeds."""

  def __init__(
    self,
    encoder: trainable.TrainableEncoder,
    detector: retinanet.RetinaNet,
    *,
    sgd: fine_tune_loop.Sgd,
    training: Training,
    train: annotations_lib.Annotations,
    test: annotations_lib.Annotations,
  ):
    """Compiles nothing yet.

    Args:
      encoder: what the detector reads.
      detector: trained and tested.
      sgd: how it is trained.
      training: likewise.
      train: images to train on.
      test: images to test with, of the same classes.
    """
    self._encoder, self._detector = encoder, detector
    self._training, self._train, self._test = training, train, test
    self._fitter = fine_tune_loop.Fitter(
      detector.loss,
      head=detector.trainable_head_variables,
      encoder=encoder.trainable_variables,
      state=[
        *detector.head_variables,
        *(() if sgd.is_frozen else encoder.variables),
      ],
      sgd=sgd,
    )

  def run(
    self, seed: int, *, folder: str, stem: str, title: str
  ) -> dict[str, Any]:
    """Trains from a seed and tests; the encoder is as before afterwards.

    Args:
      seed: of the heads' weights, and of the order of the images and flips.
      folder: for checkpoints.
      stem: of what is written: `stem`.png, some detections drawn, and
        `stem`-coco-results.json, all of them in COCO's format.
      title: for progress bars.

    Returns:
      JSON values: "overall" and "by_class" as in `coco_metrics.Metrics`,
      "loss", the last, "skipped", from names to reasons, and "tested", the
      number of test images.

    Raises:
      UsageError: too many images cannot be read, or none to test with.
    """
    skipped = self._skipped(self._train)

    def batches(start: int) -> tf.data.Dataset:
      return self._batches(seed, start, skipped)

    with self._encoder.restored(), skipped.explained():
      self._detector.draw_head(seed)
      loss = self._fitter.fit(
        batches, steps=self._training.steps, folder=folder, title=title
      )
      data, detections, images, missing = self._tested(f"{title}, testing")
    metrics = coco_metrics.measure(data, detections)
    entries = coco_metrics.coco_results(data, detections)
    workdir.write_text(f"{stem}-coco-results.json", json.dumps(entries))
    with workdir.replacing_file(f"{stem}.png") as path:
      path.write_bytes(
        pictures.draw(
          [
            _example(data, detections, index, image, self._training.image_size)
            for index, image in images.items()
          ],
          data.class_names,
          title=self._encoder.name,
        )
      )
    return {
      "overall": metrics.overall,
      "by_class": metrics.by_class,
      "loss": None if np.isnan(loss) else loss,
      "skipped": {
        f"{role}/{name}": reason
        for role, reasons in (("train", skipped.reasons), ("test", missing))
        for name, reason in reasons.items()
      },
      "tested": data.num_images,
    }

  def _skipped(self, data) -> skipped_lib.SkippedFiles:
    return skipped_lib.SkippedFiles(
      None, data.num_images, self._training.max_skipped_fraction
    )

  def _batches(self, seed: int, start: int, skipped) -> tf.data.Dataset:
    size = self._training.batch_size
    examples = boxed_images.training_examples(
      self._train,
      image_size=self._training.image_size,
      seed=seed,
      start=start * size,
      stop=self._training.steps * size,
      skipped=skipped,
    )
    batches = examples.map(
      self._detector.targets,
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
    ).batch(size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)

  def _tested(self, title: str):
    """Detections in all test images that can be read, and some of the images.

    Returns:
      The images that could be read with their truth; detections, by their
      numbers among these; from a few of these numbers to [h, w, 3] uint8; and
      from the names of the others to reasons.
    """
    skipped = self._skipped(self._test)
    size = self._training.image_size
    dataset = numbered_images.numbered_images(
      self._test.images,
      image_size=size,
      batch_size=self._training.batch_size,
      framing="fitted",
      skipped=skipped,
    )
    scales = boxed_images.scales(self._test, size)
    number = self._test.num_images
    drawn = np.linspace(0, number - 1, min(_DRAWN, number)).round().astype(int)
    read, rows, images = [], [], {}
    with (
      skipped.explained(),
      tqdm.tqdm(total=number, desc=title, unit="image", mininterval=0.5) as bar,
    ):
      for batch in dataset:
        found = [value.numpy() for value in self._detector.detect(batch.image)]
        found = retinanet.Found(*found)
        for i, index in enumerate(batch.index.numpy().tolist()):
          # each place's image, or the next one that can be read
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
    if not read:
      raise errors.UsageError(
        f"{self._test.source}: none of {number} test images can be read, "
        f"the first {skipped.first}"
      )
    columns = map(np.concatenate, zip(*rows, strict=True))
    return (
      annotations_lib.take(self._test, read),
      coco_metrics.Detections(*columns),
      images,
      skipped.reasons,
    )


def _example(data, detections, index: int, image, size: int):
  """What is drawn of one image; the filled part of its square is cut off."""
  scale = float(boxed_images.scales(data, size)[index])
  width, height = np.ceil(data.image_sizes[index] * scale).astype(int)
  mine = data.image_index == index
  found = detections.image_index == index
  return pictures.Example(
    image[:height, :width],
    data.boxes[mine] * scale,
    data.class_ids[mine],
    detections.boxes[found] * scale,
    detections.class_ids[found],
    detections.scores[found],
  )
