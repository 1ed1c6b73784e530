"""Region proposals: selective search at reduced size, and a filter.

Selective search is that of Uijlings et al. 2013, implemented in OpenCV.
"""

import cv2
import numpy as np

from tf_ssl import errors
from tf_ssl.ops import boxes as boxes_lib


def selective_search(
  image: np.ndarray, *, width: int = 160, scale: int = 50
) -> np.ndarray:
  """Runs selective search in two color spaces.

  One segmentation in CIE L*a*b* and one in HSV; regions are merged by color,
  texture, size and fill together. It takes a third of the time of OpenCV's
  "fast" search, which has more segmentations and also merges without color.

  Args:
    image: [H, W, 3] uint8 RGB.
    width: maximum width of the search, pixels; wider images are scaled down.
    scale: Felzenszwalb's k of the segmentation, and the minimum size of a
      segment in pixels; larger values give larger segments.

  Returns:
    [R, 4] float boxes in pixels of `image`, largest first. (The search's own
    ranking is random; its boxes are deterministic.)

  Raises:
    UsageError: OpenCV was installed without its extra modules.
  """
  factor = max(image.shape[1] / width, 1.0)
  size = [max(round(n / factor), 1) for n in image.shape[1::-1]]
  small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
  library = getattr(getattr(cv2, "ximgproc", None), "segmentation", None)
  errors.require(
    library is not None,
    "this OpenCV has no cv2.ximgproc: another package, such as"
    " opencv-python-headless, has replaced it; pip install --no-deps"
    " --force-reinstall opencv-contrib-python-headless",
  )
  search = library.createSelectiveSearchSegmentation()
  search.setBaseImage(np.ascontiguousarray(small[..., ::-1]))
  for space in (cv2.COLOR_RGB2LAB, cv2.COLOR_RGB2HSV):
    search.addImage(cv2.cvtColor(small, space))
  search.addGraphSegmentation(
    library.createGraphSegmentation(sigma=0.8, k=scale, min_size=scale)
  )
  search.addStrategy(
    library.createSelectiveSearchSegmentationStrategyMultiple(
      library.createSelectiveSearchSegmentationStrategyColor(),
      library.createSelectiveSearchSegmentationStrategyFill(),
      library.createSelectiveSearchSegmentationStrategyTexture(),
      library.createSelectiveSearchSegmentationStrategySize(),
    )
  )
  found = np.unique(np.array(search.process(), float).reshape(-1, 4), axis=0)
  found[:, 2:] += found[:, :2]  # x, y, w, h
  found = found[np.argsort(-boxes_lib.area(found), kind="stable")]
  return found * (image.shape[1] / size[0])


def several_searches(image: np.ndarray) -> np.ndarray:
  """Runs selective search at three sizes, for small and for large objects.

  Args:
    image: [H, W, 3] uint8 RGB.

  Returns:
    [R, 4] float boxes in pixels of `image`, with duplicates.

  Raises:
    UsageError: OpenCV was installed without its extra modules.
  """
  return np.concatenate(
    [
      selective_search(image, width=240),
      selective_search(image, width=160),
      selective_search(image, width=120, scale=30),
    ]
  )


def plausible(
  boxes: np.ndarray,
  size: tuple[int, int],
  *,
  min_area: float = 0.004,
  max_area: float = 0.5,
  max_aspect: float = 4.0,
  overlap: float = 0.8,
) -> np.ndarray:
  """Removes boxes that are too small, large or elongated, and duplicates.

  Args:
    boxes: [R, 4], pixels.
    size: (height, width) of the image, pixels.
    min_area: minimum area, as a fraction of the image.
    max_area: maximum area, as a fraction of the image.
    max_aspect: maximum ratio of the longer to the shorter side.
    overlap: minimum IoU of duplicates, of which the first box is kept.

  Returns:
    [R', 4], in the order of `boxes`.
  """
  sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
  share = boxes_lib.area(boxes) / (size[0] * size[1])
  aspect = sides.max(1, initial=0) / sides.min(1, initial=np.inf)
  fits = (share >= min_area) & (share <= max_area) & (aspect <= max_aspect)
  boxes = boxes[fits]
  kept = boxes_lib.suppress(
    boxes, np.zeros(len(boxes)), overlap=overlap, limit=len(boxes)
  )
  return boxes[kept]
