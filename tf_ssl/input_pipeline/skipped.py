"""Images that could not be used: counted, named, and not too many."""


class SkippedFiles:
  """Remembers which images were skipped, and why.

  Attributes:
    count: number of distinct images skipped.
    fatal: None, or the message with which the run must stop.
  """

  def __init__(
    self, path: str | None, num_images: int, max_fraction: float = 0.05
  ):
    """Initialises the record.

    Args:
      path: the file to write names and reasons to; None to keep them here.
      num_images: N, the number of images in the dataset.
      max_fraction: the share of N above which the run must stop.
    """
    self._path = path
    self._num_images = num_images
    self._max_fraction = max_fraction
    self.count = 0
    self.fatal = None
