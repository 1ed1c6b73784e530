"""Processes that must not outlive the one that they work for.

A process that is killed takes nobody with it, and a pool's workers learn of it
late: joblib's wait five minutes for more work.
"""

import functools
import os
import threading
import time

_SECONDS = 1.0  # from one look at the parent to the next


@functools.cache  # one thread is enough
def end_with(parent: int) -> None:
  """Lets this process end where its parent has ended, however that did.

  It ends within a second or so, whatever it is doing, and leaves what it has
  open.

  Args:
    parent: number of the process whose child this one is.
  """

  def watch() -> None:
    while os.getppid() == parent:  # an orphan gets another one
      time.sleep(_SECONDS)
    os._exit(1)

  threading.Thread(target=watch, name="orphan", daemon=True).start()
