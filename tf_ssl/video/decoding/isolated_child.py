"""The child process that decodes for `isolated.Decoder`.

It reads one request per line from standard input. It answers with one line per
frame, whose pixels are in shared memory, and a final line with the result.
Lines are JSON, so that neither process can make the other run code.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

from tf_ssl import errors
from tf_ssl.video.decoding import decode, frames, shared_frames
from tf_ssl.video.source import videos


def main(descriptor: int) -> None:
  """Serves requests until standard input ends.

  Args:
    descriptor: file descriptor of the shared memory.
  """
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles Ctrl-C.
  answers = os.fdopen(os.dup(1), "w", buffering=1)
  os.dup2(2, 1)  # Keeps what libraries print out of the answers.
  memory = shared_frames.SharedFrames(descriptor)
  child = _Child(memory, sys.stdin, answers)
  try:
    for request in child.requests():
      child.serve(request)
  except (BrokenPipeError, EOFError):
    os._exit(0)  # The parent has ended.


_BEAT_SECONDS = 1.0  # Least time between two signs of life.


class _Child:
  def __init__(self, memory, requests, answers):
    self._memory, self._requests, self._answers = memory, requests, answers
    self._free = list(range(shared_frames.NUM_SLOTS))
    self._notes: tuple[str, ...] = ()
    self._beat = time.monotonic()

  def requests(self) -> Iterator[dict[str, Any]]:
    for line in self._requests:
      request = json.loads(line)
      if "video" in request:  # Not the rest of an aborted request.
        self._free = list(range(shared_frames.NUM_SLOTS))
        yield request

  def serve(self, request: dict[str, Any]) -> None:
    self._notes = ()
    try:
      answer = {"end": self._answer(request), "notes": self._notes}
    except frames.DecodeError as error:
      answer = {"error": "decode", "name": error.name, "text": error.reason}
    except errors.UsageError as error:
      answer = {"error": "usage", "text": str(error)}
    except (BrokenPipeError, EOFError):
      raise
    except Exception as error:  # One video must not end a run over many.
      answer = {
        "error": "decode",
        "name": request["video"][1],
        "text": f"its decoder failed ({frames.why(error)})",
        "traceback": traceback.format_exc(),
      }
    self._send(answer)

  def _answer(self, request: dict[str, Any]) -> Any:
    video = videos.Video(*request["video"])
    reader = decode.open_reader(
      video,
      request["reader"],
      num_threads=request["num_threads"],
      on_progress=self._show_progress,
    )
    with reader:
      if request["do"] == "probe":
        return reader.info()
      if request["do"] == "read":
        numbers = request["frames"]
        frames.check_numbers(video.name, numbers, len(reader.times))
        numbers = sorted(set(numbers))
      else:
        numbers = decode.numbers_to_iterate(
          reader.times,
          stride=request["stride"],
          every_seconds=request["every_seconds"],
        )
      found = reader.frames(
        numbers, size=request["size"], skip_missing=request["do"] == "iterate"
      )
      for frame in found:
        if not self._send_frame(frame):
          break
      self._notes = reader.notes
      return None

  def _show_progress(self) -> None:
    """Tells the parent from time to time that this process does not hang."""
    if time.monotonic() - self._beat > _BEAT_SECONDS:
      self._send({"busy": True})

  def _send_frame(self, frame: frames.Frame) -> bool:
    """Returns False if no further frame is wanted."""
    num_bytes = frame.image.nbytes
    grows = num_bytes > self._memory.slot_bytes
    while len(self._free) < (shared_frames.NUM_SLOTS if grows else 1):
      line = self._requests.readline()
      if not line:
        raise EOFError
      message = json.loads(line)
      if "free" not in message:
        return False
      self._free.append(message["free"])
    if grows:
      self._memory.grow(num_bytes)
    slot = self._free.pop(0)
    height, width = frame.image.shape[:2]
    self._memory.image(slot, height, width)[...] = frame.image
    self._send(
      {
        "frame": [int(frame.number), frame.time],
        "at": [slot, height, width],
        "slot_bytes": self._memory.slot_bytes,
      }
    )
    return True

  def _send(self, answer: dict[str, Any]) -> None:
    self._beat = time.monotonic()
    self._answers.write(json.dumps(answer) + "\n")
    self._answers.flush()
