"""Objects where nobody has drawn boxes: guessed from the pixels."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf
import tqdm
from sklearn import cluster

from tf_ssl import errors
from tf_ssl.dataset_bias import (
  object_boxes,
  objectness,
  reference,
  region_files,
)
from tf_ssl.dataset_bias import subject as subject_lib
from tf_ssl.datasets import records as records_lib
from tf_ssl.features import encoder_regions as encoder_features
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor
from tf_ssl.video.tracking import region_features

REGIONS_FOLDER = "regions"
_IMAGES_IN_A_FILE = 32
# Not the world by whose pictures `objectness` was adjusted.
_REFERENCE_SEED = 1


class Estimator:
  """Guesses objects, and deals them to classes by how they look.

  Attributes:
    description: how, in words.
    key: all that decides what is found, as JSON values.
  """

  def __init__(
    self,
    encoder: str | None = None,
    *,
    endpoint: str = "C4",
    num_classes: int = 20,
    seed: int = 0,
  ):
    """Loads the encoder, if there is one.

    Args:
      encoder: path of a SavedModel, a map of which describes regions; None for
        histograms of colors and gradients.
      endpoint: the map.
      num_classes: C, groups of regions that look alike.
      seed: of the grouping.

    Raises:
      UsageError: the encoder cannot be used, or C is less than 1.
    """
    if num_classes < 1:
      raise errors.UsageError(
        f"num_classes={num_classes}: expected at least 1; raise num_classes"
      )
    self._num_classes = num_classes
    self._seed = seed
    if encoder is None:
      looks = "histograms of their colors and gradients"
      self._describe = region_features.Histograms(cells=2)
    else:
      looks = f"map {endpoint} of the encoder {encoder}"
      self._describe = encoder_features.EncoderFeatures(
        encoder, endpoint=endpoint, grid=1, common=0.0
      )
    self.description = (
      "objects are those regions of a selective search that many others agree "
      f"with and that stand out, classes are {num_classes} groups of regions "
      f"that are alike in {looks}"
    )
    self.key = [objectness.VERSION, looks, _fingerprint(encoder)]

  def regions(
    self, readers: Iterable[Callable[[], np.ndarray]]
  ) -> Iterator[region_files.Regions]:
    """Finds and describes the objects of images.

    Args:
      readers: functions that return an image, [H, W, 3] uint8, called in
        threads.

    Yields:
      The regions of each; where a reader failed its `problem` is not empty.
    """
    for image, boxes, problem in feature_extractor.map_ahead(_find, readers):
      features = self._describe(image, boxes)
      size = np.zeros(2, int) if problem else np.array(image.shape[:2])
      yield region_files.Regions(size, boxes, features, problem)

  def objects(
    self, found: list[region_files.Regions]
  ) -> object_boxes.ObjectBoxes:
    """The regions of images as objects of classes."""
    features = np.concatenate([regions.features for regions in found])
    count = min(self._num_classes, len(features))
    classes = np.zeros(len(features), int)
    if count:
      groups = cluster.MiniBatchKMeans(
        count, random_state=self._seed, n_init=3, batch_size=4096
      )
      classes = groups.fit_predict(features)
    return object_boxes.from_rows(
      [regions.size for regions in found],
      np.repeat(np.arange(len(found)), [len(r.boxes) for r in found]),
      np.concatenate([regions.boxes for regions in found]),
      classes,
      tuple(f"look {number + 1}" for number in range(max(count, 1))),
    )


def estimate(
  images: records_lib.ImageRecords,
  estimator: Estimator,
  output_dir: str,
  *,
  max_images: int = 500,
  seed: int = 0,
  max_skipped_fraction: float = 0.05,
) -> subject_lib.Subject:
  """Guesses the objects of images; interrupted, the same call goes on.

  Args:
    images: the images; of those with a box the whole is looked at.
    estimator: how.
    output_dir: keeps what was found, in `REGIONS_FOLDER`.
    max_images: looks at a random subset of so many; 0: at all.
    seed: of the subset.
    max_skipped_fraction: the share of images above which those that cannot be
      read are an error.

  Raises:
    UsageError: too many images cannot be read, no region is found in any, or
      the folder cannot be written.
  """
  chosen = subject_lib.sample(images.num_images, max_images, seed)
  digest = {**records_lib.digest(images), "looked_at": len(chosen)}
  key = {
    "digest": digest,
    "chosen": chosen.tolist(),
    "estimator": estimator.key,
  }
  skipped = skipped_lib.SkippedFiles(None, len(chosen), max_skipped_fraction)
  try:
    store = region_files.RegionFiles(
      os.path.join(output_dir, REGIONS_FOLDER), key
    )
    found = _find_all(images, chosen, estimator, store)
  except OSError as error:
    raise errors.UsageError(
      f"regions cannot be written to {output_dir}: {error.strerror or error}; "
      "choose a folder on a disk with room that you may write to"
    ) from error
  for index, regions in zip(chosen.tolist(), found, strict=True):
    if regions.problem:
      skipped.add(images.name(index), regions.problem)
  good = [i for i, regions in enumerate(found) if not regions.problem]
  objects = estimator.objects([found[i] for i in good])
  if not objects.counts.any():
    raise errors.UsageError(
      f"images: no region stands out in any of {len(good)} images under "
      f"{images.root!r}; expected photographs; change --images, or give "
      "--annotations"
    )
  reasons: dict[str, list[str]] = {}
  for name, reason in skipped.reasons.items():
    reasons.setdefault(reason, []).append(name)
  return subject_lib.Subject(
    source=f"images of {images.root}",
    images=records_lib.take(images, chosen[good]),
    objects=objects,
    digest=digest,
    skipped={reason: tuple(names) for reason, names in reasons.items()},
    estimated_by=estimator.description,
  )


def references(
  num_images: int, estimator: Estimator
) -> dict[str, object_boxes.ObjectBoxes]:
  """Objects guessed in rendered pictures, to hold guesses up to.

  Args:
    num_images: of each kind; those in which none is found are left out.
    estimator: the one that guessed the dataset's objects.

  Returns:
    For each name of `reference.MEANING`, marked as an estimate.
  """
  found = {}
  for name, render in reference.PICTURES.items():
    readers = (
      functools.partial(render, _REFERENCE_SEED, i) for i in range(num_images)
    )
    regions = list(
      tqdm.tqdm(
        estimator.regions(readers),
        total=num_images,
        desc=name.capitalize(),
        unit="image",
        leave=False,
      )
    )
    objects = estimator.objects(regions)
    inhabited = np.flatnonzero(objects.counts)
    found[subject_lib.marked(name)] = objects.take(inhabited)
  return found


def _fingerprint(encoder: str | None) -> list[list]:
  """Size and time of each file of a SavedModel."""
  found = []
  for folder, _, names in os.walk(encoder or os.devnull):
    for name in names:
      info = os.stat(os.path.join(folder, name))
      found.append([name, info.st_size, info.st_mtime_ns])
  return sorted(found)


def _find_all(
  images: records_lib.ImageRecords,
  chosen: np.ndarray,
  estimator: Estimator,
  store: region_files.RegionFiles,
) -> list[region_files.Regions]:
  """The regions of all images, those from the files where they are there."""
  found: list[region_files.Regions] = []
  with tqdm.tqdm(
    total=len(chosen), desc="Finding objects", unit="image", mininterval=0.5
  ) as bar:
    for number, start in enumerate(range(0, len(chosen), _IMAGES_IN_A_FILE)):
      some = chosen[start : start + _IMAGES_IN_A_FILE].tolist()
      known = store.read(number)
      if known is None:
        readers = (functools.partial(_read, images, i) for i in some)
        known = []
        for regions in estimator.regions(readers):
          known.append(regions)
          bar.update()
        store.write(number, known)
      else:
        bar.update(len(known))
        bar.initial = bar.n  # They took no time.
      found.extend(known)
  return found


def _read(images: records_lib.ImageRecords, index: int) -> np.ndarray:
  """One image; where that fails, the reason is the error's message."""
  try:
    encoded = loading.read_encoded(images, index)
    return decoding.decode(tf.constant(encoded)).numpy()
  except (OSError, EOFError, KeyError, tf.errors.OpError) as error:
    reason = skipped_lib.why_unusable(images, index, None)
    raise errors.UsageError(reason or "could not be read") from error


def _find(
  read: Callable[[], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, str]:
  """An image, the boxes of its objects, and what went wrong."""
  try:
    image = read()
  except errors.UsageError as error:
    return np.zeros([16, 16, 3], np.uint8), np.zeros([0, 4]), str(error)
  return image, objectness.find(image), ""
