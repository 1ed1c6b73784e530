"""A diagnosis as JSON and CSV."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tf_ssl.dataset_bias import crop_statistics, verdict, view_contents
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.ops import workdir

JSON_FILE = "diagnosis.json"
CURVES_FILE = "curves.csv"
IMAGES_FILE = "per_image.csv"
CLASSES_FILE = "co_occurrence.csv"
_NAMES = 50  # of what was left out in the JSON, for each reason
_PER_IMAGE = ("objects", "classes", "entropy", "largest_area", "centeredness")


def write(diagnosis: diagnosis_lib.Diagnosis, output_dir: str) -> None:
  """Writes the four files; each is there as a whole or not at all."""
  text = json.dumps(as_json(diagnosis), indent=2, allow_nan=False)
  for name, content in (
    (JSON_FILE, text + "\n"),
    (CURVES_FILE, _csv(curve_rows(diagnosis))),
    (IMAGES_FILE, _csv(_image_rows(diagnosis))),
    (CLASSES_FILE, _csv(_class_rows(diagnosis))),
  ):
    workdir.write_text(os.path.join(output_dir, name), content)


def overview(diagnosis: diagnosis_lib.Diagnosis) -> list[dict[str, Any]]:
  """One row a dataset: what its images are like, as means."""
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
    rows.append({key: _finite(value) for key, value in row.items()})
  return rows


def curve_rows(diagnosis: diagnosis_lib.Diagnosis) -> list[dict[str, Any]]:
  """One row for each dataset, smallest area and quantity."""
  return [
    {
      "dataset": name,
      "estimate": bool(diagnosis.subject.estimated_by),
      "min_area": area,
      "is_recipe": area == diagnosis.settings.crop.area[0],
      "quantity": quantity,
      **{key: _finite(value) for key, value in mean._asdict().items()},
    }
    for name, described in diagnosis.described.items()
    for area, means in described.curve.items()
    for quantity, mean in means.items()
  ]


def as_json(diagnosis: diagnosis_lib.Diagnosis) -> dict[str, Any]:
  """Everything but the tables by image and by class, as JSON values."""
  subject, settings = diagnosis.subject, diagnosis.settings
  return {
    "command": diagnosis.command,
    "source": subject.source,
    "estimate": subject.estimated_by or None,
    "digest": subject.digest,
    "skipped": {
      reason: {"count": len(names), "some": list(names[:_NAMES])}
      for reason, names in subject.skipped.items()
    },
    "settings": {
      "area": list(settings.crop.area),
      "aspect": list(settings.crop.aspect),
      "pairs_per_image": settings.pairs,
      "min_inside": settings.shown.min_inside,
      "min_filled": settings.shown.min_filled,
      "seed": settings.seed,
    },
    "sentences": verdict.sentences(diagnosis),
    "position": _finite(verdict.position(diagnosis)),
    "images": overview(diagnosis),
    "meaning": view_contents.MEANING,
    "crops": curve_rows(diagnosis),
    "distributions": {
      name: {
        "overlap": _shares(described.contents.overlap),
        "visible_share_of_main": _shares(described.contents.cover),
      }
      for name, described in diagnosis.described.items()
    },
  }


def _image_rows(diagnosis) -> Iterable[dict[str, Any]]:
  """The subject's images: what they show, and what the recipe makes of it."""
  subject, described = diagnosis.subject, diagnosis.own
  of_crops = {
    name: crop_statistics.per_image(described.contents, name)
    for name in view_contents.MEANING
  }
  place = np.full(subject.objects.num_images, -1)
  place[described.inhabited] = np.arange(len(described.inhabited))
  for image, (height, width) in enumerate(subject.objects.sizes.tolist()):
    row = {
      "image": subject.images.name(image),
      "estimate": bool(subject.estimated_by),
      "width": width,
      "height": height,
    }
    for key in _PER_IMAGE:
      row[key] = _finite(getattr(described.statistics, key)[image].item())
    for name, values in of_crops.items():
      known = place[image] >= 0
      row[name] = _finite(values[place[image]].item()) if known else None
    yield row


def _class_rows(diagnosis) -> list[dict[str, Any]]:
  """Pairs of classes that are seen together at least once, and the diagonal."""
  names = diagnosis.subject.objects.class_names
  together = diagnosis.own.co_occurrence
  rows, columns = np.nonzero(np.triu(together.images))
  return [
    {
      "class": names[row],
      "estimate": bool(diagnosis.subject.estimated_by),
      "other": names[column],
      "images_with_both": int(together.images[row, column]),
      "images_with_class": int(together.images_with[row]),
      "images_with_other": int(together.images_with[column]),
    }
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
  ]


def _shares(counts: np.ndarray) -> list[float]:
  return (counts / max(counts.sum(), 1)).tolist()


def _finite(value: Any) -> Any:
  """None in place of a number that is undefined."""
  is_undefined = isinstance(value, float) and not math.isfinite(value)
  return None if is_undefined else value


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
  rows = list(rows)
  text = io.StringIO()
  if rows:
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
  return text.getvalue()
