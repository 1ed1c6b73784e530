"""Diagnoses as JSON and CSV files."""

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from tf_ssl.dataset_bias import crop_statistics
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias.report import summary
from tf_ssl.ops import names, workdir
from tf_ssl.reporting import tables

JSON_FILE = "diagnosis.json"
CURVES_FILE = "curves.csv"
CROPPERS_FILE = "croppers.csv"
IMAGES_FILE = "per_image.csv"
CLASSES_FILE = "co_occurrence.csv"
_NAMES = 50  # Names in the JSON file for each reason to skip.
_PER_IMAGE = ("objects", "classes", "entropy", "largest_area", "centeredness")
_CLASS_COLUMNS = (
  "class,estimate,other,images_with_both,images_with_class,images_with_other"
).split(",")


def write(diagnosis: diagnosis_lib.Diagnosis, output_dir: str) -> None:
  """Writes the JSON file and the four CSV files."""
  content = as_json(diagnosis)
  for name, text in (
    (JSON_FILE, tables.json_text(content)),
    (CURVES_FILE, tables.csv_text(content["crops"])),
    (CROPPERS_FILE, tables.csv_text(content["croppers"])),
    (IMAGES_FILE, tables.csv_text(_image_rows(diagnosis))),
    (CLASSES_FILE, tables.csv_text(_class_rows(diagnosis), _CLASS_COLUMNS)),
  ):
    workdir.write_text(os.path.join(output_dir, name), text)


def overview(diagnosis: diagnosis_lib.Diagnosis) -> list[dict[str, Any]]:
  """One row per dataset: means over its images with an object."""
  rows = []
  for name, described in diagnosis.described.items():
    statistics = described.statistics
    inhabited = described.inhabited
    row = {
      "dataset": name,
      "images": len(statistics.objects),
      "images_without_objects": len(statistics.objects) - len(inhabited),
    }
    for key in _PER_IMAGE:
      row[key] = float(getattr(statistics, key)[inhabited].mean())
    row["class_entropy"] = described.co_occurrence.entropy
    row["companion_entropy"] = described.co_occurrence.companion_entropy
    rows.append(tables.json_value(row))
  return rows


def curve_rows(diagnosis: diagnosis_lib.Diagnosis) -> list[dict[str, Any]]:
  """One row per dataset, smallest crop area and quantity."""
  return [
    {
      "dataset": name,
      "estimate": bool(diagnosis.dataset.estimated_by),
      "min_area": area,
      "is_recipe": area == diagnosis.settings.crop.area[0],
      "quantity": quantity,
      **tables.json_value(mean),
    }
    for name, described in diagnosis.described.items()
    for area, means in described.curve.items()
    for quantity, mean in means.items()
  ]


def cropper_rows(diagnosis: diagnosis_lib.Diagnosis) -> list[dict[str, Any]]:
  """One row per cropper and quantity, of the diagnosed dataset."""
  remedy = diagnosis.remedy
  return [
    {
      "cropper": name,
      "estimate": bool(diagnosis.dataset.estimated_by),
      "is_recommended": name == remedy.chosen,
      "quantity": quantity,
      **tables.json_value(mean),
    }
    for name, means in remedy.means.items()
    for quantity, mean in means.items()
  ]


def as_json(diagnosis: diagnosis_lib.Diagnosis) -> dict[str, Any]:
  """The whole diagnosis as JSON values, without rows per image and class."""
  dataset, settings = diagnosis.dataset, diagnosis.settings
  return {
    "command": diagnosis.command,
    "source": dataset.source,
    "estimate": dataset.estimated_by or None,
    "digest": dataset.digest,
    "skipped": {
      reason: {"count": len(who), "some": [*map(names.escaped, who[:_NAMES])]}
      for reason, who in dataset.skipped.items()
    },
    "settings": {
      "area": list(settings.crop.area),
      "aspect": list(settings.crop.aspect),
      "pairs_per_image": settings.pairs,
      "view_size": settings.view_size,
      "min_inside": settings.shown.min_inside,
      "min_filled": settings.shown.min_filled,
      "seed": settings.seed,
    },
    "sentences": summary.sentences(diagnosis),
    "position": tables.json_value(summary.position(diagnosis)),
    "images": overview(diagnosis),
    "meaning": crop_statistics.QUANTITIES,
    "crops": curve_rows(diagnosis),
    "croppers": cropper_rows(diagnosis),
    "recommendation": {
      "cropper": diagnosis.remedy.chosen,
      "sentence": summary.recommendation(diagnosis),
      "gin": list(diagnosis.remedy.gin),
    },
    "distributions": {
      name: {
        "overlap": _shares(described.contents.overlap),
        "visible_share_of_main": _shares(described.contents.cover),
      }
      for name, described in diagnosis.described.items()
    },
  }


def _image_rows(diagnosis) -> Iterable[dict[str, Any]]:
  """One row per image: its statistics and those of the recipe's views."""
  dataset, described = diagnosis.dataset, diagnosis.own
  of_crops = {
    name: crop_statistics.per_image(described.contents, name)
    for name in crop_statistics.QUANTITIES
  }
  place = np.full(dataset.objects.num_images, -1)
  place[described.inhabited] = np.arange(len(described.inhabited))
  for image, (height, width) in enumerate(dataset.objects.sizes.tolist()):
    row = {
      "image": names.escaped(dataset.images.name(image)),
      "estimate": bool(dataset.estimated_by),
      "width": width,
      "height": height,
    }
    for key in _PER_IMAGE:
      row[key] = getattr(described.statistics, key)[image].item()
    for name, values in of_crops.items():
      row[name] = values[place[image]].item() if place[image] >= 0 else None
    yield tables.json_value(row)


def _class_rows(diagnosis) -> Iterable[dict[str, Any]]:
  """One row per pair of classes that share an image, with the diagonal."""
  classes = diagnosis.dataset.objects.class_names
  estimate = bool(diagnosis.dataset.estimated_by)
  together = diagnosis.own.co_occurrence
  for pair in zip(*np.nonzero(np.triu(together.images)), strict=True):
    first, second = map(int, pair)
    counts = (
      together.images[first, second],
      together.images_with[first],
      together.images_with[second],
    )
    row = (classes[first], estimate, classes[second], *map(int, counts))
    yield dict(zip(_CLASS_COLUMNS, row, strict=True))


def _shares(counts: np.ndarray) -> list[float]:
  return (counts / max(counts.sum(), 1)).tolist()
