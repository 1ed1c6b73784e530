"""Rendered stills, scenes and videos as files: PNG, MP4, CSV and JSON.

Writers yield once per image or frame, for a progress bar. PyAV is imported only
when a video is written.
"""

import csv
import fractions
import io
import json
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from tf_ssl.rendering import categories, factors, scripts, stills, videos

TRACK_COLUMNS = (
  "frame",
  "track",
  "category",
  "xmin",
  "ymin",
  "xmax",
  "ymax",
  "visible_fraction",
)
# Objects with fewer visible pixels have no row.
MIN_VISIBLE_PIXELS = 8
# Mask value of pixels without an object; category i has the value 1 + i.
NO_OBJECT = 0
ANNOTATIONS = "annotations.json"
CLASSES = "classes.json"
# libx264 first, at a quality that is nearly indistinguishable from the source.
_ENCODERS = (
  ("libx264", {"crf": "14", "preset": "veryfast"}),
  ("mpeg4", {"qscale": "2", "flags": "+qscale", "global_quality": "236"}),
)


def video_names(number: int) -> tuple[str, str]:
  """Returns the names of a video's files: video, tracks."""
  return f"{number:06d}.mp4", f"boxes/{number:06d}.csv"


def scene_names(number: int) -> tuple[str, str, str]:
  """Returns the names of a scene's files: image, mask, boxes."""
  return (
    f"images/{number:06d}.png",
    f"masks/{number:06d}.png",
    f"boxes/{number:06d}.csv",
  )


def write_still(
  folder: pathlib.Path,
  name: str,
  shown: factors.Factors,
  *,
  seed: int,
  image_size: int,
) -> Iterator[None]:
  """Renders a still into a PNG file.

  Args:
    folder: folder to write to; the subfolder of `name` exists.
    name: name of the file.
    shown: factors of the still.
    seed: seed of the world.
    image_size: H and W.

  Raises:
    OSError: the file cannot be written.
  """
  image = stills.render(shown, image_size=image_size, seed=seed)
  _write_png(pathlib.Path(folder, name), image[..., ::-1])
  yield


def write_background(
  folder: pathlib.Path, name: str, number: int, *, seed: int, image_size: int
) -> Iterator[None]:
  """Renders a background without an object into a PNG file.

  Args:
    folder: folder to write to; the subfolder of `name` exists.
    name: name of the file.
    number: number of the background; `factors.BLACK` for none.
    seed: seed of the world.
    image_size: H and W.

  Raises:
    OSError: the file cannot be written.
  """
  image = stills.render_background(number, image_size=image_size, seed=seed)
  _write_png(pathlib.Path(folder, name), image[..., ::-1])
  yield


def write_scene(
  folder: pathlib.Path,
  number: int,
  index: int,
  *,
  seed: int,
  image_size: tuple[int, int],
) -> Iterator[None]:
  """Renders a scene, the first frame of a video, into image, mask and boxes.

  Args:
    folder: folder to write to; the subfolders of `scene_names` exist.
    number: number of the scene, which names its files.
    index: index of the video in the world.
    seed: seed of the world.
    image_size: H and W.

  Raises:
    OSError: a file cannot be written.
  """
  script = scripts.random_script(seed, index)
  size = videos.size_of(image_size)
  (frame,) = videos.frames(script, 1, seed, size, 1.0)
  # Object number in the frame's mask -> class.
  classes = [NO_OBJECT, *(1 + actor.category for actor in script.actors)]
  image, mask, boxes = (
    pathlib.Path(folder, name) for name in scene_names(number)
  )
  _write_png(image, frame.image[..., ::-1])
  _write_png(mask, np.uint8(classes)[frame.mask])
  _write_tracks(boxes, _track_rows(0, frame, script))
  yield


def write_video(
  folder: pathlib.Path,
  number: int,
  index: int,
  *,
  seed: int,
  num_frames: int,
  image_size: tuple[int, int],
  fps: float,
  backgrounds: int = factors.BACKGROUNDS,
) -> Iterator[None]:
  """Renders a video into an MP4 file and a CSV file of its true tracks.

  Args:
    folder: folder to write to; the subfolders of `video_names` exist.
    number: number of the video, which names its files.
    index: index of the video in the world.
    seed: seed of the world.
    num_frames: number of frames.
    image_size: H and W, both even.
    fps: frame rate, frames per second.
    backgrounds: number of different floors and walls in the world's videos.

  Raises:
    OSError: a file cannot be written.
  """
  script = scripts.random_script(seed, index, backgrounds=backgrounds)
  rows = []

  def images():
    size = videos.size_of(image_size)
    shown = videos.frames(script, num_frames, seed, size, fps)
    for time, frame in enumerate(shown):
      rows.extend(_track_rows(time, frame, script))
      yield frame.image

  movie = io.BytesIO()
  yield from encode(movie, images(), fps)
  video, tracks = (pathlib.Path(folder, name) for name in video_names(number))
  video.write_bytes(movie.getvalue())
  _write_tracks(tracks, rows)


def write_annotations(
  folder: pathlib.Path, numbers: Iterable[int], image_size: tuple[int, int]
) -> None:
  """Writes the boxes of all scenes in COCO's format, and the class names.

  Args:
    folder: folder that `write_scene` has written to.
    numbers: numbers of the scenes.
    image_size: H and W.
  """
  content: dict[str, Any] = {
    "images": [],
    "annotations": [],
    "categories": [
      {"id": 1 + i, "name": name}
      for i, name in enumerate(categories.CATEGORIES)
    ],
  }
  for number in numbers:
    image_name, _, boxes_name = scene_names(number)
    content["images"].append(
      {
        "id": number,
        "file_name": pathlib.PurePath(image_name).name,
        "height": image_size[0],
        "width": image_size[1],
      }
    )
    boxes = pathlib.Path(folder, boxes_name)
    with open(boxes, newline="", encoding="utf-8") as file:
      for row in csv.DictReader(file):
        xmin, ymin, xmax, ymax = (
          int(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        width, height = xmax - xmin, ymax - ymin
        content["annotations"].append(
          {
            "id": 1 + len(content["annotations"]),
            "image_id": number,
            "category_id": 1 + categories.CATEGORIES.index(row["category"]),
            "bbox": [xmin, ymin, width, height],
            "area": width * height,
            "iscrowd": 0,
          }
        )
  pathlib.Path(folder, ANNOTATIONS).write_text(json.dumps(content))
  names = {str(NO_OBJECT): "no object"}
  names |= {str(c["id"]): c["name"] for c in content["categories"]}
  pathlib.Path(folder, CLASSES).write_text(json.dumps(names))


def encode(file, images: Iterable[np.ndarray], fps: float) -> Iterator[None]:
  """Encodes images as MP4, by libx264 or else mpeg4.

  Args:
    file: binary file object to write to.
    images: images [H, W, 3] uint8, RGB, H and W even.
    fps: frame rate, frames per second.

  Yields:
    None, once per image.
  """
  import av  # Here: slow to import.

  name, options = _encoder(av)
  with av.open(file, "w", format="mp4") as container:
    stream = None
    for image in images:
      if stream is None:
        rate = fractions.Fraction(fps).limit_denominator(1000)
        stream = container.add_stream(name, rate=rate, options=options)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        # The encoded bytes depend on the number of threads.
        stream.thread_count = 1
      frame = av.VideoFrame.from_ndarray(image, format="rgb24")
      container.mux(stream.encode(frame))
      yield
    container.mux(stream.encode())


def _encoder(av):
  for name, options in _ENCODERS:
    if name in av.codecs_available:
      return name, options
  raise RuntimeError(
    "PyAV has neither libx264 nor mpeg4; expected one of them: install another"
    " build of av"
  )


def _track_rows(
  time: int, frame: videos.Frame, script: scripts.Script
) -> Iterator[Sequence[Any]]:
  """Yields the rows of one frame; tracks count from 1, as in its mask."""
  for track, actor in enumerate(script.actors, start=1):
    if (frame.mask == track).sum() >= MIN_VISIBLE_PIXELS:
      yield (
        time,
        track,
        categories.CATEGORIES[actor.category],
        *frame.boxes[track - 1].tolist(),
        f"{frame.visible_fraction[track - 1]:.4f}",
      )


def _write_tracks(path: pathlib.Path, rows: Iterable[Sequence[Any]]) -> None:
  with open(path, "w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(TRACK_COLUMNS)
    writer.writerows(rows)


def _write_png(path: pathlib.Path, pixels: np.ndarray) -> None:
  """Writes [H, W] or [H, W, 3] uint8, BGR as OpenCV expects."""
  done, data = cv2.imencode(".png", pixels)
  if not done:
    raise RuntimeError(f"{path}: the image cannot be encoded as PNG")
  path.write_bytes(data.tobytes())
