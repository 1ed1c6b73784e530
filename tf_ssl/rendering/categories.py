"""Ten kinds of thing, told apart by shape alone.

Color plays no part in a recipe, so it cannot give the category away.
"""

import numpy as np

from tf_ssl.rendering import household, outdoors, solids

_RECIPES = {
  "bottle": household.bottle,
  "cactus": outdoors.cactus,
  "car": outdoors.car,
  "chain": outdoors.chain,
  "chair": household.chair,
  "lamp": household.lamp,
  "mug": household.mug,
  "plane": outdoors.plane,
  "table": household.table,
  "tower": outdoors.tower,
}
# In alphabetical order, which is also the order that a class folder gives.
CATEGORIES = tuple(_RECIPES)


def build(category: int, rng: np.random.Generator) -> solids.Solid:
  """Builds one instance.

  Args:
    category: index into `CATEGORIES`.
    rng: the instance's own generator; it alone decides the shape.

  Returns:
    The solid, in units of its own.
  """

  def uniform(low, high):
    return float(rng.uniform(low, high))

  return solids.join(_RECIPES[CATEGORIES[category]](uniform))
