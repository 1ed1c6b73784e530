"""SIGTERM and SIGINT as a request to save and stop."""

import signal


class Interruption:
  """Catches the two signals inside a `with` block.

  The first asks the loop to stop after its step; a second SIGINT raises
  KeyboardInterrupt at once.

  Attributes:
    signal: name of the signal that came, or None.
  """

  def __init__(self):
    self.signal = None
    self._before = {}

  def __enter__(self):
    for number in (signal.SIGTERM, signal.SIGINT):
      self._before[number] = signal.signal(number, self._handle)
    return self

  def __exit__(self, *exc):
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def _handle(self, number, frame):
    del frame
    if self.signal is not None and number == signal.SIGINT:
      raise KeyboardInterrupt
    self.signal = signal.Signals(number).name
