"""What happens in a video: who acts, on which path, and where the camera goes.

A script is a function of time, drawn once from the video's index.
"""

from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.rendering import camera as cameras
from tf_ssl.rendering import categories, motion, scene, shading, stills
from tf_ssl.rendering import factors as factors_lib

_FEWEST, _MOST = 3, 6  # Objects.
_FOCAL = 1.5  # A field of view of 37 degrees.
_SPREAD = 2.0  # How far objects stray; the camera sees about as far.
_RADIUS = 0.7, 1.0  # Of bounding spheres.
_TURN = 20.0, 75.0  # Degrees a second.
_HOVERING = 0.25  # Share of objects that hover and lean.
_LEAN = 30.0  # Degrees, at most.
_LIGHT_ELEVATION = 50.0  # Degrees.


class Actor(NamedTuple):
  """An object and what it does.

  Attributes:
    category: index into `categories.CATEGORIES`.
    instance: which one of its kind.
    posed: the object before it moves.
    path: of x and z.
    azimuth: degrees that it is turned at first.
    turn: degrees a second that it turns about its own axis.
  """

  category: int
  instance: int
  posed: scene.PosedObject
  path: motion.Swing
  azimuth: float
  turn: float

  def at(self, time: float) -> scene.PosedObject:
    """The object at a time in seconds."""
    x, z = self.path.at(time)
    return self.posed._replace(
      center=np.array([x, self.posed.center[1], z]),
      rotation=self.posed.rotation
      @ cameras.turn(self.azimuth + self.turn * time),
    )


class Script(NamedTuple):
  """All that happens in a video.

  Attributes:
    actors: object 1, object 2, ...
    light: the one light.
    eye: the camera's azimuth, elevation, distance, and the x and z of the place
      on the floor that it looks at.
    floor: number of the floor's picture.
    wall: number of the wall's.
  """

  actors: tuple[Actor, ...]
  light: shading.Light
  eye: motion.Swing
  floor: int
  wall: int

  def at(self, time: float) -> scene.Scene:
    """The scene at a time in seconds."""
    azimuth, elevation, distance, x, z = self.eye.at(time)
    target = np.array([x, 0.5, z])
    eye = target + distance * cameras.direction(azimuth, elevation)
    return scene.Scene(
      [actor.at(time) for actor in self.actors],
      self.light,
      cameras.look_at(eye, target, focal=_FOCAL),
    )


def random_script(seed: int, index: int) -> Script:
  """Draws what happens in video number `index` of world `seed`.

  Raises:
    UsageError: if seed or index is negative.
  """
  if index < 0:
    raise errors.UsageError(
      f"index={index}: expected a whole number >= 0; change index."
    )
  rng = factors_lib.generator(seed, factors_lib.VIDEO, index)
  cast = [
    _random_actor(rng, seed, index)
    for _ in range(int(rng.integers(_FEWEST, _MOST + 1)))
  ]
  paths = motion.paths_apart(
    rng, [_footprint(actor.posed) for actor in cast], _SPREAD
  )
  azimuth = rng.uniform(0, 360)
  tint, power = rng.uniform(-0.15, 0.15), rng.uniform(0.85, 1.15)
  reach = rng.uniform(0.4, 1.0, size=5) * (50.0, 7.0, 0.6, 0.5, 0.5)
  return Script(
    tuple(
      actor._replace(path=path) for actor, path in zip(cast, paths, strict=True)
    ),
    shading.Light(
      # In front of the objects, as the camera sees them at first.
      cameras.direction(azimuth + rng.uniform(-90, 90), _LIGHT_ELEVATION),
      power * np.array([1 + tint, 1.0, 1 - tint]),
    ),
    motion.random_swing(rng, [azimuth, rng.uniform(20, 30), 6.7, 0, 0], reach),
    int(rng.integers(factors_lib.BACKGROUNDS)),
    int(rng.integers(factors_lib.BACKGROUNDS)),
  )


def _random_actor(rng, seed, index):
  category = int(rng.integers(len(categories.CATEGORIES)))
  block = index // factors_lib.BLOCK
  number = block * factors_lib.POOL + int(rng.integers(factors_lib.POOL))
  solid, surfaces = stills.instance(seed, category, number)
  radius = rng.uniform(*_RADIUS)
  height = solid.half[1] * radius / solid.radius
  rotation = np.eye(3)
  lift, lean, side = rng.random(), rng.uniform(0, _LEAN), rng.uniform(0, 360)
  if lift < _HOVERING:
    height = radius * (1.1 + 2 * lift)
    tilt = np.eye(3)
    cos, sin = np.cos(np.radians(lean)), np.sin(np.radians(lean))
    tilt[1:, 1:] = [[cos, -sin], [sin, cos]]
    rotation = cameras.turn(side) @ tilt
  turn = rng.uniform(*_TURN) * rng.choice([-1, 1])
  posed = scene.PosedObject(
    solid, surfaces, np.array([0.0, height, 0.0]), rotation, radius
  )
  return Actor(category, number, posed, None, rng.uniform(0, 360), float(turn))


def _footprint(posed):
  """Radius of the upright cylinder that the object turns within."""
  if (posed.rotation != np.eye(3)).any():
    return posed.radius
  x, _, z = posed.solid.half
  return float(np.hypot(x, z)) * posed.radius / posed.solid.radius
