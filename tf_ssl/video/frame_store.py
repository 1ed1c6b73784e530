"""Videos decoded once: the frames that training wants, as JPEG in TFRecords.

A decoder goes through a video from its beginning, training wants frames in an
order drawn at random. So every video is decoded once, as long as its frames are
not there, and what is kept of it can be read frame by frame.
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
import tqdm
from absl import logging

from tf_ssl import errors
from tf_ssl.ops import jpeg, workdir
from tf_ssl.video import frame_pairs
from tf_ssl.video.decoding import frames, isolated
from tf_ssl.video.source import identity, videos

_VERSION = 1  # part of every place's name: count up if what is kept changes


class StoredVideo(NamedTuple):
  """The frames that are kept of a video.

  Attributes:
    video: the video.
    file: the TFRecord file; an Example for each frame with `image/encoded`,
      `frame/number`, `frame/time` and `video/name`.
    numbers: [n] int64, of the frames, ascending.
    times: [n] float64, seconds.
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
  """Decodes what is not there yet, with a progress bar on standard error.

  A video that cannot be decoded is left out, logged, and named with the reason
  in `skipped_videos.txt`. Interrupted, it goes on with the videos that are not
  done.

  Args:
    found: the videos.
    folder: where to keep the frames; a folder inside for each way to sample.
    every_frames: the distance between frames, in frames.
    every_seconds: or in seconds.
    size: the most pixels of the shorter side; None leaves frames as they are.
    reader: see `decode.read_frames`.
    processes: that decode at once; as many as there are cores by default.

  Returns:
    The videos that could be decoded, in the order given.

  Raises:
    UsageError: none could, the distance is none, or the folder cannot be
      written.
  """
  frame_pairs.check_distance(every_frames, every_seconds)
  sampling = {"frames": every_frames, "seconds": every_seconds, "size": size}
  key = json.dumps([_VERSION, jpeg.QUALITY, sampling], sort_keys=True)
  place = pathlib.Path(folder).expanduser() / identity.digest(key)
  try:
    place.mkdir(parents=True, exist_ok=True)
    entries = _store_all(found, place, sampling, reader, processes)
  except OSError as error:
    raise errors.UsageError(
      f"frames_dir {folder!r}: cannot keep frames there ({error}); expected a"
      " writable folder with room; change frames_dir"
    ) from error
  bad = {v.name: e["skipped"] for v, e in entries if "skipped" in e}
  if bad:
    _tell(bad, len(found), place / "skipped_videos.txt")
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
  """$XDG_CACHE_HOME/tf_ssl/frames, or ~/.cache/tf_ssl/frames."""
  home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
  return str(pathlib.Path(home) / "tf_ssl" / "frames")


def _store_all(found, place, sampling, reader, processes):
  """Returns (video, its entry) for each video, in order."""
  paths = [place / f"{identity.identity(video)}.json" for video in found]
  waiting = {}  # a video that is listed twice is decoded once
  for video, path in zip(found, paths, strict=True):
    if not path.exists():
      waiting.setdefault(path, video)
  if waiting:
    processes = processes or len(os.sched_getaffinity(0))
    processes = min(processes, len(waiting))
    mine = threading.local()
    decoders = []

    def work(video, path):
      if not hasattr(mine, "decoder"):
        mine.decoder = isolated.Decoder(num_threads=1 if processes > 1 else 0)
        decoders.append(mine.decoder)
      _store_one(mine.decoder, video, path, sampling, reader, bar)

    bar = _Bar(len(waiting))
    pool = concurrent.futures.ThreadPoolExecutor(processes)
    try:
      futures = [pool.submit(work, v, path) for path, v in waiting.items()]
      for done in concurrent.futures.as_completed(futures):
        done.result()
        bar.video()
    finally:
      pool.shutdown(cancel_futures=True)
      for decoder in decoders:
        decoder.close()
      bar.close()
  return [
    (video, json.loads(path.read_text()))
    for video, path in zip(found, paths, strict=True)
  ]


def _store_one(decoder, video, path, sampling, reader, bar):
  """Writes a video's frames, then the entry that says that they are whole."""
  file = path.with_suffix(".tfrecord")
  distance = {}
  if sampling["seconds"] is None:
    distance["stride"] = sampling["frames"]
  else:
    distance["every_seconds"] = sampling["seconds"]
  entry = {"file": file.name, "numbers": [], "times": []}
  try:
    with (
      workdir.replacing_file(file) as temporary,
      tf.io.TFRecordWriter(str(temporary)) as writer,
    ):
      for frame in decoder.iterate_frames(
        video, size=sampling["size"], reader=reader, **distance
      ):
        writer.write(_example(video, frame))
        entry["numbers"].append(int(frame.number))
        entry["times"].append(float(frame.time))
        bar.frame()
  except frames.DecodeError as error:
    entry = {"skipped": error.reason}
  except tf.errors.OpError as error:
    raise OSError(error.message) from error
  workdir.write_text(path, json.dumps(entry))


def _example(video: videos.Video, frame: frames.Frame) -> bytes:
  example = tf.train.Example()
  feature = example.features.feature
  feature["image/encoded"].bytes_list.value.append(jpeg.encode(frame.image))
  feature["frame/number"].int64_list.value.append(int(frame.number))
  feature["frame/time"].float_list.value.append(float(frame.time))
  feature["video/name"].bytes_list.value.append(os.fsencode(video.name))
  return example.SerializeToString()


def _tell(bad: dict[str, str], count: int, path: pathlib.Path) -> None:
  lines = [f"{name}\t{reason}\n" for name, reason in bad.items()]
  path.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
  name, reason = next(iter(bad.items()))
  logging.warning(
    "skipped %d of %d videos, such as %s (%s); all are named in %s",
    len(bad),
    count,
    name,
    reason,
    path,
  )


class _Bar:
  """Videos done, and frames a second."""

  def __init__(self, count: int):
    self._lock = threading.Lock()
    self._frames = 0
    self._bar = tqdm.tqdm(
      total=count, desc="Decoding videos", unit="video", mininterval=0.5
    )

  def frame(self) -> None:
    with self._lock:
      self._frames += 1

  def video(self) -> None:
    seconds = max(self._bar.format_dict["elapsed"], 1e-3)
    self._bar.set_postfix_str(
      f"{self._frames / seconds:.0f} frames/s kept", refresh=False
    )
    self._bar.update()

  def close(self) -> None:
    self._bar.close()
