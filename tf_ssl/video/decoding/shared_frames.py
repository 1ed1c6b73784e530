"""Shared memory through which one process passes frames to another."""

import mmap
import os
import tempfile

import numpy as np

# One slot is read, one is written, two are queued.
NUM_SLOTS = 4


def create() -> int:
  """Returns a file descriptor of new memory, which a child can inherit."""
  if hasattr(os, "memfd_create"):
    return os.memfd_create("tf_ssl_frames")
  with tempfile.TemporaryFile() as file:
    return os.dup(file.fileno())


class SharedFrames:
  """`NUM_SLOTS` slots of one frame each.

  Attributes:
    slot_bytes: size of a slot, bytes; equal in both processes.
  """

  def __init__(self, descriptor: int):
    self._descriptor = descriptor
    self._memory: mmap.mmap | None = None
    self.slot_bytes = 0

  def grow(self, slot_bytes: int) -> None:
    """Enlarges the slots; their content is lost."""
    os.ftruncate(self._descriptor, NUM_SLOTS * slot_bytes)
    self.attach(slot_bytes)

  def attach(self, slot_bytes: int) -> None:
    """Maps the memory again after the other process has enlarged the slots.

    Raises:
      ValueError: the memory is smaller than that.
    """
    if slot_bytes != self.slot_bytes:
      # The old memory is unmapped when the last array that views it is gone.
      self._memory = mmap.mmap(self._descriptor, NUM_SLOTS * slot_bytes)
      self.slot_bytes = slot_bytes

  def image(self, slot: int, height: int, width: int) -> np.ndarray:
    """Returns a view of a slot as an image, [height, width, 3] uint8.

    Raises:
      ValueError: the image is larger than the slot, or the slot does not exist.
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
    """Closes the descriptor; images returned before stay valid."""
    self._memory = None
    os.close(self._descriptor)
