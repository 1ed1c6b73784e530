"""Small diagnoses for tests; all images of a dataset have the same boxes."""

import numpy as np
from PIL import Image

from tf_ssl.dataset_bias import diagnosis, object_boxes, reference
from tf_ssl.datasets import records

EVIL = "<script>alert(1)</script> $x"


def pictures(boxes, count):
  return object_boxes.from_rows(
    np.full([count, 2], 96),
    np.repeat(np.arange(count), len(boxes)),
    np.tile(boxes, [count, 1]),
    np.tile(np.arange(len(boxes)) % 2, count),
    (EVIL, "b"),
  )


def one_object(count=8):
  return pictures([[10, 10, 86, 86]], count)


def corners(count=8):
  return pictures([[0, 0, 30, 30], [66, 66, 96, 96]], count)


def of(objects, folder, *, estimated_by="", **settings):
  for i in range(objects.num_images):
    Image.new("RGB", (96, 96), (9 * i, 50, 90)).save(folder / f"{i}.png")
  names = np.array([f"{i}.png".encode() for i in range(objects.num_images)])
  sizes = np.full(objects.num_images, 100)
  given = object_boxes.Dataset(
    source=f"test {EVIL}",
    images=records.ImageRecords(str(folder), names, sizes),
    objects=objects,
    digest={"sha256": "0123456789abcdef"},
    skipped={"a reason": tuple(f"file{i} {EVIL}" for i in range(9))},
    estimated_by=estimated_by,
  )
  mark = object_boxes.estimate_name if estimated_by else str
  references = zip(reference.MEANING, (one_object(), corners()), strict=True)
  return diagnosis.diagnose(
    given,
    {mark(name): them for name, them in references},
    diagnosis.Settings(pairs=20, min_areas=(0.1, 0.2, 0.9), **settings),
    command="the command",
  )
