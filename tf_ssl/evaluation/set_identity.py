"""Which labeled images a number is about, whatever folder they lie in."""

import hashlib
from typing import Any

from tf_ssl.datasets import records as records_lib


def identity(
  records: records_lib.ImageRecords, num_classes: int
) -> dict[str, Any]:
  """Identifies labeled images without reading them.

  Args:
    records: with labels, negative where unknown.
    num_classes: C.

  Returns:
    What `records.digest` has of the images; `labels_sha256`, a hash of the
    class and, where there is one, the region of each; `classes`, their number.
  """
  names = [*(records.class_names or map(str, range(num_classes))), None]
  regions = [""] * records.num_images
  if records.boxes is not None:
    regions = [f"\0{box}" for box in records.boxes.tolist()]
  by_name = sorted(
    f"{records.name(i)}\0{names[max(label, -1)]}{regions[i]}\n"
    for i, label in enumerate(records.labels.tolist())
  )
  sha256 = hashlib.sha256()
  for line in by_name:
    sha256.update(line.encode("utf-8", "surrogateescape"))
  return {
    **records_lib.digest(records),
    "labels_sha256": sha256.hexdigest(),
    "classes": num_classes,
  }
