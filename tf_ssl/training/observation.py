"""Which monitors watch a run."""
from typing import NamedTuple
from collections.abc import Callable


class Observation(NamedTuple):
  monitors: list
  judge: Callable


def observe(settings, *, model, records, directory, writer, config, say):
  return Observation([], lambda history: None)
