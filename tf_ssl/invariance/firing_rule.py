"""On what share of the images a unit is to fire, in both variants."""

import math
from typing import NamedTuple

from tf_ssl import errors

VARIANTS = ("code", "formula")


class Rule(NamedTuple):
  """When a unit fires.

  Attributes:
    variant: "code" or "formula".
    fraction: share of images on which a unit is to fire.
    percent: what turns an invariance into a percentage of the largest.
    rank: of the threshold among the sorted values.
  """

  variant: str
  fraction: float
  percent: float
  rank: int


def check_fraction(fraction: float | None) -> None:
  """Raises UsageError for what can be no share of images."""
  if fraction is not None and not 0 < fraction < 1:
    raise errors.UsageError(
      f"firing_fraction is {fraction}; expected a share of the images between "
      "0 and 1, both excluded"
    )


def rule(
  variant: str, fraction: float | None, *, num_images: int, num_classes: int
) -> Rule:
  """The rule for so many images.

  Args:
    variant: "code" or "formula".
    fraction: share of images on which a unit is to fire, between 0 and 1; None:
      1 / C for C classes, and for "code" at least 0.05, as the authors' program
      has it.
    num_images: N.
    num_classes: C.

  Returns:
    A Rule.

  Raises:
    UsageError: one class without a fraction, or a fraction that no unit can
      reach.
  """
  if variant not in VARIANTS:
    raise errors.UsageError(
      f"variant is {variant!r}; expected one of {', '.join(VARIANTS)}"
    )
  if fraction is None and num_classes == 1:
    raise errors.UsageError(
      "all images are of one class: a unit would fire on 1 / 1 of them, "
      "whatever they show; give firing_fraction, such as 0.05, or no classes, "
      "to take each set for a class"
    )
  check_fraction(fraction)
  if variant == "code":
    # In percent and in this order: the authors' arithmetic, to the last digit.
    if fraction is None:
      silent = min((1.0 - 1.0 / num_classes) * 100, 95)
    else:
      silent = (1.0 - fraction) * 100
    rank = int(num_images * silent // 100)
    percent = 100 - silent
    fraction = percent / 100 if fraction is None else fraction
  else:
    fraction = 1 / num_classes if fraction is None else fraction
    # 1e-9: N * (1 / C) may come out just below a whole number.
    rank = num_images - 1 - math.floor(num_images * fraction + 1e-9)
    percent = 100 * fraction
  if rank >= num_images - 1:
    raise errors.UsageError(
      f"no unit could fire: {fraction:g} of {num_images} images is less than "
      "one image above the threshold; give more images or a larger "
      "firing_fraction"
    )
  return Rule(variant, fraction, percent, rank)
