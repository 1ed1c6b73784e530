"""The process that decodes for `isolated.Decoder`.

It reads one request a line from standard input and answers with one line for
each frame, whose pixels lie in shared memory, then with one that says how it
ended. Lines are JSON, so that neither side can be made to run anything.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from tf_ssl import errors
from tf_ssl.video.decoding import frames, readers, shared_frames
from tf_ssl.video.source import videos


def main(descriptor: int) -> None:
  """Serves requests until standard input ends.

  Args:
    descriptor: of the shared memory.
  """
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
  answers = os.fdopen(os.dup(1), "w", buffering=1)
  os.dup2(2, 1)  # what a library prints must not pass for an answer
  memory = shared_frames.SharedFrames(descriptor)
  child = _Child(memory, sys.stdin, answers)
  try:
    for request in child.requests():
      child.serve(request)
  except (BrokenPipeError, EOFError):
    os._exit(0)  # whoever asked is gone


class _Child:
  def __init__(self, memory, questions, answers):
    self._memory, self._questions, self._answers = memory, questions, answers
    self._free = list(range(shared_frames.NUM_SLOTS))

  def requests(self) -> Iterator[dict[str, Any]]:
    for line in self._questions:
      request = json.loads(line)
      if "video" in request:  # not what is left of an abandoned request
        self._free = list(range(shared_frames.NUM_SLOTS))
        yield request

  def serve(self, request: dict[str, Any]) -> None:
    try:
      answer = {"end": self._answer(request)}
    except frames.DecodeError as error:
      answer = {"error": "decode", "name": error.name, "text": error.reason}
    except errors.UsageError as error:
      answer = {"error": "usage", "text": str(error)}
    except (BrokenPipeError, EOFError):
      raise
    except Exception:  # pylint: disable=broad-except
      answer = {"error": "defect", "text": traceback.format_exc()}
    self._say(answer)

  def _answer(self, request: dict[str, Any]) -> Any:
    video = videos.Video(*request["video"])
    opened = readers.open_reader(
      video, request["reader"], num_threads=request["num_threads"]
    )
    with opened:
      if request["do"] == "probe":
        return opened.info()
      if request["do"] == "read":
        numbers = request["frames"]
        frames.check_numbers(video.name, numbers, len(opened.times))
        numbers = sorted(set(numbers))
      else:
        numbers = readers.numbers_to_iterate(
          opened.times,
          stride=request["stride"],
          every_seconds=request["every_seconds"],
        )
      found = opened.frames(
        numbers, size=request["size"], skip_missing=request["do"] == "iterate"
      )
      for frame in found:
        if not self._send(frame):
          break
      return None

  def _send(self, frame: frames.Frame) -> bool:
    """Returns False where no further frame is wanted."""
    num_bytes = frame.image.nbytes
    grows = num_bytes > self._memory.slot_bytes
    while len(self._free) < (shared_frames.NUM_SLOTS if grows else 1):
      line = self._questions.readline()
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
    self._say(
      {
        "frame": [int(frame.number), frame.time],
        "at": [slot, height, width],
        "slot_bytes": self._memory.slot_bytes,
      }
    )
    return True

  def _say(self, answer: dict[str, Any]) -> None:
    self._answers.write(json.dumps(answer) + "\n")
    self._answers.flush()
