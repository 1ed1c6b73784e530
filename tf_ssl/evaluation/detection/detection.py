"""Detection on an encoder, frozen or fine-tuned: RetinaNet, COCO's metrics."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.evaluation import fine_tune_loop, kept_results, protocol
from tf_ssl.evaluation.detection import architecture as architecture_lib
from tf_ssl.evaluation.detection import coco_metrics, outcome, retinanet
from tf_ssl.evaluation.detection import runs as run_lib
from tf_ssl.input_pipeline import boxed_images
from tf_ssl.reporting import statistics

_FOLDER = "detection"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection:
  """Trains Model Garden's RetinaNet on boxes, tests by COCO's metrics.

  Attributes:
    train: the images to train on.
    test: the images to test with, of the same classes; None to hold out a part
      of `train`.
    held_out: the share of `train`, in that case.
    split_seed: of which images are held out.
    class_agnostic: whether all objects are of one class; for few images.
    sgd: learning rates; that of the encoder 0 leaves it frozen.
    architecture: what is built on the encoder.
    image_size: pixels a side of the square that images are fitted into.
    batch_size: images of a step.
    steps: of training.
    seeds: of heads and the order of the images; one run each.
    max_skipped_fraction: the share of the images that may be unusable.
  """

  train: annotations_lib.Annotations
  test: annotations_lib.Annotations | None = None
  held_out: float = 0.25
  split_seed: int = 0
  class_agnostic: bool = False
  sgd: fine_tune_loop.Sgd
  architecture: architecture_lib.Architecture = architecture_lib.Architecture()
  image_size: int = 512
  batch_size: int = 16
  steps: int = 10000
  seeds: Sequence[int] = (0,)
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Refuses what would fail only after the model has been loaded."""
    if self.train is None:
      raise errors.UsageError(
        "there are no images with boxes to train on; set IMAGES and ANNOTATIONS"
      )
    if self.steps < 1 or self.batch_size < 1:
      raise errors.UsageError(
        f"steps={self.steps}, batch_size={self.batch_size}: expected at least "
        "1 each; change STEPS or BATCH_SIZE"
      )
    statistics.check_seeds(self.seeds)
    if self.test is not None:
      mine, other = (
        (tuple(each.category_ids.tolist()), each.class_names)
        for each in (self.train, self.test)
      )
      if mine != other:
        raise errors.UsageError(
          f"{self.train.source} and {self.test.source} have other classes "
          f"({len(mine[0])} and {len(other[0])} of them); expected the same "
          "ids and names in ANNOTATIONS and TEST_ANNOTATIONS"
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
    train, test = self._sets()
    data = {
      role: annotations_lib.digest(each)
      for role, each in (("train", train), ("test", test))
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
      train, of_train = self._usable(train, "train")
      test, of_test = self._usable(test, "test")
      runs = self._runs(encoder, train, test, kept, say)
    for role, each in (("train", train), ("test", test)):
      data[role] |= {"used": each.num_images, "classes": len(each.class_names)}
    return outcome.outcome(
      runs,
      train,
      test,
      title=f"Detection, {settings['encoder']} encoder, RetinaNet",
      settings=settings | {"seeds": list(self.seeds)},
      data=data,
      skipped=of_train | of_test,
      notes=self._notes(encoder),
    )

  def _sets(self):
    """Train and test images, with the classes that count."""
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
      test = test._replace(skipped={})  # told by the other side
    return train, test

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
      **self.sgd.report(),
      "metrics": "COCOeval of pycocotools, boxes, 100 detections an image",
      "test_images": "as given"
      if self.test is not None
      else f"{self.held_out:g} of the images, split seed {self.split_seed}",
    }

  def _usable(self, data, role: str):
    """What can be used of one side, and why the rest cannot."""
    skipped = {
      name: reason for reason, names in data.skipped.items() for name in names
    }
    usable, of_other_shape = boxed_images.of_annotated_shape(
      data, max_skipped_fraction=self.max_skipped_fraction
    )
    if usable.crowd.all():  # of no box at all, too
      raise errors.UsageError(
        f"{data.source}: there is no box of a single object in the "
        f"{usable.num_images} {role} images; expected some; change "
        f"{'' if role == 'train' or self.test is None else 'TEST_'}ANNOTATIONS"
      )
    skipped |= of_other_shape
    return usable, {f"{role}/{name}": why for name, why in skipped.items()}

  def _runs(self, encoder, train, test, kept, say) -> list[outcome.Run]:
    """The result of each seed."""
    found = []
    for seed, result, picture in kept.each_seed(
      self.seeds,
      lambda: self._prepared(encoder, train, test),
      title=encoder.name,
    ):
      say(f"seed {seed}: {outcome.headline(result['overall'])}")
      found.append(outcome.Run(seed, result, picture))
    return found

  def _prepared(self, encoder, train, test) -> run_lib.Runs:
    detector = retinanet.RetinaNet(
      encoder,
      self.architecture,
      num_classes=len(train.class_names),
      image_size=self.image_size,
      frozen=self.sgd.is_frozen,
    )
    return run_lib.Runs(
      encoder,
      detector,
      sgd=self.sgd,
      training=run_lib.Training(
        self.image_size,
        self.batch_size,
        self.steps,
        self.max_skipped_fraction,
      ),
      train=train,
      test=test,
    )

  def _notes(self, encoder) -> list[str]:
    notes = []
    if self.test is None:
      notes.append(
        f"the test images are {self.held_out:g} of one set, held out at "
        "random: not a test set that others use"
      )
    if self.class_agnostic:
      notes.append(
        "all objects are of one class: these numbers say where objects are "
        "found, not what they are, and are not COCO's usual AP"
      )
    clipped = self.train.clipped
    if self.test is not None:
      clipped += self.test.clipped
    if clipped:
      notes.append(f"{clipped} boxes reached out of their images and were cut")
    if encoder.description.note and not self.sgd.is_frozen:
      notes.append(encoder.description.note)
    return notes
