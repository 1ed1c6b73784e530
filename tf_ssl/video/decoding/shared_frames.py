"""Memory that two processes share, in which frames travel without a pipe."""

import mmap
import os
import tempfile

import numpy as np

# The one being read, the one being written, and two between them.
NUM_SLOTS = 4


def create() -> int:
  """Returns a new file descriptor of memory, which a child can inherit."""
  if hasattr(os, "memfd_create"):
    return os.memfd_create("tf_ssl_frames")
  with tempfile.TemporaryFile() as file:
    return os.dup(file.fileno())


class SharedFrames:
  """`NUM_SLOTS` places for one frame each.

  Attributes:
    slot_bytes: what each has room for; the same in both processes.
  """

  def __init__(self, descriptor: int):
    self._descriptor = descriptor
    self._memory: mmap.mmap | None = None
    self.slot_bytes = 0

  def grow(self, slot_bytes: int) -> None:
    """Makes the slots larger; what they hold is lost."""
    os.ftruncate(self._descriptor, NUM_SLOTS * slot_bytes)
    self.attach(slot_bytes)

  def attach(self, slot_bytes: int) -> None:
    """Follows the other process, which has made the slots larger.

    Raises:
      ValueError: the memory is smaller than that.
    """
    if slot_bytes != self.slot_bytes:
      # The old one is unmapped when the last array that shows it is gone.
      self._memory = mmap.mmap(self._descriptor, NUM_SLOTS * slot_bytes)
      self.slot_bytes = slot_bytes

  def image(self, slot: int, height: int, width: int) -> np.ndarray:
    """Returns a slot as an image, [height, width, 3] uint8, not copied.

    Raises:
      ValueError: it does not fit into the slot, or there is no such slot.
    """
    if not 0 <= slot < NUM_SLOTS or height * width * 3 > self.slot_bytes:
      raise ValueError(f"slot {slot}, {width}x{height}: not in shared memory")
    return np.frombuffer(
      self._memory,
      np.uint8,
      count=height * width * 3,
      offset=slot * self.slot_bytes,
    ).reshape(height, width, 3)

  def close(self) -> None:
    """Closes the descriptor; images that were handed out stay valid."""
    self._memory = None
    os.close(self._descriptor)
