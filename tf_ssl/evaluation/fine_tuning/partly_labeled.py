"""Two labeled sets for fine-tuning, where some images may have no label."""

from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import labeled_sets, set_identity


class PartlyLabeled(NamedTuple):
  """Images to learn from and images to test on, with one list of classes.

  Attributes:
    train: the images; `labels` are 0..C-1, -1 where unknown.
    test: the images; `labels` likewise, of the same meaning.
    num_classes: C.
    notes: what is to be said of them.
  """

  train: records_lib.ImageRecords
  test: records_lib.ImageRecords
  num_classes: int
  notes: list[str]

  def data(self) -> dict[str, dict[str, Any]]:
    """Identifies both sets, for `protocol.Outcome.data`."""
    return {
      role: set_identity.identity(records, self.num_classes)
      for role, records in (("train", self.train), ("test", self.test))
    }


def match(
  train: records_lib.ImageRecords, test: records_lib.ImageRecords
) -> PartlyLabeled:
  """Brings the labels of the test images to the classes of the train images.

  By name where classes have names in both. The test images need not have all
  of them.

  Args:
    train: the macro TRAIN_IMAGES.
    test: TEST_IMAGES.

  Raises:
    UsageError: no label at all, labels beyond the named classes, or test images
      of classes that no train image has.
  """
  notes = []
  for role, found in (("train", train), ("test", test)):
    if found.labels is None or not (found.labels >= 0).any():
      raise errors.UsageError(
        f"the {role} images have no labels; expected class folders, or a "
        f"manifest with a column `label`; change {role.upper()}_IMAGES"
      )
    labeled_sets.check_named(f"{role.upper()}_IMAGES", found)
    missing = int((found.labels < 0).sum())
    if missing:
      notes.append(f"{missing} {role} images without a label were left out")
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
  return PartlyLabeled(
    train,
    test._replace(
      labels=test_labels.astype(np.int32), class_names=train.class_names
    ),
    int(labels.max()) + 1,
    notes,
  )
