"""Shared memory between two processes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tf_ssl.video.decoding import shared_frames

_CHILD = """
import sys
import numpy as np
from tf_ssl.video.decoding import shared_frames
memory = shared_frames.SharedFrames(int(sys.argv[1]))
memory.attach(int(sys.argv[2]))
print(memory.image(1, 2, 3).sum())
memory.image(3, 2, 3)[:] = np.arange(18).reshape(2, 3, 3)
"""


@pytest.fixture(name="descriptor")
def fixture_descriptor():
  return shared_frames.create()


def test_each_process_sees_the_frames_of_the_other(descriptor, repository):
  memory = shared_frames.SharedFrames(descriptor)
  memory.grow(20)
  memory.image(1, 2, 3)[:] = 7
  child = subprocess.run(
    [sys.executable, "-c", _CHILD, str(descriptor), "20"],
    pass_fds=[descriptor],
    cwd=repository,
    capture_output=True,
    text=True,
    check=True,
  )
  assert int(child.stdout) == 7 * 18
  written = memory.image(3, 2, 3)
  np.testing.assert_array_equal(written.ravel(), np.arange(18))
  memory.close()


def test_slots_do_not_overlap(descriptor):
  memory = shared_frames.SharedFrames(descriptor)
  memory.grow(12)
  for slot in range(shared_frames.NUM_SLOTS):
    memory.image(slot, 2, 2)[:] = slot
  for slot in range(shared_frames.NUM_SLOTS):
    assert (memory.image(slot, 2, 2) == slot).all()
  memory.close()


def test_an_image_stays_valid_when_slots_grow_and_when_the_memory_is_closed(
  descriptor,
):
  memory = shared_frames.SharedFrames(descriptor)
  memory.grow(12)
  image = memory.image(0, 2, 2)
  image[:] = 5
  memory.grow(300)
  larger = memory.image(3, 10, 10)
  larger[:] = 9
  memory.close()
  assert (image == 5).all() and (larger == 9).all()
  with pytest.raises(OSError):
    os.fstat(descriptor)


@pytest.mark.parametrize(
  ("slot", "height", "width"),
  [(-1, 2, 2), (4, 2, 2), (0, 2, 3), (3, 1000, 1000)],
)
def test_an_image_beyond_its_slot_is_refused(descriptor, slot, height, width):
  memory = shared_frames.SharedFrames(descriptor)
  memory.grow(12)
  with pytest.raises(ValueError, match=f"slot {slot}, {width}x{height}"):
    memory.image(slot, height, width)
  memory.close()


def test_memory_that_is_smaller_than_its_slots_is_refused(descriptor):
  owner = shared_frames.SharedFrames(descriptor)
  owner.grow(12)
  other = shared_frames.SharedFrames(descriptor)
  with pytest.raises(ValueError):
    other.attach(100_000)
  assert other.slot_bytes == 0
  other.attach(12)
  assert other.image(0, 2, 2).shape == (2, 2, 3)
  owner.close()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
