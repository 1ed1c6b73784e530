"""Where an object may be: selective search at a reduced size, filtered.

Uijlings et al. 2013, as OpenCV has it.
"""

import cv2
import numpy as np

from tf_ssl.ops import boxes as boxes_lib


def selective_search(
  image: np.ndarray, *, width: int = 160, scale: int = 50
) -> np.ndarray:
  """The boxes of a selective search with two color spaces.

  One segmentation in CIE L*a*b* and one in HSV, regions merged by color,
  texture, size and fill together: a third of the time of OpenCV's "fast"
  search, which has more segmentations and merges without color, too.

  Args:
    image: [H, W, 3] uint8 RGB.
    width: the image is first made this wide, in pixels, if it is wider.
    scale: Felzenszwalb's k of the segmentation, and the least pixels of a
      segment; greater, larger segments.

  Returns:
    [R, 4] float boxes in pixels of `image`, largest first. (The search's own
    ranking is drawn anew each time; its boxes are not.)
  """
  factor = max(image.shape[1] / width, 1.0)
  size = [max(round(n / factor), 1) for n in image.shape[1::-1]]
  small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
  library = cv2.ximgproc.segmentation
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


def plausible(
  boxes: np.ndarray,
  size: tuple[int, int],
  *,
  min_area: float = 0.004,
  max_area: float = 0.5,
  max_aspect: float = 4.0,
  overlap: float = 0.8,
) -> np.ndarray:
  """Drops boxes that are too small, too large, too long, or there twice.

  Args:
    boxes: [R, 4] pixels.
    size: (height, width) of the image in pixels.
    min_area: least area, as a share of the image.
    max_area: greatest area, likewise.
    max_aspect: greatest ratio of the longer to the shorter side.
    overlap: of two boxes with at least this IoU the first stays.

  Returns:
    [R', 4], in their order.
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
