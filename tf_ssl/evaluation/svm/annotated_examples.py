"""Features and targets of annotated images, or of their boxes, for SVMs."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.annotations import annotations as annotations_lib
from tf_ssl.datasets.annotations import cut_boxes
from tf_ssl.evaluation import protocol, sanity
from tf_ssl.evaluation.svm import average_precision
from tf_ssl.features import store

_FOLDER = "features"
# Training labels of ignored targets; VISSL's code makes them negatives.
_DIFFICULT = ("negative", "ignored")


class Side(NamedTuple):
  """Examples to train on, or examples to test on.

  Attributes:
    features: [N, D] float32, usually a memory map.
    rows: [n] int64, rows of the features that are used.
    targets: [n, C] int8: 1 present, 0 absent, -1 ignored.
  """

  features: np.ndarray
  rows: np.ndarray
  targets: np.ndarray


class Split(NamedTuple):
  """One split into training and test examples.

  Attributes:
    name: name such as "split 0"; "" for data that is already split.
    train: training examples.
    test: test examples.
  """

  name: str
  train: Side
  test: Side


class Examples(NamedTuple):
  """All examples, in one or several splits.

  Attributes:
    class_names: [C] names of the classes.
    splits: one or several splits.
    data: value of `protocol.Outcome.data`.
    skipped: value of `protocol.Outcome.skipped`.
    notes: sentences for `protocol.Outcome.notes`.
  """

  class_names: tuple[str, ...]
  splits: Sequence[Split]
  data: Mapping[str, Mapping[str, Any]]
  skipped: Mapping[str, str]
  notes: Sequence[str]


class _Chosen(NamedTuple):
  """Images, targets [n, C] and image indices [n] of a set."""

  images: records_lib.ImageRecords
  targets: np.ndarray
  image_index: np.ndarray
  data: dict[str, Any]
  skipped: dict[str, str]


class _Set(NamedTuple):
  """Features [n, D], targets [n, C] and image indices [n] of a set."""

  features: np.ndarray
  targets: np.ndarray
  image_index: np.ndarray
  data: dict[str, Any]
  skipped: dict[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnnotatedExamples:
  """Images or boxes to train and test on, and how they are framed.

  Attributes:
    train: annotated images to train on.
    test: annotated images to test on, whose classes are matched by name; None
      to split `train` at random, once for each of `split_seeds`.
    boxes: whether the examples are cropped boxes, one class each, instead of
      whole images, which show several classes.
    min_size: smallest length of a box's shorter side, pixels.
    context: margin on every side of a box, as a fraction of that side.
    difficult_in_training: training label of difficult objects: "negative", as
      in VISSL's code, or "ignored". Tests always ignore them.
    test_fraction: fraction of the images to test on, where `test` is None.
    split_seeds: seeds of the random splits, where `test` is None.
    image_size: side to which images and boxes are resized, pixels.
    framing: "whole" or "middle"; see `input_pipeline.numbered_images`.
    batch_size: images per forward pass.
    max_skipped_fraction: largest fraction of the images that may be unreadable.
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
    """Checks the settings before any image is read."""
    errors.require(
      self.train is not None,
      "there are no annotated images to train on; expected an annotation file "
      "in TRAIN_ANNOTATIONS",
    )
    check_difficult(self.difficult_in_training)
    if self.test is None:
      self._image_splits()

  def report(self) -> dict[str, Any]:
    """JSON values of all settings that the results depend on."""
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
    """Computes the features of all examples, resuming an interrupted call.

    Args:
      subject: model to evaluate.
      output_dir: path of the folder below which the features are kept.

    Raises:
      UsageError: no box is large enough, the two sets have no class in common,
        no class can be measured, or too many images cannot be read.
    """
    train = self._chosen(self.train)
    if self.test is None:
      doubts = self._check_splits(train)
      found = self._extract(train, subject, output_dir, "train")
      examples = self._split(found)
      doubts += _doubts({"train and test": found.features})
      return examples._replace(notes=[*examples.notes, *doubts])
    test = self._chosen(self.test)
    columns, notes = _common(self.train, self.test)
    notes += self._checked(
      *(
        chosen.targets[:, column]
        for chosen, column in zip((train, test), columns, strict=True)
      ),
      [self.train.class_names[i] for i in columns[0]],
    )
    train = self._extract(train, subject, output_dir, "train")
    test = self._extract(test, subject, output_dir, "test")
    notes += _doubts({"train": train.features, "test": test.features})
    sides = [
      Side(
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

  def _checked(self, train, test, class_names) -> list[str]:
    """Notes on targets; UsageError if they measure nothing."""
    found = sanity.check_targets(train, test, class_names, self.train.source)
    return sanity.warned("svm", found)

  def _check_splits(self, chosen: _Chosen) -> list[str]:
    notes = []
    for split in self._image_splits():
      train, test = (
        chosen.targets[np.isin(chosen.image_index, part)] for part in split
      )
      notes += self._checked(train, test, self.train.class_names)
    return list(dict.fromkeys(notes))

  def _chosen(self, annotations: annotations_lib.Annotations) -> _Chosen:
    """The examples of a set, before any image is read."""
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
    return _Chosen(images, targets, image_index, data, skipped)

  def _extract(
    self,
    chosen: _Chosen,
    subject: protocol.Subject,
    output_dir: str,
    role: str,
  ) -> _Set:
    images, targets, image_index, data, skipped = chosen
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
    errors.require(
      seeds and len(set(seeds)) == len(seeds),
      f"split_seeds are {seeds}; expected different numbers, such as "
      "(0, 1, 2); change SPLIT_SEEDS",
    )
    return [
      annotations_lib.split_images(
        self.train.num_images, test_fraction=self.test_fraction, seed=seed
      )
      for seed in seeds
    ]

  def _split(self, found: _Set) -> Examples:
    """Splits by image: all boxes of an image are on one side."""
    splits = []
    for seed, images in zip(
      self.split_seeds, self._image_splits(), strict=True
    ):
      rows = [np.flatnonzero(np.isin(found.image_index, i)) for i in images]
      sides = [Side(found.features, row, found.targets[row]) for row in rows]
      splits.append(Split(f"split {seed}", *sides))
    note = (
      "training and test images are random parts of one annotated set, "
      f"{100 * self.test_fraction:g} % of the images to test on, split by "
      f"{len(splits)} seeds; intervals are over these splits, which share "
      "images"
    )
    return Examples(
      self.train.class_names,
      splits,
      {"train and test": found.data},
      found.skipped,
      [note],
    )


def _doubts(features: Mapping[str, np.ndarray]) -> list[str]:
  return sanity.warned("svm", sanity.of_features(features))


def check_difficult(difficult: str) -> None:
  """Raises UsageError unless `difficult` is "negative" or "ignored"."""
  errors.require(
    difficult in _DIFFICULT,
    f"difficult_in_training is {difficult!r}; expected one of "
    f"{', '.join(_DIFFICULT)}",
  )


def signs(
  side: Side, class_id: int, difficult: str
) -> tuple[np.ndarray, np.ndarray]:
  """Examples and labels for the SVM of one class.

  Args:
    side: training examples.
    class_id: index of the class, from 0.
    difficult: what ignored targets are: "negative" or "ignored".

  Returns:
    Rows [n] int64 of the features, and labels [n] int8, 1 or -1.
  """
  targets = side.targets[:, class_id]
  kept = np.ones(len(targets), bool)
  if difficult == "ignored":
    kept = targets >= 0
  return side.rows[kept], np.where(targets[kept] > 0, 1, -1).astype(np.int8)


def measurable_classes(
  train: Side, test: Side, *, folds: int, difficult: str
) -> tuple[list[int], dict[int, str]]:
  """Finds the classes with enough training and test examples.

  Args:
    train: training examples.
    test: test examples of the same C classes.
    folds: smallest number of positives and of negatives to train on.
    difficult: what ignored training targets are: "negative" or "ignored".

  Returns:
    Indices of the measurable classes, and the reasons by index of the others.

  Raises:
    UsageError: shapes or targets are invalid, or no class is measurable.
  """
  _check_sides(train, test)
  excluded = {}
  count = train.targets.shape[1]
  for c in range(count):
    labels = signs(train, c, difficult)[1]
    for name, sign in (("positive", 1), ("negative", -1)):
      number = np.count_nonzero(labels == sign)
      if number < folds:
        excluded[c] = (
          f"fewer {name} training examples than the {folds} folds"
          if number
          else f"no {name} training example"
        )
        break
    else:
      if not (test.targets[:, c] == 1).any():
        excluded[c] = "no positive test example"
  errors.require(
    len(excluded) < count,
    f"none of {count} classes can be measured "
    f"({'; '.join(sorted(set(excluded.values())))}); expected classes that "
    "training and test images show",
  )
  return [c for c in range(count) if c not in excluded], excluded


def _check_sides(train: Side, test: Side) -> None:
  for name, side in (("training", train), ("test", test)):
    shapes = [side.features.shape, side.rows.shape, side.targets.shape]
    errors.require(
      list(map(len, shapes)) == [2, 1, 2] and shapes[1][0] == shapes[2][0],
      f"{name} features, rows and targets have the shapes {shapes[0]}, "
      f"{shapes[1]} and {shapes[2]}; expected [N, D], [n] and [n, C]",
    )
    average_precision.check_targets(f"{name} targets", side.targets)
  widths = [(s.features.shape[1], s.targets.shape[1]) for s in (train, test)]
  errors.require(
    widths[0] == widths[1],
    f"training features and targets are {widths[0][0]} and {widths[0][1]} "
    f"wide, test features and targets {widths[1][0]} and {widths[1][1]}; "
    "expected the same encoder and the same classes",
  )


def _common(
  train: annotations_lib.Annotations, test: annotations_lib.Annotations
) -> tuple[tuple[list[int], list[int]], list[str]]:
  """Columns of the classes that both sets name, and notes on the others."""
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
    f"{len(single)} classes that only one of the sets names are excluded: "
    f"{', '.join(single)}"
  ]
