"""Training and test images of the same classes, and subsets of their labels."""

from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import labeled_sets, sanity


class PartlyLabeled(NamedTuple):
  """Training and test images with one list of classes; some have no label.

  Attributes:
    train: training images; `labels` are 0..C-1, -1 if unknown.
    test: test images; `labels` are 0..C-1, -1 if unknown.
    num_classes: C.
    notes: notes for the report.
  """

  train: records_lib.ImageRecords
  test: records_lib.ImageRecords
  num_classes: int
  notes: list[str]

  def data(self) -> dict[str, dict[str, Any]]:
    """Fingerprints of both sets, for `protocol.Outcome.data`."""
    return {
      role: labeled_sets.fingerprint(records, self.num_classes)
      for role, records in (("train", self.train), ("test", self.test))
    }


def match(
  train: records_lib.ImageRecords, test: records_lib.ImageRecords
) -> PartlyLabeled:
  """Maps the labels of the test images to the classes of the training images.

  Classes match by name if both sets have names. The test images need not cover
  all classes.

  Args:
    train: training images, the macro TRAIN_IMAGES.
    test: test images, the macro TEST_IMAGES.

  Raises:
    UsageError: a set has no label, labels are beyond the named classes, test
      images have classes that no training image has, or there is one class.
  """
  notes = []
  for role, found in (("train", train), ("test", test)):
    errors.require(
      found.labels is not None and (found.labels >= 0).any(),
      f"the {role} images have no labels; expected class folders, or a "
      f"manifest with a column `label`; change {role.upper()}_IMAGES",
    )
    labeled_sets.check_named(f"{role.upper()}_IMAGES", found)
    unlabeled = int((found.labels < 0).sum())
    if unlabeled:
      notes.append(f"{unlabeled} {role} images without a label are excluded")
  labels, test_labels = train.labels, test.labels
  if train.class_names and test.class_names:
    unknown = sorted(set(test.class_names) - set(train.class_names))
    ids = np.array(
      [
        -1 if name in unknown else train.class_names.index(name)
        for name in test.class_names
      ]
    )
    test_labels = np.where(test_labels < 0, -1, ids[test_labels])
  else:
    unknown = sorted(set(test_labels[test_labels > labels.max()].tolist()))
  if unknown:
    raise errors.UsageError(
      f"the test images have {len(unknown)} classes that the train images lack "
      f"({', '.join(map(str, unknown[:5]))}); expected the same classes in "
      "TRAIN_IMAGES and TEST_IMAGES"
    )
  num_classes = int(labels.max()) + 1
  counts = [
    np.bincount(each[each >= 0], minlength=num_classes).tolist()
    for each in (labels, test_labels)
  ]
  names = train.class_names or tuple(map(str, range(num_classes)))
  found = sanity.check_classes(
    *(dict(zip(names, each, strict=False)) for each in counts),
    sources=[f"TRAIN_IMAGES ({train.root})", f"TEST_IMAGES ({test.root})"],
  )
  notes += sanity.warned("fine_tuning", found)
  return PartlyLabeled(
    train,
    test._replace(
      labels=test_labels.astype(np.int32), class_names=train.class_names
    ),
    num_classes,
    notes,
  )


def balanced(
  labels: np.ndarray, share: float, *, num_classes: int, seed: int
) -> np.ndarray:
  """Chooses a share of the labeled images, the same number from each class.

  That number is share · N / C, rounded, at least one; a class with fewer images
  gives all of them. For one seed, a smaller share is a subset of a larger one.

  Args:
    labels: [N] int, 0 to C - 1; images with negative labels are never chosen.
    share: share of the labels, above 0; 1 chooses every labeled image.
    num_classes: C.
    seed: seed of the choice.

  Returns:
    [n] int64, indices in ascending order.

  Raises:
    UsageError: the share is out of range, or a class has no image.
  """
  errors.require(
    0 < share <= 1,
    f"label share {share}: expected a number greater than 0, at most 1; "
    "change LABEL_SHARES",
  )
  labels = np.asarray(labels)
  counts = np.bincount(labels[labels >= 0], minlength=num_classes)
  if not counts.all():
    missing = np.flatnonzero(counts == 0).tolist()
    raise errors.UsageError(
      f"the train images have none of the classes {missing[:10]}; expected at "
      f"least one of each of the {num_classes} classes"
    )
  if share == 1:
    return np.flatnonzero(labels >= 0)
  per_class = max(1, round(share * counts.sum() / num_classes))
  rng = np.random.default_rng(seed)
  chosen = [
    rng.permutation(np.flatnonzero(labels == number))[:per_class]
    for number in range(num_classes)
  ]
  return np.sort(np.concatenate(chosen))
