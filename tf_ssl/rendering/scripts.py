"""What happens in a rendered video: objects, their paths, light and camera.

A script is a function of time, drawn once from the video's index. All motion is
sinusoidal, and its periods divide one common period: what holds during that
period holds forever.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.rendering import camera as cameras
from tf_ssl.rendering import categories, scene, shading, stills
from tf_ssl.rendering import factors as factors_lib

PERIOD = 24.0  # Seconds.
_CHECKS = 120  # Times per period at which paths are compared.
_OFFERS = 100  # Candidate paths drawn at once.
_GAP = 0.1  # Minimum gap between objects at those times.
_FEWEST, _MOST = 3, 6  # Number of objects.
_FOCAL = 1.5  # Image heights: a field of view of 37 degrees.
_SPREAD = 2.0  # Distance of objects from the origin; about the camera's view.
_RADIUS = 0.7, 1.0  # Radius of bounding spheres.
_TURN = 20.0, 75.0  # Angular velocity, degrees per second.
_HOVERING = 0.25  # Fraction of objects that hover and lean.
_LEAN = 30.0  # Maximum lean, degrees.
_LIGHT_ELEVATION = 50.0  # Degrees.


class Swing(NamedTuple):
  """Values that oscillate sinusoidally, each with its own frequency.

  Attributes:
    center: [..., n], mean values.
    reach: [..., n], amplitudes.
    cycles: [..., n], whole number of oscillations per period.
    phase: [..., n], phase at time 0, oscillations.
  """

  center: np.ndarray
  reach: np.ndarray
  cycles: np.ndarray
  phase: np.ndarray

  def at(self, time) -> np.ndarray:
    """Returns the values [..., n] at one or several times [...], seconds."""
    swings = self.cycles * np.asarray(time)[..., None] / PERIOD + self.phase
    return self.center + self.reach * np.sin(2 * math.pi * swings)


class Actor(NamedTuple):
  """An object and its motion.

  Attributes:
    category: index into `categories.CATEGORIES`.
    instance: number of the instance in its category.
    posed: the object before it moves.
    path: motion of x and z.
    azimuth: azimuth at time 0, degrees.
    turn: angular velocity about its own axis, degrees per second.
  """

  category: int
  instance: int
  posed: scene.PosedObject
  path: Swing
  azimuth: float
  turn: float

  def at(self, time: float) -> scene.PosedObject:
    """Returns the object at a time in seconds."""
    x, z = self.path.at(time)
    return self.posed._replace(
      center=np.array([x, self.posed.center[1], z]),
      rotation=self.posed.rotation
      @ cameras.turn(self.azimuth + self.turn * time),
    )


class Script(NamedTuple):
  """Everything that happens in a video.

  Attributes:
    actors: object 1, object 2, ...
    light: the one light.
    eye: motion of the camera: azimuth, elevation, distance, and x and z of the
      point on the floor in the middle of the image.
    floor: number of the floor's picture.
    wall: number of the wall's picture.
  """

  actors: tuple[Actor, ...]
  light: shading.Light
  eye: Swing
  floor: int
  wall: int

  def at(self, time: float) -> scene.Scene:
    """Returns the scene at a time in seconds."""
    azimuth, elevation, distance, x, z = self.eye.at(time)
    target = np.array([x, 0.5, z])
    eye = target + distance * cameras.direction(azimuth, elevation)
    return scene.Scene(
      [actor.at(time) for actor in self.actors],
      self.light,
      cameras.look_at(eye, target, focal=_FOCAL),
    )


def random_script(
  seed: int, index: int, *, backgrounds: int = factors_lib.BACKGROUNDS
) -> Script:
  """Draws the script of video number `index` of world `seed`.

  Args:
    seed: seed of the world, >= 0.
    index: index of the video, >= 0.
    backgrounds: number of different floors and walls in the world's videos, 1
      to `factors.BACKGROUNDS`.

  Raises:
    UsageError: an argument is out of range.
  """
  check_backgrounds(backgrounds)
  if index < 0:
    raise errors.UsageError(
      f"index={index}: expected a whole number >= 0; change index"
    )
  rng = factors_lib.generator(seed, factors_lib.VIDEO, index)
  cast = [
    _random_actor(rng, seed, index)
    for _ in range(int(rng.integers(_FEWEST, _MOST + 1)))
  ]
  paths = paths_apart(rng, [_footprint(actor.posed) for actor in cast], _SPREAD)
  azimuth = rng.uniform(0, 360)
  tint, power = rng.uniform(-0.15, 0.15), rng.uniform(0.85, 1.15)
  reach = rng.uniform(0.4, 1.0, size=5) * (50.0, 7.0, 0.6, 0.5, 0.5)
  return Script(
    tuple(
      actor._replace(path=path) for actor, path in zip(cast, paths, strict=True)
    ),
    shading.Light(
      # In front of the objects, as seen from the camera at time 0.
      cameras.direction(azimuth + rng.uniform(-90, 90), _LIGHT_ELEVATION),
      power * np.array([1 + tint, 1.0, 1 - tint]),
    ),
    random_swing(rng, [azimuth, rng.uniform(20, 30), 6.7, 0, 0], reach),
    int(rng.integers(factors_lib.BACKGROUNDS)) % backgrounds,
    int(rng.integers(factors_lib.BACKGROUNDS)) % backgrounds,
  )


def check_backgrounds(backgrounds: int) -> None:
  """Raises UsageError if the number of backgrounds is out of range."""
  errors.require(
    1 <= backgrounds <= factors_lib.BACKGROUNDS,
    f"backgrounds={backgrounds!r}: expected 1 to {factors_lib.BACKGROUNDS};"
    " change backgrounds",
  )


def random_swing(rng: np.random.Generator, center, reach) -> Swing:
  """Returns a swing with random phases and one or two cycles per period.

  Args:
    rng: generator of cycles and phases.
    center: [..., n], mean values.
    reach: [..., n], amplitudes.
  """
  return Swing(
    np.asarray(center, float),
    np.asarray(reach, float),
    rng.integers(1, 3, size=np.shape(center)),
    rng.random(np.shape(center)),
  )


def paths_apart(
  rng: np.random.Generator, sizes: Sequence[float], spread: float
) -> list[Swing]:
  """Draws paths on the ground along which objects never collide.

  Args:
    rng: generator of the paths.
    sizes: radius of each object.
    spread: approximate maximum distance from the origin; more if the objects
      are too large to pass each other.

  Returns:
    The motion of x and z of each object.
  """
  times = np.linspace(0, PERIOD, _CHECKS, endpoint=False)
  paths, tracks = [], []
  for size in sizes:
    away, reach = 0.65 * spread, 0.45 * spread
    free = np.zeros(1, bool)
    while not free.any():
      offers = _offers(rng, away, reach)
      offered = offers.at(times[:, None])  # [times, offers, 2]
      free = np.ones(_OFFERS, bool)
      for other, track in zip(sizes, tracks, strict=False):
        apart = np.linalg.norm(offered - track[:, None], axis=-1).min(axis=0)
        free &= apart > size + other + _GAP
      away, reach = away * 1.08, reach * 0.88
    chosen = int(np.argmax(free))
    paths.append(Swing(*(values[chosen] for values in offers)))
    tracks.append(offered[:, chosen])
  return paths


def _offers(rng, away, reach):
  """Draws paths with centers up to `away` from the origin: [offers, 2]."""
  angle = rng.uniform(0, 2 * math.pi, size=_OFFERS)
  radius = away * np.sqrt(rng.random(_OFFERS))
  center = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
  return random_swing(
    rng, center, reach * rng.uniform(0.4, 1.0, size=(_OFFERS, 2))
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
  """Radius of the vertical cylinder that contains the turning object."""
  if (posed.rotation != np.eye(3)).any():
    return posed.radius
  x, _, z = posed.solid.half
  return float(np.hypot(x, z)) * posed.radius / posed.solid.radius
