"""Decodes videos in a child process, so that a crash or hang is an error.

Video libraries are native code that parses untrusted files; a bug in them can
end the process that they run in. They therefore run in a child, a fresh
interpreter without TensorFlow. If the child dies, `DecodeError` names the
video, and the next video is decoded by a new child.
"""

import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

from absl import logging

from tf_ssl import errors
from tf_ssl.ops import child_process, names
from tf_ssl.video.decoding import frames, shared_frames
from tf_ssl.video.source import videos

_CHILD = (
  "from tf_ssl.video.decoding import isolated_child; isolated_child.main({})"
)
# Seconds that a child may take to notice that no further frame is wanted.
_PATIENCE = 2.0


class Decoder:
  """A decoding process with the methods of `decode`; a context manager.

  It serves one request at a time: a new request ends an `iterate_frames` that
  is still in progress. Each thread needs its own decoder.

  Attributes:
    notes: what the user should know about the video of the last request, see
      `frames.Reader`; complete when all frames have been read.
  """

  def __init__(self, *, timeout: float = 120.0, num_threads: int = 0):
    """Initializes the decoder; the process starts with the first request.

    Args:
      timeout: time without a frame or packet after which the child counts as
        hung, seconds.
      num_threads: number of threads of the codec; 0 for one per core. If
        several decoders run at once, 1 is best.
    """
    self._timeout = timeout
    self._num_threads = num_threads
    self._child: _Child | None = None
    self._request = 0
    self.notes: tuple[str, ...] = ()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()

  @property
  def pid(self) -> int | None:
    """Process id of the child; None if there is no child."""
    return self._child.process.pid if self._child else None

  def close(self) -> None:
    """Ends the process."""
    self._request += 1
    if self._child is not None:
      self._child.end()
      self._child = None

  def probe(self, video: videos.Video) -> frames.VideoInfo:
    """Returns number, rate and size of the frames; see `decode.probe`."""
    return next(self._ask(video, {"do": "probe", "reader": "auto"}))

  def read_frames(
    self,
    video: videos.Video,
    numbers: Sequence[int],
    *,
    reader: str = "auto",
    size: int | None = None,
  ) -> frames.Frames:
    """Reads frames by number; see `decode.read_frames`.

    Raises:
      DecodeError: also if the child crashes or hangs.
    """
    numbers = [int(number) for number in numbers]
    request = {"do": "read", "frames": numbers, "reader": reader, "size": size}
    found = self._ask(video, request)
    return frames.gather(video.name, numbers, found)

  def iterate_frames(
    self,
    video: videos.Video,
    *,
    stride: int = 1,
    every_seconds: float | None = None,
    size: int | None = None,
    reader: str = "auto",
  ) -> Iterator[frames.Frame]:
    """Yields frames from first to last; see `decode.iterate_frames`.

    The child decodes up to 4 frames ahead.

    Raises:
      DecodeError: also if the child crashes or hangs.
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
    self.notes = ()
    if self._child is not None and not self._child.is_ready():
      self._child.end()
      self._child = None
    if self._child is None:
      self._child = _Child()
    child = self._child
    child.send({"video": video, "num_threads": self._num_threads, **request})
    child.busy = True
    while True:
      if mine != self._request:
        raise RuntimeError(
          f"{video.name}: this decoder received another request; use one"
          " decoder per iteration"
        )
      try:
        answer = child.receive(self._timeout)
        if "frame" in answer:
          number, moment = answer["frame"]
          slot = answer["at"][0]
          child.memory.attach(answer["slot_bytes"])
          image = child.memory.image(*answer["at"])
      except _ChildLostError as error:
        self._child = None
        raise frames.DecodeError(video.name, str(error)) from error
      if "busy" in answer:
        continue
      if "frame" not in answer:
        break
      yield frames.Frame(number, moment, image)
      if child is self._child:
        child.send({"free": slot})
    child.busy = False
    if "error" in answer:
      raise _error(answer)
    self.notes = tuple(answer["notes"])
    if request["do"] == "probe":
      yield frames.VideoInfo(*answer["end"])


class _ChildLostError(Exception):
  """The child has ended; the message is the reason."""


class _Child:
  """A running child.

  Attributes:
    process: the process.
    memory: memory shared with it.
    busy: True until the final answer to a request has arrived.
  """

  def __init__(self):
    descriptor = shared_frames.create()
    self.memory = shared_frames.SharedFrames(descriptor)
    self.busy = False
    self._stderr = tempfile.TemporaryFile()
    self._received = b""
    self.process = child_process.start_python(
      _CHILD.format(descriptor),
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=self._stderr,
      pass_fds=[descriptor],
      # Decoding does not use the accelerator.
      env=child_process.environment(
        CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3"
      ),
    )
    os.set_blocking(self.process.stdout.fileno(), False)

  def send(self, message: dict[str, Any]) -> None:
    try:
      self.process.stdin.write(json.dumps(message).encode() + b"\n")
      self.process.stdin.flush()
    except BrokenPipeError:
      pass  # `receive` will raise the reason.

  def receive(self, timeout: float) -> dict[str, Any]:
    """Returns the next answer.

    Raises:
      _ChildLostError: the child ended, or hung and was killed.
    """
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
      selector.register(self.process.stdout, selectors.EVENT_READ)
      while b"\n" not in self._received:
        if not selector.select(max(0.0, deadline - time.monotonic())):
          self.end()
          raise _ChildLostError(f"the decoder hung: no frame in {timeout:g} s")
        part = os.read(self.process.stdout.fileno(), 1 << 16)
        if not part:
          raise _ChildLostError(self._reason())
        self._received += part
    line, _, self._received = self._received.partition(b"\n")
    return json.loads(line)

  def is_ready(self) -> bool:
    """Aborts a request in progress; returns whether the child can serve."""
    if self.process.poll() is not None:
      return False
    try:
      if self.busy:
        self.send({"stop": True})
        deadline = time.monotonic() + _PATIENCE
        while {"frame", "busy"} & self.receive(
          max(0.0, deadline - time.monotonic())
        ).keys():
          pass
      self.busy = False
    except _ChildLostError:
      return False
    return True

  def end(self) -> None:
    """Kills the child, if it still runs, and frees the shared memory."""
    self.process.kill()
    self.process.wait()
    if not self.process.stdout.closed:
      self.process.stdout.close()
      try:
        self.process.stdin.close()
      except BrokenPipeError:
        pass
      self._stderr.close()
      self.memory.close()

  def _reason(self) -> str:
    how = child_process.how_it_ended(self.process.wait())
    self._stderr.seek(0)
    last = child_process.last_line(self._stderr.read(), "")
    self.end()
    return f"the decoder crashed: {how}{f' ({last[:200]})' if last else ''}"


def _error(answer: dict[str, Any]) -> Exception:
  if "traceback" in answer:
    name = names.escaped(answer["name"])
    logging.warning("%s: %s", name, answer["traceback"])
  if answer["error"] == "decode":
    return frames.DecodeError(answer["name"], answer["text"])
  return errors.UsageError(answer["text"])
