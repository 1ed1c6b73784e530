"""The photometric half of a batch, in tf.data or inside the train step."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.augment import recipes
from tf_ssl.input_pipeline import order


def recipe_of_each_view(
  recipe: recipes.Recipe | Sequence[recipes.Recipe], view_type: type
) -> list[recipes.Recipe]:
  """The recipes of a batch's views, in the order of its fields.

  Raises:
    UsageError: several recipes, but not as many as views.
  """
  count = len(batches.view_fields(view_type))
  if hasattr(recipe, "finish"):
    return [recipe] * count
  if len(recipe) != count:
    raise errors.UsageError(
      f"recipe: got {len(recipe)} recipes; expected one, or one for each of"
      f" {', '.join(batches.view_fields(view_type))}; change `recipe`."
    )
  return list(recipe)


class Finisher:
  """The photometric half of a batch, wherever it runs."""

  def __init__(
    self,
    recipe: recipes.Recipe | Sequence[recipes.Recipe],
    view_type: type,
    *,
    seed: int,
    batch_size: int,
    compiled: bool = False,
  ):
    """Takes the arguments of `view_batches`, and of `Recipe.finish`."""
    self._recipes = recipe_of_each_view(recipe, view_type)
    self._seed, self._batch_size = seed, batch_size
    self._functions = {}
    for each in self._recipes:  # traced once for all views of a recipe
      self._functions.setdefault(id(each), self._function(each, compiled))

  def _function(self, recipe, compiled):
    @tf.function(autograph=False)
    def finish(images, view_seed, offset):
      return recipe.finish(
        images,
        view_seed,
        offset=offset,
        total=self._batch_size,
        compiled=compiled,
      )

    return finish

  def crops(
    self, crops: Sequence[tf.Tensor], step: tf.Tensor, offset: tf.Tensor
  ) -> tuple[tf.Tensor, ...]:
    """Finishes crops of each view.

    Args:
      crops: for each view [n, size, size, 3] uint8: rows offset..offset+n of
        the global batch.
      step: [] integer, of the run.
      offset: [] integer.

    Returns:
      What the encoder sees, for each view.
    """
    return tuple(
      self._functions[id(recipe)](
        images, order.view_seed(self._seed, step, view), offset
      )
      for view, (recipe, images) in enumerate(
        zip(self._recipes, crops, strict=True)
      )
    )

  def batch(self, batch: Any, step: tf.Tensor, offset: tf.Tensor) -> Any:
    """Finishes the views of a batch of `types`; see `crops`."""
    names = batches.view_fields(type(batch))
    finished = self.crops([getattr(batch, n) for n in names], step, offset)
    return batch._replace(**dict(zip(names, finished, strict=True)))
