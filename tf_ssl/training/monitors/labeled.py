"""Accuracy of the frozen encoder during training: kNN and linear probe."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import labeled_sets, sanity
from tf_ssl.evaluation.knn import classifier
from tf_ssl.evaluation.linear import logistic
from tf_ssl.input_pipeline import labeled_images
from tf_ssl.training.monitors import base

_INVERSE_PENALTY = 0.1  # C of the probe, as scikit-learn defines it [ours].
_TOLERANCE = 1e-4  # Of the probe's gradient; scikit-learn's default.
_ITERATIONS = 200
_MACROS = ("LABELLED_IMAGES", "HELD_OUT_IMAGES")

Source = str | Callable[[], str | records_lib.ImageRecords] | None


class LabeledImages(base.Monitor):
  """kNN and linear-probe accuracy on held-out labeled images.

  Both use the same features, so the probe adds little to the cost of the kNN.
  Logs `knn_accuracy`, `knn_k`, `knn_temperature` and `linear_accuracy`; draws
  `knn/accuracy_k20_t0.1` (k and temperature in the name) and
  `linear_probe/accuracy`. The linear probe is logistic regression with a fixed
  penalty (C = 0.1 on features of standard deviation 1) on one center crop of
  each image: enough to follow a run, not to compare models.
  """

  def __init__(
    self,
    *,
    train: Source = None,
    test: Source = None,
    k: int = 20,
    temperature: float = 0.1,
    linear_probe: bool = True,
    image_size: int | None = None,
    every: int = 1000,
  ):
    """Keeps the sources of the images.

    Args:
      train: labeled images that vote in the kNN and fit the probe: an image
        source, or a function that returns one. None turns the monitor off.
      test: labeled images to classify; None if and only if `train` is.
      k: number of neighbors that vote (InstDisc, Wu et al. 2018).
      temperature: temperature of the votes.
      linear_probe: whether the linear probe is fitted.
      image_size: side of the images, pixels; None for the side of the training
        views. Objects look larger in random crops than in whole images, so
        somewhat more is often better (Touvron et al. 2019).
      every: number of steps between two measurements.

    Raises:
      UsageError: only one of the two sources is given.
    """
    if (train is None) != (test is None):
      raise errors.UsageError(
        f"LABELLED_IMAGES={train!r}, HELD_OUT_IMAGES={test!r}: the online kNN"
        " needs both; set the other one, or neither."
      )
    self.every = base.check_every(every)
    self.best_metric = None if train is None else "knn_accuracy"
    self._sources = dict(zip(_MACROS, (train, test), strict=True))
    self._k = k
    self._temperature = temperature
    self._linear_probe = linear_probe
    self._image_size = image_size
    self._off = train is None

  def find_data(self) -> None:
    self._sources = {k: base.located(v) for k, v in self._sources.items()}

  def start(self, context: base.Context) -> None:
    """Opens the two sets of images.

    Raises:
      UsageError: a source is missing, empty or unlabeled, or the training
        images have a single class.
    """
    super().start(context)
    if self._off:
      return
    train, test = (
      open_records(source, named_by)
      for named_by, source in self._sources.items()
    )
    if train.labels is not None:
      self._num_classes = len(np.unique(train.labels[train.labels >= 0]))
    self._train, self._test = (
      open_dataset(records, context, self._image_size, named_by)[0]
      for named_by, records in zip(
        self._sources, (train, _matched(train, test)), strict=True
      )
    )

  def measure(self, step: int) -> Mapping[str, float]:
    """Measures accuracies, 0..1.

    Raises:
      UsageError: a set is empty or unlabeled, or `train` has fewer than k
        images.
    """
    if self._off:
      return {}
    try:
      train = self.context.features(self._train)
      test = self.context.features(self._test)
      accuracy = classifier.knn_accuracy(
        *train, *test, k=self._k, temperature=self._temperature
      )
    except errors.UsageError as error:
      raise errors.UsageError(
        "online kNN between LABELLED_IMAGES (train) and HELD_OUT_IMAGES (test):"
        f" {error}"
      ) from error
    measured = {
      "knn_accuracy": accuracy,
      "knn_k": self._k,
      "knn_temperature": self._temperature,
    }
    drawn = {f"knn/accuracy_k{self._k}_t{self._temperature:g}": accuracy}
    if self._linear_probe:
      measured["linear_accuracy"] = _linear_accuracy(*train, *test)
      drawn["linear_probe/accuracy"] = measured["linear_accuracy"]
    with self.context.writer.as_default(step=step):
      for name, value in drawn.items():
        tf.summary.scalar(name, value)
    return measured

  def summary(self, before, after, baseline) -> str | None:
    if "knn_accuracy" not in after:
      return None
    return (
      "class of a held-out image by its nearest labeled images:"
      f" {before['knn_accuracy']:.1%} right (untrained) ->"
      f" {after['knn_accuracy']:.1%} (trained); chance"
      f" {1 / self._num_classes:.1%}; kNN, k {self._k}, T {self._temperature}"
    )


def open_dataset(
  source: str | records_lib.ImageRecords,
  context: base.Context,
  image_size: int | None,
  named_by: str,
) -> tuple[tf.data.Dataset, Sequence[str]]:
  """Opens labeled images for a monitor.

  Args:
    source: image source, or records.
    context: run that is measured.
    image_size: side of the images, pixels; None for the training views' side.
    named_by: macro that names the source, for errors.

  Returns:
    Dataset of `batches.LabeledImage` batches, and the names of the classes.
  """
  records = open_records(source, named_by)
  dataset = labeled_images.labeled_images(
    records,
    image_size=image_size or context.image_size,
    batch_size=context.batch_size,
  )
  return dataset, records.class_names


def open_records(
  source: str | records_lib.ImageRecords, named_by: str
) -> records_lib.ImageRecords:
  """Opens a source of labeled images; the arguments are `open_dataset`'s."""
  if isinstance(source, str):
    return open_images.open_images(source, labeled=True, named_by=named_by)
  return source


def _matched(
  train: records_lib.ImageRecords, test: records_lib.ImageRecords
) -> records_lib.ImageRecords:
  """Test images with the class numbers of the training images, by name.

  Raises:
    UsageError: the training images have a single class.
  """
  if train.labels is None or test.labels is None:
    return test  # `open_dataset` refuses it.
  names = list(dict.fromkeys((*train.class_names, *test.class_names)))
  if train.class_names and test.class_names != train.class_names:
    labeled_sets.check_named("HELD_OUT_IMAGES", test)
    ids = np.array([names.index(name) for name in test.class_names], np.int32)
    if len(ids):
      labels = np.where(test.labels < 0, -1, ids[test.labels])
      test = test._replace(labels=labels, class_names=tuple(names))
  counts = [
    np.bincount(each.labels[each.labels >= 0]) for each in (train, test)
  ]
  found = sanity.check_classes(
    *(
      {str(names[i] if names else i): n for i, n in enumerate(each.tolist())}
      for each in counts
    ),
    sources=_MACROS,
  )
  sanity.warned("online kNN", found)
  return test


def _linear_accuracy(train, train_labels, test, test_labels) -> float:
  """Accuracy of logistic regression on the test images, 0..1."""
  # A test class without a training image is never predicted.
  num_classes = int(max(train_labels.max(), test_labels.max())) + 1
  [fitted] = logistic.fit(
    train,
    train_labels,
    np.arange(len(train)),
    num_classes=num_classes,
    inverse_penalties=[_INVERSE_PENALTY],
    max_iterations=_ITERATIONS,
    tolerance=_TOLERANCE,
  )
  return fitted.predict(test, test_labels).accuracy()
