"""What a region track is."""

from typing import NamedTuple


class Settings(NamedTuple):
  """What a track is; the defaults were chosen on twelve videos together.

  Attributes:
    matcher: `greedy`, `mutual` or `optimal`, see matching.
    flow_prior: expect a box also where the flow takes it, besides where it was.
    seeds: how many tracks start at one moment.
    seed_seconds: time between such moments.
    reach_seconds: how far a seed is followed, in each direction.
    floor: least cosine similarity; a track that finds none ends.
    gate: least overlap of a proposal with the expected box.
    overlap_weight: weight of that overlap beside the similarity.
    contrast_weight: weight of the contrast of saliency beside the similarity.
    area_power: see saliency.contrast.
    seed_area_power: the same, when seeds are chosen.
    learning_rate: share of the newest box in the template.
    shifts: places that are tried beside the proposals, in sizes of the box.
    stretch: how far each side of the expected box is tried farther out and
      farther in, as a share of its size.
    visible: least share of a box inside of the image.
  """

  matcher: str = "greedy"
  flow_prior: bool = False
  seeds: int = 10
  seed_seconds: float = 0.5
  reach_seconds: float = 1.5
  floor: float = 0.75
  gate: float = 0.4
  overlap_weight: float = 0.15
  contrast_weight: float = 0.75
  area_power: float = 0.1
  seed_area_power: float = 0.25
  learning_rate: float = 0.1
  shifts: tuple[float, ...] = (-0.15, 0.0, 0.15)
  stretch: float = 0.1
  visible: float = 0.6
