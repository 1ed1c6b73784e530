"""One way in for every kind of image source."""

from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records


def open_images(source: str, *, labelled: bool = False) -> records.ImageRecords:
  """Finds the images of a source, whatever its kind.

  Args:
    source: a folder of images.
    labelled: whether every image must come with a class.

  Returns:
    The records.

  Raises:
    UsageError: the source is missing, empty or malformed.
  """
  return image_folder.read(source, labelled=labelled)
