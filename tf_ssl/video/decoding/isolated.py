"""Decoding in a process of its own, which may crash or hang.

The libraries that decode video are native code, fed with files from anywhere:
a fault of theirs ends the process that they run in. Here that is a child, a
fresh interpreter without TensorFlow. Its end is a `DecodeError` that names the
video, and the next video is given to a new child.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tf_ssl import errors
from tf_ssl.video.decoding import frames as frames_lib
from tf_ssl.video.decoding import shared_frames
from tf_ssl.video.source import videos

_CHILD = (
  "from tf_ssl.video.decoding import isolated_child; isolated_child.main({})"
)
# How long a child may take to notice that no further frame is wanted.
_PATIENCE = 2.0


class Decoder:
  """One process that decodes; a context manager.

  The methods are those of `decode`. It serves one request at a time: a new one
  ends an `iterate_frames` that is still under way. Several threads need a
  decoder each.
  """

  def __init__(self, *, timeout: float = 120.0, num_threads: int = 0):
    """Initializes the decoder; the process starts with the first request.

    Args:
      timeout: seconds without a frame after which the child counts as hung.
      num_threads: of the codec; 0: as many as there are cores. Where several
        decoders work at once, 1 each is best.
    """
    self._timeout = timeout
    self._num_threads = num_threads
    self._child: _Child | None = None
    self._request = 0

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  @property
  def pid(self) -> int | None:
    """The child's process id; None where there is no child now."""
    return self._child.process.pid if self._child else None

  def close(self) -> None:
    """Ends the process."""
    self._request += 1
    if self._child is not None:
      self._child.end()
      self._child = None

  def probe(self, video: videos.Video) -> frames_lib.VideoInfo:
    """See `decode.probe`."""
    answers = self._ask(video, {"do": "probe", "reader": "auto"})
    return next(answer for answer in answers)

  def read_frames(
    self,
    video: videos.Video,
    frames: Sequence[int],
    *,
    reader: str = "auto",
    size: int | None = None,
  ) -> frames_lib.Frames:
    """See `decode.read_frames`; a crash or a hang is a DecodeError too."""
    frames = [int(number) for number in frames]
    request = {"do": "read", "frames": frames, "reader": reader, "size": size}
    found = self._ask(video, request)
    return frames_lib.gather(video.name, frames, found)

  def iterate_frames(
    self,
    video: videos.Video,
    *,
    stride: int = 1,
    every_seconds: float | None = None,
    size: int | None = None,
    reader: str = "auto",
  ) -> Iterator[frames_lib.Frame]:
    """See `decode.iterate_frames`; a crash or a hang is a DecodeError too.

    The child decodes up to 4 frames ahead.
    """
    request = {
      "do": "iterate",
      "stride": stride,
      "every_seconds": every_seconds,
      "reader": reader,
      "size": size,
    }
    for frame in self._ask(video, request):
      yield frame._replace(image=frame.image.copy())

  def _ask(self, video: videos.Video, request: dict[str, Any]):
    """Yields a `VideoInfo`, or frames valid until the next one."""
    self._request += 1
    mine = self._request
    if self._child is not None and not self._child.is_ready():
      self._child.end()
      self._child = None
    if self._child is None:
      self._child = _Child()
    child = self._child
    child.say({"video": video, "num_threads": self._num_threads, **request})
    child.busy = True
    while True:
      if mine != self._request:
        raise RuntimeError(
          f"{video.name}: this decoder was given another request; iterate "
          "with a decoder of its own"
        )
      try:
        answer = child.hear(self._timeout)
        if "frame" in answer:
          number, moment = answer["frame"]
          slot = answer["at"][0]
          child.memory.attach(answer["slot_bytes"])
          image = child.memory.image(*answer["at"])
      except _LostError as loss:
        self._child = None
        raise frames_lib.DecodeError(video.name, str(loss)) from loss
      if "frame" not in answer:
        break
      yield frames_lib.Frame(number, moment, image)
      if child is self._child:
        child.say({"free": slot})
    child.busy = False
    if "error" in answer:
      raise _error(answer)
    if request["do"] == "probe":
      yield frames_lib.VideoInfo(*answer["end"])


class _LostError(Exception):
  """The child is gone; says why."""


class _Child:
  """A running child.

  Attributes:
    process: the process.
    memory: shared with it.
    busy: whether it has not yet said the last word on a request.
  """

  def __init__(self):
    descriptor = shared_frames.create()
    self.memory = shared_frames.SharedFrames(descriptor)
    self.busy = False
    self._complaints = tempfile.TemporaryFile()
    self._heard = b""
    self.process = subprocess.Popen(
      [sys.executable, "-c", _CHILD.format(descriptor)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=self._complaints,
      pass_fds=[descriptor],
      env={
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
        "CUDA_VISIBLE_DEVICES": "",  # the accelerator is not for decoding
        "TF_CPP_MIN_LOG_LEVEL": "3",
      },
    )
    os.set_blocking(self.process.stdout.fileno(), False)

  def say(self, message: dict[str, Any]) -> None:
    try:
      self.process.stdin.write(json.dumps(message).encode() + b"\n")
      self.process.stdin.flush()
    except BrokenPipeError:
      pass  # `hear` will say why

  def hear(self, timeout: float) -> dict[str, Any]:
    """Returns the next answer.

    Raises:
      _LostError: the child ended, hung or said nonsense. It is ended then.
    """
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
      selector.register(self.process.stdout, selectors.EVENT_READ)
      while b"\n" not in self._heard:
        if not selector.select(max(0.0, deadline - time.monotonic())):
          self.end()
          raise _LostError(f"the decoder gave no frame within {timeout:g} s")
        part = os.read(self.process.stdout.fileno(), 1 << 16)
        if not part:
          raise _LostError(self._last_words())
        self._heard += part
    line, _, self._heard = self._heard.partition(b"\n")
    return json.loads(line)

  def is_ready(self) -> bool:
    """Ends what is under way; returns False where the child is of no use."""
    if self.process.poll() is not None:
      return False
    try:
      if self.busy:
        self.say({"stop": True})
        while "frame" in self.hear(_PATIENCE):
          pass
      self.busy = False
    except _LostError:
      return False
    return True

  def end(self) -> None:
    """Kills the child, if it still runs, and frees what was shared."""
    self.process.kill()
    self.process.wait()
    if not self.process.stdout.closed:
      self.process.stdout.close()
      try:
        self.process.stdin.close()
      except BrokenPipeError:
        pass
      self._complaints.close()
      self.memory.close()

  def _last_words(self) -> str:
    self.process.wait()
    self._complaints.seek(0)
    words = self._complaints.read().decode(errors="replace").split("\n")
    last = next((line for line in reversed(words) if line.strip()), "")
    code = self.process.returncode
    how = f"ended with code {code}"
    if code < 0:
      how = f"was ended by {signal.Signals(-code).name}"
    self.end()
    return f"the decoder {how}{f' ({last[:200]})' if last else ''}"


def _error(answer: dict[str, Any]) -> Exception:
  if answer["error"] == "decode":
    return frames_lib.DecodeError(answer["name"], answer["text"])
  if answer["error"] == "usage":
    return errors.UsageError(answer["text"])
  return RuntimeError(f"a decoding process failed: {answer['text']}")
