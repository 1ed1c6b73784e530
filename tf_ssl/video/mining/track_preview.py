"""Draws region tracks: a contact sheet and a video."""

import fractions
import os
import pathlib
from collections.abc import Sequence

import av
import cv2
import numpy as np
import tensorflow as tf

from tf_ssl.ops import jpeg, workdir
from tf_ssl.video.mining import track_records

_TRACKS = 8  # Rows of a contact sheet.
_MOMENTS = 8  # Columns of a contact sheet between its first and its last.
_SHOWN_SECONDS = 0.5  # Time for which the film shows that a track has ended.
_CELL = 96  # Side of a cell, pixels.
_CAPTION = 18  # Height of a caption, pixels.
_INK = (40, 40, 40)
# The Tableau palette as in matplotlib, which most people can distinguish.
_COLORS = (
  (31, 119, 180),
  (255, 127, 14),
  (44, 160, 44),
  (214, 39, 40),
  (148, 103, 189),
  (140, 86, 75),
  (227, 119, 194),
  (127, 127, 127),
  (188, 189, 34),
  (23, 190, 207),
)


def write(shard: str | os.PathLike, folder: str | os.PathLike) -> None:
  """Draws the tracks of one video.

  `NAME.png` has a row for each of the best tracks with the region at up to
  eight times, its score and why it ends; `NAME.mp4` shows the frames with the
  boxes, their scores, and for half a second where and why a track has ended.

  Args:
    shard: path of a TFRecord file of `track_records`.
    folder: folder to write, created if missing.

  Raises:
    ValueError: the file has other records.
    OSError: the file cannot be read, or the folder cannot be written.
  """
  shard, folder = pathlib.Path(shard), pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  try:
    clips = [
      track_records.parse(record.numpy())
      for record in tf.data.TFRecordDataset(str(shard))
    ]
  except tf.errors.OpError as error:
    raise OSError(f"{shard}: {error.message}") from error
  sheet = contact_sheet(clips)
  with workdir.replacing_file(folder / f"{shard.stem}.png") as place:
    png = cv2.imencode(".png", sheet[..., ::-1])[1]
    place.write_bytes(png.tobytes())
  with workdir.replacing_file(folder / f"{shard.stem}.mp4") as place:
    film(clips, place)


def contact_sheet(clips: Sequence[track_records.TrackedClip]) -> np.ndarray:
  """Returns an image [H, W, 3] uint8 with a row for each of the best tracks.

  A row is a `caption` and a `strip`.
  """
  ranked = sorted(
    (
      (clip.scores[track], track, clip)
      for clip in clips
      for track in clip.scores
    ),
    key=lambda one: (-one[0], one[1]),
  )[:_TRACKS]
  rows = [
    _captioned(caption(clip, track), strip(clip, track))
    for _, track, clip in ranked
  ]
  if not rows:
    rows = [_captioned("no tracks", _blank(_CELL, _CELL * (_MOMENTS + 2)))]
  return np.concatenate(rows)


def caption(clip: track_records.TrackedClip, track: int) -> str:
  """Returns the id, score, first and last frame and end of a track."""
  frames = [frame for frame in clip.frames if track in frame.tracks]
  text = (
    f"track {track}: score {clip.scores[track]:.2f}, {len(frames)} frames,"
    f" {frames[0].number} to {frames[-1].number}"
  )
  end = _ends(clip)[track]
  return f"{text}, end: {end}" if end else text


def strip(clip: track_records.TrackedClip, track: int) -> np.ndarray:
  """Returns an image [96, 960, 3] uint8 of one track over time.

  The first cell shows the frame in the middle of the track, with the box; the
  last one the frame after the track with its last box, or its last frame if the
  clip ends there.
  """
  rows = [row for row, one in enumerate(clip.frames) if track in one.tracks]
  moments = np.linspace(0, len(rows) - 1, min(_MOMENTS, len(rows)))
  cells = [_framed(clip.frames[rows[len(rows) // 2]], None, track)]
  for moment in moments:
    frame = clip.frames[rows[round(moment)]]
    image = jpeg.decode(frame.encoded)
    x0, y0, x1, y1 = _pixels(_box(frame, track), image)
    cells.append(_fitted(image[y0:y1, x0:x1]))
  cells += [_blank(_CELL, _CELL)] * (_MOMENTS - len(moments))
  after = clip.frames[min(rows[-1] + 1, len(clip.frames) - 1)]
  cells.append(_framed(after, clip.frames[rows[-1]], track))
  return np.concatenate(cells, 1)


def film(
  clips: Sequence[track_records.TrackedClip], path: str | os.PathLike
) -> None:
  """Writes an MP4 of the frames with all boxes, in one color per track.

  Args:
    clips: clips of one video in temporal order.
    path: path of the file.
  """
  with av.open(str(path), "w", format="mp4") as output:
    stream = None
    for clip in clips:
      for row in range(len(clip.frames)):
        image = _drawn(clip, row)
        # The codec needs an even size.
        image = image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
        if stream is None:
          rate = fractions.Fraction(_rate(clip)).limit_denominator(100)
          stream = output.add_stream("libx264", rate=rate)
          stream.height, stream.width = image.shape[:2]
          stream.pix_fmt = "yuv420p"
        image = np.ascontiguousarray(image)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    if stream is not None:
      output.mux(stream.encode(None))


def _rate(clip: track_records.TrackedClip) -> float:
  times = [frame.time for frame in clip.frames]
  spread = times[-1] - times[0]
  return (len(times) - 1) / spread if spread > 0 else clip.fps


def _drawn(clip: track_records.TrackedClip, row: int) -> np.ndarray:
  """Returns a frame with its boxes and those that have just ended."""
  frame, ends = clip.frames[row], _ends(clip)
  image = jpeg.decode(frame.encoded).copy()
  known = set(frame.tracks.tolist())
  # From the newest of the frames before: the first one has the last box.
  for before in clip.frames[:row][::-1]:
    if frame.time - before.time > _SHOWN_SECONDS:
      break
    for track, box in zip(before.tracks.tolist(), before.boxes, strict=True):
      if track not in known:
        known.add(track)
        label = f"{track} {ends[track]}".strip()
        _draw(image, track, box, label, thickness=1)
  for track, box in zip(frame.tracks.tolist(), frame.boxes, strict=True):
    _draw(image, track, box, f"{track} {clip.scores[track]:.2f}")
  return image


def _draw(image, track: int, box: np.ndarray, label: str, thickness=2) -> None:
  color = _COLORS[track % len(_COLORS)]
  x0, y0, x1, y1 = _pixels(box, image)
  cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), color, thickness)
  _write(image, label, (x0 + 3, y0 + 12), 0.4, color)


def _framed(frame, before, track: int) -> np.ndarray:
  """Returns a cell with a frame and a track's box, there or in `before`."""
  image = _resized(jpeg.decode(frame.encoded))
  box = _box(before or frame, track)
  _draw(image, track, box, "", thickness=1 if before else 2)
  return _fitted(image)


def _ends(clip: track_records.TrackedClip) -> dict[int, str]:
  """Returns why each track ends; empty if that is not known."""
  ends = clip.ends or [""] * len(clip.scores)
  return dict(zip(clip.scores, ends, strict=True))


def _box(frame: track_records.TrackedFrame, track: int) -> np.ndarray:
  return frame.boxes[frame.tracks.tolist().index(track)]


def _pixels(box: np.ndarray, image: np.ndarray) -> tuple[int, int, int, int]:
  """Converts fractions to pixels xmin, ymin, xmax, ymax; at least one pixel."""
  height, width = image.shape[:2]
  y0, x0, y1, x1 = np.round(box * [height, width, height, width]).astype(int)
  x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
  return x0, y0, max(min(x1, width), x0 + 1), max(min(y1, height), y0 + 1)


def _fitted(image: np.ndarray) -> np.ndarray:
  """Scales the image to a cell and centers it there."""
  small = _resized(image)
  height, width = small.shape[:2]
  cell = _blank(_CELL, _CELL)
  top, left = (_CELL - height) // 2, (_CELL - width) // 2
  cell[top : top + height, left : left + width] = small
  return cell


def _resized(image: np.ndarray) -> np.ndarray:
  scale = (_CELL - 4) / max(image.shape[:2])
  size = [max(round(side * scale), 1) for side in image.shape[1::-1]]
  method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
  return cv2.resize(image, size, interpolation=method)


def _captioned(text: str, picture: np.ndarray) -> np.ndarray:
  caption = _blank(_CAPTION, picture.shape[1])
  _write(caption, text, (4, _CAPTION - 5), 0.42, _INK)
  return np.concatenate([caption, picture])


def _write(image, text, place, scale, color) -> None:
  font = cv2.FONT_HERSHEY_SIMPLEX
  cv2.putText(image, text, place, font, scale, color, 1, cv2.LINE_AA)


def _blank(height: int, width: int) -> np.ndarray:
  return np.full([height, width, 3], 255, np.uint8)
