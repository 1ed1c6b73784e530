"""Decodes videos once and stores the frames for training.

A decoder reads a video from its start, while training needs frames in random
order. Each video is therefore decoded once, and its frames are stored as JPEG
in a TFRecord file that can be read frame by frame.
"""

import concurrent.futures
import json
import os
import pathlib
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl import errors
from tf_ssl.ops import home, jpeg, names, progress, threads, workdir
from tf_ssl.video import frame_pairs
from tf_ssl.video.decoding import frames, isolated
from tf_ssl.video.source import videos

_VERSION = 2  # Part of each folder's name; increase it if the content changes.

_MAX_LINES = 20  # Videos whose notes are logged.


class StoredVideo(NamedTuple):
  """The stored frames of a video.

  Attributes:
    video: the video.
    file: path of the TFRecord file, with an Example per frame: `image/encoded`,
      `frame/number`, `frame/time` and `video/name`.
    numbers: [n] int64, frame numbers, ascending.
    times: [n] float64, times of the frames, seconds.
  """

  video: videos.Video
  file: str
  numbers: np.ndarray
  times: np.ndarray


def store(
  found: Sequence[videos.Video],
  folder: str,
  *,
  every_frames: int | None = None,
  every_seconds: float | None = None,
  size: int | None = 256,
  reader: str = "auto",
  processes: int | None = None,
) -> list[StoredVideo]:
  """Decodes the videos that are not stored yet, with a progress bar.

  A video that cannot be decoded is skipped, logged, and listed with the reason
  in `skipped_videos.txt`. What the user should know about the others, such as
  lost frames, is logged and listed in `notes.txt`. After an interruption, the
  same call resumes with the remaining videos.

  Args:
    found: videos to store.
    folder: folder of the frames; each way of sampling has its own subfolder.
    every_frames: distance between stored frames, frames; set this or
      `every_seconds`.
    every_seconds: distance between stored frames, seconds.
    size: maximum length of a frame's shorter side, pixels; None keeps the
      original size.
    reader: reader of video files, see `decode.read_frames`.
    processes: number of decoding processes; None for one per core.

  Returns:
    The videos that could be decoded, in the order of `found`.

  Raises:
    UsageError: no video can be decoded, the distance is invalid, or the folder
      cannot be written.
  """
  frame_pairs.check_distance(every_frames, every_seconds)
  sampling = {"frames": every_frames, "seconds": every_seconds, "size": size}
  key = json.dumps([_VERSION, jpeg.QUALITY, sampling], sort_keys=True)
  place = home.expand(folder, "frames_dir") / videos.digest(key)
  with workdir.writable(folder, "frames_dir"):
    place.mkdir(parents=True, exist_ok=True)
    entries = _store_all(found, place, sampling, reader, processes)
    bad = {v.name: e["skipped"] for v, e in entries if "skipped" in e}
    if bad:
      logging.warning("skipped %d of %d videos", len(bad), len(found))
      _report(bad, place / "skipped_videos.txt", "skipped %s: %s")
    notes = {
      v.name: "; ".join(e["notes"]) for v, e in entries if e.get("notes")
    }
    if notes:
      _report(notes, place / "notes.txt", "%s: %s")
  if len(bad) == len(found):
    name, reason = next(iter(bad.items()))
    raise errors.UsageError(
      f"videos: none of {len(found)} could be decoded, such as {name!r}"
      f" ({reason}); change VIDEOS"
    )
  return [
    StoredVideo(
      video,
      str(place / entry["file"]),
      np.array(entry["numbers"], np.int64),
      np.array(entry["times"], np.float64),
    )
    for video, entry in entries
    if "skipped" not in entry
  ]


def default_folder() -> str:
  """Returns $XDG_CACHE_HOME/tf_ssl/frames, or ~/.cache/tf_ssl/frames."""
  return str(home.cache("frames"))


def _store_all(found, place, sampling, reader, processes):
  """Returns (video, entry) for each video, in order."""
  paths = [place / f"{videos.fingerprint(video)}.json" for video in found]
  waiting = {}  # A video that is listed twice is decoded once.
  for video, path in zip(found, paths, strict=True):
    if workdir.read_json(path) is None:
      waiting.setdefault(path, video)
  if waiting:
    processes = min(processes or threads.num_cores(), len(waiting))
    mine = threading.local()
    decoders = []

    def work(video, path):
      if not hasattr(mine, "decoder"):
        mine.decoder = isolated.Decoder(num_threads=1 if processes > 1 else 0)
        decoders.append(mine.decoder)
      return _store_one(mine.decoder, video, path, sampling, reader)

    pool = concurrent.futures.ThreadPoolExecutor(processes)
    with progress.bar(
      "Decoding videos", total=len(waiting), unit="video"
    ) as bar:
      try:
        futures = [pool.submit(work, v, path) for path, v in waiting.items()]
        count = 0
        for done in concurrent.futures.as_completed(futures):
          count += done.result()
          seconds = max(bar.format_dict["elapsed"], 1e-3)
          rate = f"{count / seconds:.0f} frames/s stored"
          bar.set_postfix_str(rate, refresh=False)
          bar.update()
      finally:
        pool.shutdown(cancel_futures=True)
        for decoder in decoders:
          decoder.close()
  return [
    (video, workdir.read_json(path))
    for video, path in zip(found, paths, strict=True)
  ]


def _store_one(decoder, video, path, sampling, reader) -> int:
  """Writes a video's frames, then the entry that marks them as complete.

  Returns:
    The number of frames.
  """
  file = path.with_suffix(".tfrecord")
  if sampling["seconds"] is None:
    distance = {"stride": sampling["frames"]}
  else:
    distance = {"every_seconds": sampling["seconds"]}
  numbers, times = [], []
  entry = {"file": file.name, "numbers": numbers, "times": times}
  try:
    with (
      workdir.replacing_file(file) as temporary,
      tf.io.TFRecordWriter(str(temporary)) as writer,
    ):
      for frame in decoder.iterate_frames(
        video, size=sampling["size"], reader=reader, **distance
      ):
        writer.write(_example(video, frame))
        numbers.append(int(frame.number))
        times.append(float(frame.time))
    entry["notes"] = decoder.notes
  except frames.DecodeError as error:
    entry = {"skipped": error.reason}
  workdir.write_text(path, json.dumps(entry))
  return len(numbers)


def _example(video: videos.Video, frame: frames.Frame) -> bytes:
  example = tf.train.Example()
  feature = example.features.feature
  feature["image/encoded"].bytes_list.value.append(jpeg.encode(frame.image))
  feature["frame/number"].int64_list.value.append(int(frame.number))
  feature["frame/time"].float_list.value.append(float(frame.time))
  feature["video/name"].bytes_list.value.append(os.fsencode(video.name))
  return example.SerializeToString()


def _report(said: dict[str, str], path: pathlib.Path, message: str) -> None:
  """Lists what is said about videos in a file, and logs the first ones.

  Args:
    said: texts by the names of the videos.
    path: path of the file, with lines `name<tab>text`.
    message: format of a line in the log.
  """
  lines = [(names.escaped(v), names.one_line(text)) for v, text in said.items()]
  workdir.write_text(path, "".join(f"{v}\t{text}\n" for v, text in lines))
  for line in lines[:_MAX_LINES]:
    logging.warning(message, *line)
  if len(lines) > _MAX_LINES:
    logging.warning("%d more are in %s", len(lines) - _MAX_LINES, path)
