"""Summarizes a diagnosis in three sentences, and recommends a cropper."""

from collections.abc import Callable

import numpy as np

from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias import reference
from tf_ssl.dataset_bias import remedy as remedy_lib

# Limits of scene-centric and object-centric, as a position between the rendered
# scenes, 0, and the rendered objects, 1: thirds, a choice of this project.
_SCENES, _OBJECTS = 1 / 3, 2 / 3
_MIN_DIFFERENCE = 0.05  # Between the references, for a position to have sense.


def sentences(diagnosis: diagnosis_lib.Diagnosis) -> list[str]:
  """Three sentences of plain text, each with the references' values."""
  own = diagnosis.dataset.name
  mark = ""
  if diagnosis.dataset.estimated_by:
    mark = "ESTIMATE (no boxes were given): "
  least = diagnosis.settings.crop.area[0]
  at_recipe = diagnosis.at_recipe(own)
  share = at_recipe["same_foremost"].value
  areas = list(diagnosis.own.curve)
  low, high = areas[0], areas[-1]
  first, last = diagnosis.own.curve[low], diagnosis.own.curve[high]
  return [
    f"{mark}an image with objects shows {_objects(diagnosis, own):.1f} of "
    f"them ({_references(diagnosis, _objects, '{:.1f}'.format)}), and the "
    f"largest covers {percent(_area(diagnosis, own))} of it "
    f"({_references(diagnosis, _area, percent)}).",
    f"{mark}two views of at least {percent(least)} of an image's area show "
    f"the same object foremost in {percent(share)} of pairs "
    f"({_references(diagnosis, _foremost, percent)}), no object in common in "
    f"{percent(1 - at_recipe['same_object'].value)} and no object at all in "
    f"{percent(at_recipe['no_object'].value)}: {_place(diagnosis)}.",
    f"{mark}a view that shows the main object cuts off "
    f"{percent(at_recipe['main_hidden'].value)} of it "
    f"({_references(diagnosis, _hidden, percent)}), which is the occlusion "
    f"that the recipe teaches; as the smallest area grows from {percent(low)} "
    f"to {percent(high)}, this share goes from "
    f"{percent(first['main_hidden'].value)} to "
    f"{percent(last['main_hidden'].value)}, and pairs with the same foremost "
    f"object from {percent(first['same_foremost'].value)} to "
    f"{percent(last['same_foremost'].value)}.",
  ]


def recommendation(diagnosis: diagnosis_lib.Diagnosis) -> str:
  """One sentence of plain text: which cropper to use, and why."""
  remedy = diagnosis.remedy
  plain, chosen = (remedy.means[n] for n in (remedy_lib.PLAIN, remedy.chosen))
  mark = "ESTIMATE: " if diagnosis.dataset.estimated_by else ""

  def change(quantity: str) -> str:
    return (
      f"{percent(chosen[quantity].value)} instead of"
      f" {percent(plain[quantity].value)}"
    )

  foremost = percent(plain["same_foremost"].value)
  if remedy.chosen == remedy_lib.PLAIN:
    most = plain["overlap"].value + remedy_lib.MAX_OVERLAP_GAIN
    return (
      f"{mark}recommended: {remedy_lib.PLAIN}, as no other cropper raises the"
      f" {foremost} of pairs with the same foremost object by"
      f" {percent(remedy_lib.MIN_GAIN)} while two views overlap by at most"
      f" {percent(most)}."
    )
  return (
    f"{mark}recommended: {remedy.chosen}, because two views show the same"
    f" object foremost in {change('same_foremost')} of pairs with"
    f" {remedy_lib.PLAIN}, and a view shows no object in"
    f" {change('empty_view')}, while two views overlap by {change('overlap')}."
  )


def percent(share: float | None) -> str:
  """A share in percent, with one decimal below ten; a dash if undefined."""
  if share is None or np.isnan(share):
    return "–"
  return f"{share * 100:.{1 if 0 < abs(share) < 0.0995 else 0}f} %"


def position(diagnosis: diagnosis_lib.Diagnosis) -> float:
  """Position of the dataset between rendered scenes, 0, and objects, 1.

  Measured by the share of pairs with the same foremost object. Below 0 and
  above 1 for datasets beyond the references; NaN where crops are so mild that
  the references differ by less than 0.05.
  """
  objects, scenes = (_foremost(diagnosis, n) for n in _names(diagnosis))
  if objects - scenes < _MIN_DIFFERENCE:
    return float("nan")
  own = _foremost(diagnosis, diagnosis.dataset.name)
  return (own - scenes) / (objects - scenes)


def _place(diagnosis) -> str:
  place = position(diagnosis)
  if np.isnan(place):
    return "crops this mild do not separate objects from scenes"
  if place <= 0:
    return "the dataset is more scene-centric than the rendered scenes"
  if place >= 1:
    return "the dataset is more object-centric than the rendered objects"
  kind = (
    "scene-centric"
    if place < _SCENES
    else "object-centric"
    if place > _OBJECTS
    else "neither object-centric nor scene-centric"
  )
  return (
    f"the dataset is {kind}, {percent(place)} of the way from the rendered "
    "scenes to the rendered objects"
  )


def _names(diagnosis) -> list[str]:
  """The names of the references: objects, then scenes."""
  names = [n for n in diagnosis.described if n != diagnosis.dataset.name]
  return sorted(names, key=lambda n: list(reference.MEANING).index(_root(n)))


def _root(name: str) -> str:
  """The name of a reference without the mark of an estimate."""
  return next(root for root in reference.MEANING if name.startswith(root))


def _references(diagnosis, value, form: Callable[[float], str]) -> str:
  return ", ".join(
    f"{_root(name)}: {form(value(diagnosis, name))}"
    for name in _names(diagnosis)
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
