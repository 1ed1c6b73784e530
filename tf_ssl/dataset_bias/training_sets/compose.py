"""Writes a set of composed scenes: pictures and their boxes in COCO's format.

Like `write`, everything goes to OUTPUT.partial first. A scene's layout follows
from its number, so an interrupted call resumes with the missing pictures.
"""

import collections
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import mosaics, training_sets, write
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.datasets.annotations import annotations as annotations_lib
from tf_ssl.datasets.annotations import open_annotations
from tf_ssl.input_pipeline import loading
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor
from tf_ssl.ops import jpeg, names, pictures, progress, workdir

IMAGES, ANNOTATIONS = "images", "annotations.json"
_SKIPPED = "skipped_files.txt"
_VERSION = 1  # Increased when pixels or boxes change.


def compose(
  annotations: str,
  images: str | None,
  output_dir: str,
  *,
  number: int,
  composition: mosaics.Composition,
  backgrounds: str | None = None,
  split: str = "trainval",
  min_size: int = 32,
  margin: float = 0.1,
  max_skipped_fraction: float = 0.05,
  overwrite: bool = False,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
  """Composes scenes of the objects of annotated photos.

  The folder has images/000012.jpg, or images/CLASS/000012.jpg if each scene has
  one object; annotations.json with all boxes, in COCO's format; and
  summary.json.

  Args:
    annotations: source that `open_annotations` reads.
    images: folder of the annotated photos.
    output_dir: folder to create; it may exist if it is empty or already holds
      this set.
    number: number of scenes.
    composition: number, size and overlap of objects.
    backgrounds: image source of the backgrounds; None for parts of the photos
      beside their objects.
    split: split of a dataset in VOC's layout.
    min_size: smallest shorter side of an object's box, pixels.
    margin: margin around a box, as a share of its sides.
    max_skipped_fraction: largest share of unusable photos, 0..1.
    overwrite: whether to replace anything at `output_dir`.
    command: command line for the summary.
    say: function that takes messages, line by line.

  Returns:
    The summary.

  Raises:
    UsageError: a setting is out of range, a source cannot be used, something
      else is at `output_dir`, or too many photos are unreadable.
  """
  mosaics.check(composition)
  errors.require(
    number >= 1, f"--number={number}: expected 1 or more; change --number"
  )
  annotated = open_annotations.open_annotations(
    annotations,
    images,
    split=split,
    max_skipped_fraction=max_skipped_fraction,
  )
  behind = backgrounds and open_images.open_images(
    backgrounds, named_by="--backgrounds"
  )
  given = mosaics.photos(
    annotated, behind or None, min_size=min_size, margin=margin
  )
  key = {
    "version": _VERSION,
    "photos": annotations_lib.digest(annotated),
    "backgrounds": records_lib.digest(given.backgrounds),
    "min_size": min_size,
    "margin": margin,
    "number": number,
    **composition._asdict(),
  }

  def fill(partial: pathlib.Path, resumed: bool) -> dict[str, Any]:
    if resumed:
      done = sum(1 for _ in (partial / IMAGES).rglob("*.jpg"))
      say(f"resuming {partial}: {done} scenes are done")
    writer = _Writer(
      partial, annotated, given, composition, number, max_skipped_fraction
    )
    return writer.write()

  return write.into(
    output_dir,
    key,
    fill,
    scratch=[_SKIPPED],
    overwrite=overwrite,
    command=command,
    say=say,
  )


class _Writer:
  """Writes the scenes of one set into a folder."""

  def __init__(self, folder, annotated, given, composition, number, limit):
    self._folder: pathlib.Path = folder
    self._annotated: annotations_lib.Annotations = annotated
    self._given: mosaics.Photos = given
    self._composition: mosaics.Composition = composition
    self._number: int = number
    self._skipped = skipped_lib.SkippedFiles(
      str(folder / _SKIPPED), annotated.num_images, limit
    )
    self._classes = training_sets.class_folders(annotated.class_names)

  def write(self) -> dict[str, Any]:
    """Draws the missing scenes, then lists the boxes of all."""
    layouts = [
      mosaics.layout(self._composition, self._given, index)
      for index in range(self._number)
    ]
    files = [self._file(i, laid_out) for i, laid_out in enumerate(layouts)]
    for file in set(files):
      (self._folder / IMAGES / file).parent.mkdir(parents=True, exist_ok=True)
    missing = [
      i for i, f in enumerate(files) if not (self._folder / IMAGES / f).exists()
    ]
    with progress.bar(
      "Composing",
      total=self._number,
      done=self._number - len(missing),
      unit="scene",
    ) as bar:
      # Skipped photos are listed before the first scene without them exists.
      drawn = feature_extractor.map_ahead(
        lambda index: self._draw(layouts[index]), missing
      )
      for index, encoded in zip(missing, drawn, strict=True):
        path = self._folder / IMAGES / files[index]
        with workdir.replacing_file(path) as temporary:
          temporary.write_bytes(encoded)
        bar.update()
    content = self._content(files, layouts)
    workdir.write_json(self._folder / ANNOTATIONS, content, indent=None)
    per_scene = collections.Counter(
      entry["image_id"] for entry in content["annotations"]
    )
    return {
      "source": f"objects of {self._annotated.source}",
      "pictures": self._number,
      "boxes": len(content["annotations"]),
      "boxes_per_scene": dict(
        sorted(
          collections.Counter(per_scene[i] for i in range(self._number)).items()
        )
      ),
      "classes": list(self._annotated.class_names),
      "objects": len(self._given.boxes),
      "backgrounds": self._given.backgrounds.num_images,
      "left_out": {
        **self._given.objects.skipped,
        "an object without a place": sum(
          laid_out.without_place for laid_out in layouts
        ),
      },
      "skipped": {
        "count": self._skipped.count,
        "reasons": {
          names.escaped(name): reason
          for name, reason in self._skipped.reasons.items()
        },
      },
    }

  def _file(self, index: int, laid_out: mosaics.Layout) -> str:
    name = f"{index:06d}.jpg"
    if self._composition.max_objects > 1:
      return name
    return f"{self._classes[self._label(laid_out.placed[0].row)]}/{name}"

  def _label(self, row: int) -> int:
    return int(self._given.objects.images.labels[row])

  def _draw(self, laid_out: mosaics.Layout) -> bytes:
    size = self._composition.image_size
    background = self._read(self._given.backgrounds, laid_out.background)
    if background is None:
      background = np.full([size, size, 3], 127, np.uint8)
    regions = [
      self._read(self._given.objects.images, placed.row)
      for placed in laid_out.placed
    ]
    return jpeg.encode(mosaics.draw(size, laid_out, background, regions))

  def _read(
    self, records: records_lib.ImageRecords, row: int
  ) -> np.ndarray | None:
    """A photo's region; None, after it is listed, if it cannot be read."""
    box = None if records.boxes is None else records.boxes[row]
    try:
      # Small photos take Pillow a tenth of TensorFlow's time.
      pixels = pictures.decode(loading.read_encoded(records, row))
      if box is not None:
        xmin, ymin, xmax, ymax = box.tolist()
        height, width = pixels.shape[:2]
        if xmax > width or ymax > height:
          raise ValueError(f"the box exceeds the {width}x{height} image")
        pixels = pixels[ymin:ymax, xmin:xmax]
      return pixels
    except Exception:  # Readers raise various errors on damaged files.
      reason = skipped_lib.why_unusable(records, row, box)
      # A background of another source may have the name of a photo.
      name = records.name(row)
      if records.root != self._given.objects.images.root:
        name = records.path(row)
      self._skipped.add(name, reason or "could not be read at that moment")
      return None

  def _content(self, files, layouts) -> dict[str, Any]:
    """The content of annotations.json."""
    unread = set(self._skipped.reasons)
    images = self._given.objects.images
    size = self._composition.image_size
    boxes = [
      (index, placed)
      for index, laid_out in enumerate(layouts)
      for placed in laid_out.placed
      if images.name(placed.row) not in unread
    ]
    return {
      "images": [
        {"id": index, "file_name": file, "height": size, "width": size}
        for index, file in enumerate(files)
      ],
      "annotations": [
        {
          "id": 1 + number,
          "image_id": index,
          "category_id": 1 + self._label(placed.row),
          "bbox": [
            round(v, 2)
            for v in (
              *placed.box[:2],
              placed.box[2] - placed.box[0],
              placed.box[3] - placed.box[1],
            )
          ],
          "area": round(
            (placed.box[2] - placed.box[0]) * (placed.box[3] - placed.box[1]), 1
          ),
          "iscrowd": 0,
        }
        for number, (index, placed) in enumerate(boxes)
      ],
      "categories": [
        {"id": 1 + i, "name": name}
        for i, name in enumerate(self._annotated.class_names)
      ],
    }
