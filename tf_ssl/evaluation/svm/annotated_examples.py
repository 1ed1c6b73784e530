"""Features of annotated images, or of boxes cut out, split for an SVM."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets.annotations import (
  annotations as annotations_lib,
)
from tf_ssl.datasets.annotations import cut_boxes
from tf_ssl.evaluation import protocol
from tf_ssl.evaluation.svm import voc07
from tf_ssl.features import store

_FOLDER = "features"


class Split(NamedTuple):
  """Examples to train on and to test with.

  Attributes:
    name: such as "split 0"; "" where the data came split.
    train: to train on.
    test: to test with.
  """

  name: str
  train: voc07.Side
  test: voc07.Side


class Examples(NamedTuple):
  """The features of all examples, in one or several splits.

  Attributes:
    class_names: [C].
    splits: at least one.
    data: for `protocol.Outcome.data`.
    skipped: for `protocol.Outcome.skipped`.
    notes: for `protocol.Outcome.notes`.
  """

  class_names: tuple[str, ...]
  splits: Sequence[Split]
  data: Mapping[str, Mapping[str, Any]]
  skipped: Mapping[str, str]
  notes: Sequence[str]


class _Set(NamedTuple):
  """Features [n, D] and targets [n, C] of what an annotation file has."""

  features: np.ndarray
  targets: np.ndarray
  image_index: np.ndarray
  data: dict[str, Any]
  skipped: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnnotatedExamples:
  """Which images are measured on, and how they are framed.

  Attributes:
    train: the images to train on.
    test: the images to test with, of the same classes by name; None to deal
      those of `train` to both sides, anew for each of `split_seeds`.
    boxes: False for whole images, which show several classes; True for their
      boxes cut out, one class each.
    min_size: of boxes, pixels of the shorter side.
    context: of boxes, the margin on every side as a share of the box's.
    difficult_in_training: "negative", as in VISSL's code, or "ignored". In
      testing they are always ignored.
    test_fraction: of the images, where `test` is None.
    split_seeds: the same.
    image_size: pixels a side that images and boxes are resized to.
    framing: "whole" or "middle"; see `numbered_images`.
    batch_size: images at once.
    max_skipped_fraction: the share that may be unreadable.
  """

  train: annotations_lib.Annotations
  test: annotations_lib.Annotations | None = None
  boxes: bool = False
  min_size: int = 32
  context: float = 0.0
  difficult_in_training: str = "negative"
  test_fraction: float = 0.5
  split_seeds: Sequence[int] = (0, 1, 2)
  image_size: int = 224
  framing: str = "whole"
  batch_size: int = 64
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Refuses what would fail only after all images have been read."""
    if self.train is None:
      raise errors.UsageError(
        "there are no annotated images to train on; expected an annotation "
        "file in TRAIN_ANNOTATIONS"
      )
    voc07.check(2, self.difficult_in_training)
    if self.test is None:
      self._image_splits()

  def report(self) -> dict[str, Any]:
    """All settings that the numbers depend on, JSON values."""
    found: dict[str, Any] = {
      "examples": "boxes cut out" if self.boxes else "whole images"
    }
    if self.boxes:
      found["box_min_size"] = self.min_size
      found["box_context"] = self.context
    found |= {
      "image_size": self.image_size,
      "framing": self.framing,
      "difficult_in_training": self.difficult_in_training,
      "difficult_in_test": "ignored",
      "split": "as given",
    }
    if self.test is None:
      found["split"] = "by image, at random"
      found["test_fraction"] = self.test_fraction
      found["split_seeds"] = list(self.split_seeds)
    return found

  def extract(self, subject: protocol.Subject, output_dir: str) -> Examples:
    """Runs the model over all examples; what is there already is kept.

    Args:
      subject: the model.
      output_dir: the features go below it.

    Raises:
      UsageError: no box that is large enough, no class in both sides, too many
        images that cannot be read.
    """
    train = self._extract(self.train, subject, output_dir, "train")
    if self.test is None:
      return self._split(train)
    test = self._extract(self.test, subject, output_dir, "test")
    columns, notes = _common(self.train, self.test)
    sides = [
      voc07.Side(
        found.features, np.arange(len(found.targets)), found.targets[:, column]
      )
      for found, column in zip((train, test), columns, strict=True)
    ]
    return Examples(
      tuple(self.train.class_names[i] for i in columns[0]),
      [Split("", *sides)],
      {"train": train.data, "test": test.data},
      train.skipped | test.skipped,
      notes,
    )

  def _extract(
    self,
    annotations: annotations_lib.Annotations,
    subject: protocol.Subject,
    output_dir: str,
    role: str,
  ) -> _Set:
    images, targets = annotations.images, annotations.targets
    image_index = np.arange(annotations.num_images)
    data = annotations_lib.digest(annotations)
    skipped = {
      name: reason
      for reason, names in annotations.skipped.items()
      for name in names
    }
    if annotations.clipped:
      data["boxes_clipped"] = annotations.clipped
    if self.boxes:
      cut = cut_boxes.cut(
        annotations, min_size=self.min_size, context=self.context
      )
      images, targets, image_index = cut.images, cut.targets, cut.image_index
      data["boxes_left_out"] = dict(cut.skipped)
    found = store.extract(
      [subject.frozen],
      images,
      os.path.join(output_dir, _FOLDER, role),
      image_size=self.image_size,
      framing=self.framing,
      batch_size=self.batch_size,
      max_skipped_fraction=self.max_skipped_fraction,
    )
    (features,) = found.by_model.values()
    targets = targets[found.index]
    data["examples"] = len(targets)
    data["positives"] = int((targets == annotations_lib.PRESENT).sum())
    data["ignored"] = int((targets == annotations_lib.IGNORED).sum())
    return _Set(
      features, targets, image_index[found.index], data, skipped | found.skipped
    )

  def _image_splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
    seeds = list(self.split_seeds)
    if not seeds or len(set(seeds)) != len(seeds):
      raise errors.UsageError(
        f"split_seeds are {seeds}; expected different numbers, such as "
        "(0, 1, 2)"
      )
    return [
      annotations_lib.split_images(
        self.train.num_images, test_fraction=self.test_fraction, seed=seed
      )
      for seed in seeds
    ]

  def _split(self, found: _Set) -> Examples:
    """Deals images, with all their boxes, to the two sides."""
    splits = []
    for seed, images in zip(
      self.split_seeds, self._image_splits(), strict=True
    ):
      rows = [np.flatnonzero(np.isin(found.image_index, i)) for i in images]
      sides = [
        voc07.Side(found.features, row, found.targets[row]) for row in rows
      ]
      splits.append(Split(f"split {seed}", *sides))
    note = (
      "training and test images are parts of one annotated set, "
      f"{self.test_fraction:.0%} of the images in the test part, dealt anew "
      f"for each of {len(splits)} seeds; intervals are over these splits, "
      "which share images"
    ).replace("%", " %")
    return Examples(
      self.train.class_names,
      splits,
      {"train and test": found.data},
      found.skipped,
      [note],
    )


def _common(
  train: annotations_lib.Annotations, test: annotations_lib.Annotations
) -> tuple[tuple[list[int], list[int]], list[str]]:
  """The columns of classes of one name, and what to say of the others."""
  shared = [name for name in train.class_names if name in test.class_names]
  columns = (
    [train.class_names.index(name) for name in shared],
    [test.class_names.index(name) for name in shared],
  )
  if not shared:
    raise errors.UsageError(
      f"{train.source} and {test.source} have no class in common (such as "
      f"{train.class_names[0]!r} and {test.class_names[0]!r}); expected the "
      "same class names in both"
    )
  single = sorted(set(train.class_names) ^ set(test.class_names))
  if not single:
    return columns, []
  return columns, [
    f"{len(single)} classes are named in one of both sets only and left out: "
    f"{', '.join(single)}"
  ]
