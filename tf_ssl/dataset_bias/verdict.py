"""What a diagnosis says, in three sentences."""

from collections.abc import Callable

import numpy as np

from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias import reference

# How far along the way from the rendered scenes to the rendered objects, by how
# often both views are foremost of one object: thirds, a choice of this project.
_SCENES, _OBJECTS = 1 / 3, 2 / 3
_TELLING = 0.05  # A difference between the references that can be divided.


def sentences(diagnosis: diagnosis_lib.Diagnosis) -> list[str]:
  """Three sentences of plain text, each with the references' numbers."""
  own = diagnosis.subject.name
  marked = "ESTIMATE, no boxes were given: " if _estimated(diagnosis) else ""
  least = diagnosis.settings.crop.area[0]
  at_recipe = diagnosis.at_recipe(own)
  share = at_recipe["same_foremost"].value
  first, last = (diagnosis.own.curve[area] for area in _ends(diagnosis))
  low, high = _ends(diagnosis)
  return [
    f"{marked}an image with objects shows {_objects(diagnosis, own):.1f} of "
    f"them ({_beside(diagnosis, _objects, '{:.1f}'.format)}), and the largest "
    f"takes up {percent(_area(diagnosis, own))} of it "
    f"({_beside(diagnosis, _area, percent)}).",
    f"{marked}two views of at least {percent(least)} of an image's area are "
    f"foremost of the same object in {percent(share)} of pairs "
    f"({_beside(diagnosis, _foremost, percent)}), show no object in common in "
    f"{percent(1 - at_recipe['same_object'].value)} and no object at all in "
    f"{percent(at_recipe['no_object'].value)}: {_place(diagnosis)}.",
    f"{marked}a view that shows the main object cuts off "
    f"{percent(at_recipe['main_hidden'].value)} of it "
    f"({_beside(diagnosis, _hidden, percent)}), which is the occlusion that "
    f"the recipe teaches; from a smallest area of {percent(low)} to one of "
    f"{percent(high)} this goes from {percent(first['main_hidden'].value)} to "
    f"{percent(last['main_hidden'].value)}, and pairs foremost of the same "
    f"object go from {percent(first['same_foremost'].value)} to "
    f"{percent(last['same_foremost'].value)}.",
  ]


def percent(share: float | None) -> str:
  """A share in percent, with one decimal below ten; a dash where undefined."""
  if share is None or np.isnan(share):
    return "–"
  return f"{share * 100:.{1 if 0 < abs(share) < 0.0995 else 0}f} %"


def position(diagnosis: diagnosis_lib.Diagnosis) -> float:
  """How far the dataset is from rendered scenes, 0, to rendered objects, 1.

  By the share of pairs that are foremost of the same object. Below 0 and above
  1 for datasets beyond; NaN where crops are so mild that the references differ
  by less than 0.05.
  """
  objects, scenes = (_foremost(diagnosis, n) for n in _references(diagnosis))
  if objects - scenes < _TELLING:
    return float("nan")
  own = _foremost(diagnosis, diagnosis.subject.name)
  return (own - scenes) / (objects - scenes)


def _place(diagnosis) -> str:
  place = position(diagnosis)
  if np.isnan(place):
    return "crops so mild do not tell objects from scenes"
  if place <= 0:
    kind = "scene-centric, more so than the rendered scenes"
  elif place >= 1:
    kind = "object-centric, more so than the rendered objects"
  else:
    kind = (
      "scene-centric"
      if place < _SCENES
      else "object-centric"
      if place > _OBJECTS
      else "neither object-centric nor scene-centric"
    )
    kind += (
      f", {percent(place)} of the way from the rendered scenes to the objects"
    )
  return f"the dataset is {kind}"


def _estimated(diagnosis) -> bool:
  return bool(diagnosis.subject.estimated_by)


def _ends(diagnosis) -> tuple[float, float]:
  areas = list(diagnosis.own.curve)
  return areas[0], areas[-1]


def _references(diagnosis) -> list[str]:
  """The names of the references: objects, then scenes."""
  names = [n for n in diagnosis.described if n != diagnosis.subject.name]
  return sorted(names, key=lambda n: list(reference.MEANING).index(_root(n)))


def _root(name: str) -> str:
  """The name of a reference, whether marked as an estimate or not."""
  return next(root for root in reference.MEANING if name.startswith(root))


def _beside(diagnosis, value, form: Callable[[float], str]) -> str:
  return ", ".join(
    f"{form(value(diagnosis, name))} in {_root(name)}"
    for name in _references(diagnosis)
  )


def _objects(diagnosis, name: str) -> float:
  described = diagnosis.described[name]
  return float(described.statistics.objects[described.inhabited].mean())


def _area(diagnosis, name: str) -> float:
  return float(np.nanmean(diagnosis.described[name].statistics.largest_area))


def _foremost(diagnosis, name: str) -> float:
  return diagnosis.at_recipe(name)["same_foremost"].value


def _hidden(diagnosis, name: str) -> float:
  return diagnosis.at_recipe(name)["main_hidden"].value
