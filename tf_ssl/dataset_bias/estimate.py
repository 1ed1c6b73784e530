"""Estimates the objects of images without annotations from their pixels."""

import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import cluster

from tf_ssl import errors
from tf_ssl.dataset_bias import object_boxes, objectness, reference
from tf_ssl.datasets import records as records_lib
from tf_ssl.features import encoder_regions as encoder_features
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor
from tf_ssl.ops import progress, workdir
from tf_ssl.video.tracking import region_features

REGIONS_FOLDER = "regions"
_IMAGES_PER_FILE = 32
_REFERENCE_SEED = 1  # World 0 tuned `objectness`.
_ARRAYS = ("sizes", "counts", "boxes", "features", "problems")


class Regions(NamedTuple):
  """Regions found in one image.

  Attributes:
    size: [2] int, height and width of the image in pixels; zeros if it could
      not be read.
    boxes: [R, 4] pixels, xmin, ymin, xmax, ymax.
    features: [R, F] float32, description of each region's appearance.
    problem: why the image could not be read; empty if it could.
  """

  size: np.ndarray
  boxes: np.ndarray
  features: np.ndarray
  problem: str = ""


class RegionFiles:
  """Files with regions of some images each, so that an estimate can resume.

  Regions of other images or of another estimator go into another folder.
  """

  def __init__(self, folder: str, key: dict[str, Any]):
    """Opens the files.

    Args:
      folder: parent folder; created if it does not exist.
      key: JSON values that decide which regions are found.
    """
    text = json.dumps(key, sort_keys=True).encode()
    name = hashlib.sha256(text).hexdigest()[:12]
    self._folder = os.path.join(folder, name)
    os.makedirs(self._folder, exist_ok=True)

  def read(self, number: int) -> list[Regions] | None:
    """Regions in file `number`; None if it is missing or damaged."""
    try:
      with np.load(self._path(number), allow_pickle=False) as data:
        sizes, counts, boxes, features, problems = (
          data[name] for name in _ARRAYS
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
      return None
    ends = np.cumsum(counts)[:-1]
    return [
      Regions(*columns[:-1], str(columns[-1]))
      for columns in zip(
        sizes,
        np.split(boxes, ends),
        np.split(features, ends),
        problems,
        strict=True,
      )
    ]

  def write(self, number: int, found: Sequence[Regions]) -> None:
    """Writes the regions of some images to file `number`."""
    columns = (
      [regions.size for regions in found],
      [len(regions.boxes) for regions in found],
      np.concatenate([regions.boxes for regions in found]),
      np.concatenate([regions.features for regions in found]),
      [regions.problem for regions in found],
    )
    with (
      workdir.replacing_file(self._path(number)) as path,
      open(path, "wb") as file,
    ):
      np.savez(file, **dict(zip(_ARRAYS, columns, strict=True)))

  def _path(self, number: int) -> str:
    return os.path.join(self._folder, f"{number:06d}.npz")


class Estimator:
  """Estimates objects and groups them into classes by appearance.

  Attributes:
    description: the method in words.
    key: JSON values that decide which regions are found.
  """

  def __init__(
    self,
    encoder: str | None = None,
    *,
    endpoint: str = "C4",
    num_classes: int = 20,
    seed: int = 0,
  ):
    """Loads the encoder, if one is given.

    Args:
      encoder: path of a SavedModel, one of whose maps describes regions; None
        for histograms of colors and gradients.
      endpoint: name of the encoder's map.
      num_classes: C, number of groups of similar regions.
      seed: seed of the grouping.

    Raises:
      UsageError: the encoder cannot be used, or C is less than 1.
    """
    errors.require(
      num_classes >= 1,
      f"num_classes={num_classes}: expected at least 1; raise num_classes",
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
      "objects are regions of a selective search that many other regions agree "
      f"with and that stand out; classes are {num_classes} groups of regions "
      f"with similar {looks}"
    )
    self.key = [objectness.VERSION, looks, _fingerprint(encoder)]

  def regions(
    self, readers: Iterable[Callable[[], np.ndarray]]
  ) -> Iterator[Regions]:
    """Finds and describes the objects of images.

    Args:
      readers: functions that return an image, [H, W, 3] uint8; threads call
        them.

    Yields:
      Regions of each image; `problem` is set if its reader failed.
    """
    for image, boxes, problem in feature_extractor.map_ahead(_find, readers):
      features = self._describe(image, boxes)
      size = np.zeros(2, int) if problem else np.array(image.shape[:2])
      yield Regions(size, boxes, features, problem)

  def objects(self, found: list[Regions]) -> object_boxes.ObjectBoxes:
    """Groups the regions of images into objects with classes."""
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
) -> object_boxes.Dataset:
  """Estimates the objects of images; an interrupted call can be repeated.

  Args:
    images: images; a record's box is ignored, its whole image is used.
    estimator: method of the estimate.
    output_dir: folder that keeps found regions in `REGIONS_FOLDER`.
    max_images: size of the random subset to use; 0 for all images.
    seed: seed of the random subset.
    max_skipped_fraction: largest share of unreadable images, 0..1.

  Raises:
    UsageError: too many images cannot be read, no image has a region, or the
      folder cannot be written.
  """
  chosen = object_boxes.sample(images.num_images, max_images, seed)
  digest = {**records_lib.digest(images), "looked_at": len(chosen)}
  key = {
    "digest": digest,
    "chosen": chosen.tolist(),
    "estimator": estimator.key,
  }
  skipped = skipped_lib.SkippedFiles(None, len(chosen), max_skipped_fraction)
  with workdir.writable(output_dir, "--output_dir"):
    store = RegionFiles(os.path.join(output_dir, REGIONS_FOLDER), key)
    found = find_all(images, chosen, estimator.regions, store)
  for index, regions in zip(chosen.tolist(), found, strict=True):
    if regions.problem:
      skipped.add(images.name(index), regions.problem)
  good = [i for i, regions in enumerate(found) if not regions.problem]
  objects = estimator.objects([found[i] for i in good])
  errors.require(
    objects.counts.any(),
    f"images: no region stands out in any of {len(good)} images under "
    f"{images.root!r}; expected photographs; change --images, or give "
    "--annotations",
  )
  reasons: dict[str, list[str]] = {}
  for name, reason in skipped.reasons.items():
    reasons.setdefault(reason, []).append(name)
  return object_boxes.Dataset(
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
  """Estimates objects in rendered pictures, to compare other estimates with.

  Args:
    num_images: number of pictures of each kind; pictures without a region are
      left out.
    estimator: the estimator of the dataset's objects.

  Returns:
    {name in `reference.MEANING`, marked as an estimate: objects}.
  """
  found = {}
  for name, render in reference.PICTURES.items():
    readers = (
      functools.partial(render, _REFERENCE_SEED, i) for i in range(num_images)
    )
    regions = list(
      progress.bar(
        name.capitalize(),
        estimator.regions(readers),
        total=num_images,
        unit="image",
        leave=False,
      )
    )
    objects = estimator.objects(regions)
    inhabited = np.flatnonzero(objects.counts)
    found[object_boxes.estimate_name(name)] = objects.take(inhabited)
  return found


def _fingerprint(encoder: str | None) -> list[list]:
  """Size and time of each file of a SavedModel."""
  found = []
  for folder, _, names in os.walk(encoder or os.devnull):
    for name in names:
      info = os.stat(os.path.join(folder, name))
      found.append([name, info.st_size, info.st_mtime_ns])
  return sorted(found)


def proposals(
  readers: Iterable[Callable[[], np.ndarray]],
) -> Iterator[Regions]:
  """Finds the objects of images, without describing them.

  Args:
    readers: functions that return an image, [H, W, 3] uint8; threads call them.

  Yields:
    Regions of each image; `problem` is set if its reader failed.
  """
  for image, boxes, problem in feature_extractor.map_ahead(_find, readers):
    size = np.zeros(2, int) if problem else np.array(image.shape[:2])
    yield Regions(size, boxes, np.zeros([len(boxes), 0]), problem)


def find_all(
  images: records_lib.ImageRecords,
  chosen: np.ndarray,
  regions_of: Callable[[Iterable[Callable[[], np.ndarray]]], Iterator[Regions]],
  store: RegionFiles,
) -> list[Regions]:
  """Finds the regions of images, with a progress bar.

  Args:
    images: images; a record's box is ignored, its whole image is used.
    chosen: [n] int, indices of the images to search.
    regions_of: `proposals` or `Estimator.regions`.
    store: files that keep what was found, so that a call can be repeated.
  """
  found: list[Regions] = []
  with progress.bar("Finding objects", total=len(chosen), unit="image") as bar:
    for number, start in enumerate(range(0, len(chosen), _IMAGES_PER_FILE)):
      some = chosen[start : start + _IMAGES_PER_FILE].tolist()
      known = store.read(number)
      if known is None:
        readers = (functools.partial(_read, images, i) for i in some)
        known = []
        for regions in regions_of(readers):
          known.append(regions)
          bar.update()
        store.write(number, known)
      else:
        bar.update(len(known))
        bar.initial = bar.n  # Reading them took no time worth counting.
      found.extend(known)
  return found


def _read(images: records_lib.ImageRecords, index: int) -> np.ndarray:
  """Reads an image; the message of its UsageError is the reason it cannot."""
  try:
    encoded = loading.read_encoded(images, index)
    return decoding.decode_bytes(encoded)
  except Exception as error:  # Readers raise various errors on damaged files.
    reason = skipped_lib.why_unusable(images, index, None)
    raise errors.UsageError(reason or "could not be read") from error


def _find(
  read: Callable[[], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, str]:
  """An image, the boxes of its objects, and why it could not be read."""
  try:
    image = read()
  except errors.UsageError as error:
    return np.zeros([16, 16, 3], np.uint8), np.zeros([0, 4]), str(error)
  return image, objectness.find(image), ""
