"""What is measured between steps: the interface.

The monitors are in `monitors_labeled` (kNN and linear probe),
`monitors_representation`, `monitors_views`, `monitors_projector`,
`monitors_invariance` and `monitors_tracks`.
"""

import abc


class Monitor(abc.ABC):
  """Looks at a run from outside, at the steps it is asked to.

  A monitor keeps nothing from one measurement to the next, so that a resumed
  run measures what an uninterrupted one does, and changes no weight.

  Attributes:
    every: steps between two measurements; None for the run's `monitor_every`.
  """

  every: int | None = None

  @abc.abstractmethod
  def measure(self, step: int) -> dict[str, float]:
    """Measures the model as it is now.

    Args:
      step: optimizer steps done; the x axis of what is drawn.

    Returns:
      Numbers by name, for the run's log. What is no number (pictures,
      histograms) the monitor writes to TensorBoard by itself.
    """
