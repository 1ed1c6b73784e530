"""Finds near-duplicates in a folder, or between two, and writes a report."""

import io
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation.duplicates import encoder_check, pictures, search
from tf_ssl.evaluation.duplicates import fingerprints as fingerprints_lib
from tf_ssl.models import image_model
from tf_ssl.ops import names, workdir
from tf_ssl.reporting import charts, pages, tables

CSV_FILE = "duplicates.csv"
REPORT_FILE = "report.html"
_COLUMNS = ("first", "second", "distance", "similarity", "mirrored", "group")
_TEMPLATE = "evaluation/duplicates/report.html.j2"
_SHOWN = 60  # Pairs that the page shows.


class Found(NamedTuple):
  """Near-duplicates of a search.

  Attributes:
    pairs: pairs of images.
    images: number of images of each set.
    groups: sets of images that look alike; empty between two sets.
    problems: reasons by name of the images that cannot be read; by path, if
      there are two sets.
    page: path of the report.
  """

  pairs: search.Pairs
  images: list[int]
  groups: list[np.ndarray]
  problems: dict[str, str]
  page: str


def find_duplicates(
  images: str,
  output_dir: str,
  *,
  other: str | None = None,
  distance: int = search.DISTANCE,
  model: image_model.ImageModel | None = None,
  image_size: int = 224,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> Found:
  """Compares all images of one source, or of one with those of another.

  Args:
    images: image source.
    output_dir: folder to write the pairs and a page with pictures to.
    other: second image source; None for pairs within the first.
    distance: largest Hamming distance of the hashes.
    model: encoder whose features confirm pairs; None for gradients of small
      pictures.
    image_size: side of the squares that the encoder sees, pixels.
    command: command line for the page.
    say: takes lines about what was found.

  Raises:
    UsageError: a source or the model cannot be used, the distance is out of
      range, millions of pairs look alike, or the folder cannot be written.
  """
  search.check_distance(distance)
  records = [open_images.open_images(images, named_by="--images")]
  if other is not None:
    records.append(open_images.open_images(other, named_by="--other"))
  look = None
  if model is not None:
    check = encoder_check.EncoderCheck(model, records, image_size=image_size)
    look = check.look(records[0], records[-1])
    say(check.text())
  prints = [
    fingerprints_lib.of_records(each, label=f"Hashing {each.root}")
    for each in records
  ]
  pairs = search.near(
    prints[0],
    prints[1] if other is not None else None,
    distance=distance,
    look=look,
  )
  linked = []
  if other is None:
    linked = search.groups(pairs, records[0].num_images)
  problems = prints[0].problems
  if other is not None:  # Both sets may have an image of one name.
    problems = {
      os.path.join(record.root, name): reason
      for record, each in zip(records, prints, strict=True)
      for name, reason in each.problems.items()
    }
  for name, reason in problems.items():
    say(f"skipped {names.escaped(name)}: {reason}")
  counts = ", ".join(f"{n} at {d}" for d, n in pairs.counts().items())
  say(
    f"{len(pairs.first)} pairs of near-duplicates among"
    f" {' and '.join(f'{r.num_images:,}' for r in records)} images (pairs by"
    f" Hamming distance: {counts})"
  )
  if linked:
    extra = sum(len(group) - 1 for group in linked)
    say(f"{len(linked)} groups; {extra} images are copies of others")
  page = os.path.join(output_dir, REPORT_FILE)
  with workdir.writable(output_dir, "--output_dir"):
    os.makedirs(output_dir, exist_ok=True)
    workdir.write_text(
      os.path.join(output_dir, CSV_FILE),
      tables.csv_text(_rows(records, pairs, linked), _COLUMNS),
    )
    workdir.write_text(
      page,
      pages.render(
        _TEMPLATE,
        title="Near-duplicates",
        sources=[each.root for each in records],
        count=len(pairs.first),
        counts=pairs.counts(),
        groups=len(linked),
        unreadable=len(problems),
        confirmed_by=encoder_check.named(model),
        shown=min(_SHOWN, len(pairs.first)),
        pictures=[
          charts.data_uri(_jpeg(picture), "image/jpeg")
          for picture in pictures.of_pairs(
            records[0], records[-1], pairs, most=_SHOWN
          )
        ],
        command=command,
      ),
    )
  return Found(pairs, [r.num_images for r in records], linked, problems, page)


def _rows(
  records: list[records_lib.ImageRecords],
  pairs: search.Pairs,
  linked: list[np.ndarray],
):
  group_of = {i: n for n, group in enumerate(linked) for i in group.tolist()}
  for first, second, distance, similarity, mirrored in zip(*pairs, strict=True):
    yield {
      "first": names.escaped(records[0].name(int(first))),
      "second": names.escaped(records[-1].name(int(second))),
      "distance": int(distance),
      "similarity": round(float(similarity), 4),
      "mirrored": int(mirrored),
      "group": group_of.get(int(first)),
    }


def _jpeg(picture: np.ndarray) -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(picture).save(buffer, format="JPEG", quality=85)
  return buffer.getvalue()
