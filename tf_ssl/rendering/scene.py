"""Scenes of posed objects, a light and a camera, and their rendering."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl.rendering import camera as cameras
from tf_ssl.rendering import ray_march, shading, solids, texture


class PosedObject(NamedTuple):
  """A solid in the world.

  Attributes:
    solid: shape of the object.
    surfaces: appearance of each material of the solid.
    center: [3], center of its bounding sphere in the world.
    rotation: [3, 3], rotation from the solid's axes to the world's.
    radius: radius of its bounding sphere in the world.
  """

  solid: solids.Solid
  surfaces: tuple[texture.Surface, ...]
  center: np.ndarray
  rotation: np.ndarray
  radius: float


class Scene(NamedTuple):
  """Everything in front of the background.

  Attributes:
    objects: posed objects in any order; depth decides visibility.
    light: the one distant light.
    camera: camera that sees the scene.
  """

  objects: Sequence[PosedObject]
  light: shading.Light
  camera: cameras.Camera


class Picture(NamedTuple):
  """A rendered scene.

  Attributes:
    image: [H, W, 3] float32, display values 0..1.
    masks: [objects, H, W] bool, pixels that each object would cover alone.
    front: [H, W] int32, index of the visible object, -1 for the background.
  """

  image: np.ndarray
  masks: np.ndarray
  front: np.ndarray


def draw(scene: Scene, background: np.ndarray) -> Picture:
  """Renders a scene.

  Args:
    scene: scene to render.
    background: [H, W, 3] float32, display values 0..1, visible where there is
      no object.

  Returns:
    The picture, of the background's size.
  """
  image_size = background.shape[:2]
  pixels = image_size[0] * image_size[1]
  image = background.reshape(pixels, 3).copy()
  masks = np.zeros((len(scene.objects), pixels), bool)
  nearest = np.full(pixels, np.inf, np.float32)
  front = np.full(pixels, -1, np.int32)
  layers = [_layer(scene, posed, image_size) for posed in scene.objects]
  # From far to near, so that soft edges blend with the objects behind them.
  order = np.argsort(
    [-np.linalg.norm(o.center - scene.camera.position) for o in scene.objects]
  )
  for number in order:
    hits, color = layers[number]
    solid = _is_covered(hits)
    masks[number, hits.ray[solid]] = True
    seen = hits.depth < nearest[hits.ray]
    ray, share = hits.ray[seen], hits.coverage[seen, None]
    image[ray] += share * (color.T[seen] - image[ray])
    ray = hits.ray[seen & solid]
    nearest[ray] = hits.depth[seen & solid]
    front[ray] = number
  return Picture(
    image.reshape(*image_size, 3),
    masks.reshape(-1, *image_size),
    front.reshape(image_size),
  )


def whole_size(
  scene: Scene, number: int, image_size: tuple[int, int], margin: int
) -> int:
  """Returns the number of pixels that an object would cover in a larger image.

  Args:
    scene: scene that holds the object.
    number: index of the object.
    image_size: H and W.
    margin: number of pixels beyond each edge to include.
  """
  rays = cameras.rays(image_size, scene.camera.focal, margin)
  hits = _meet(scene, scene.objects[number], rays)[0]
  return int(np.count_nonzero(_is_covered(hits)))


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
  """Returns the bounding box of the pixels that are set.

  Args:
    mask: [H, W] bool.

  Returns:
    xmin, ymin, xmax, ymax in pixels, maxima exclusive; zeros if no pixel is
    set.
  """
  columns = np.flatnonzero(mask.any(axis=0))
  rows = np.flatnonzero(mask.any(axis=1))
  if not rows.size:
    return 0, 0, 0, 0
  return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def visible_boxes(scene: Scene, image_size: tuple[int, int]) -> np.ndarray:
  """Returns the boxes of the visible part of each object, without shading.

  Args:
    scene: scene that holds the objects.
    image_size: H and W.

  Returns:
    [objects, 4] int32, xmin, ymin, xmax, ymax in pixels, maxima exclusive;
    zeros for objects that are not visible.
  """
  nothing = np.zeros([*image_size, 3], np.float32)
  front = draw(scene, nothing).front
  boxes = [
    bounding_box(front == number) for number in range(len(scene.objects))
  ]
  return np.array(boxes, np.int32).reshape(-1, 4)


def _is_covered(hits):
  """Whether each hit is more than a soft edge."""
  return hits.coverage >= 0.5


def _meet(scene, posed, rays):
  """Traces the camera's rays to an object, in the solid's units and axes.

  Returns:
    The hits, the camera's position [3], the rays, and the side of a pixel at
    the object.
  """
  solid, camera = posed.solid, scene.camera
  scale = solid.radius / posed.radius  # From the world's units to the solid's.
  to_solid = posed.rotation.T
  offset = camera.position - posed.center
  origin = scale * (to_solid @ offset) + np.asarray(solid.center)
  rays = rays.turned(to_solid @ camera.axes.T)
  pixel = float(np.linalg.norm(offset)) * scale * rays.pixel
  return ray_march.march(solid, origin, rays, pixel), origin, rays, pixel


def _layer(scene, posed, image_size):
  """Returns one object's hits, depths in world units, and colors [3, n]."""
  solid, to_solid = posed.solid, posed.rotation.T
  hits, origin, rays, pixel = _meet(
    scene, posed, cameras.rays(image_size, scene.camera.focal)
  )
  directions = rays.directions[:, hits.ray]
  color = shading.shade(
    solid,
    posed.surfaces,
    np.float32(origin)[:, None] + hits.depth * directions,
    hits.distance,
    toward_eye=-directions,
    toward_light=np.float32(to_solid @ scene.light.direction),
    toward_sky=np.float32(to_solid[:, 1]),
    light_color=scene.light.color,
    step=0.5 * pixel,
  )
  scale = np.float32(solid.radius / posed.radius)
  return hits._replace(depth=hits.depth / scale), color
