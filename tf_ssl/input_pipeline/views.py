"""Makes the views of examples: cropping by chunk, photometric part by batch.

What is cheap per image but expensive as an operation (order, paths, windows) is
computed once per chunk; only reading, decoding and resizing run per image. The
photometric part runs on batches, in tf.data or inside the train step.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.augment import crop as crop_lib
from tf_ssl.augment import croppers, recipes, resize
from tf_ssl.input_pipeline import decoded_images, decoding, loading, order


class View(NamedTuple):
  """Geometry of a view.

  Attributes:
    crop: range of the random window.
    size: height and width of the view, pixels.
    number: number of crops, in a dimension of their own; None for one crop
      without it.
  """

  crop: crop_lib.CropRange
  size: int
  number: int | None = None

  @property
  def num_windows(self) -> int:
    """Number of windows to draw."""
    return 1 if self.number is None else self.number


def view_of(recipe: recipes.Recipe, image_size: int) -> View:
  """Geometry of a recipe's views in a run with this image size."""
  number = getattr(recipe, "number", None)  # Only of `multi_crop.MultiCrop`.
  return View(recipe.crop, recipe.crop_size(image_size), number)


class Loaded(NamedTuple):
  """The views of an example.

  Attributes:
    crops: crop of each view, [..., size, size, 3] uint8, or [..., number, size,
      size, 3] of several crops; or its finished view.
    index: [...] int64, number of the example.
  """

  crops: tuple[tf.Tensor, ...]
  index: tf.Tensor


def view_loader(
  source: loading.Source,
  views: Sequence[View],
  *,
  decoded: decoded_images.DecodedImages | None = None,
  cropper: croppers.Cropper | None = None,
  prepare: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
  portable: bool = False,
  with_sides: bool = False,
) -> Callable[..., tf.data.Dataset]:
  """Returns a function that crops the views of examples.

  Args:
    source: source of the images.
    views: views. If an example has one image for each view, view v is cropped
      from image v, otherwise all views are cropped from its one image.
    decoded: all images of the source, already decoded; None to decode them.
    cropper: chooses the windows by the source's objects; None for windows
      anywhere in the image.
    prepare: function of a decoded window, [h, w, 3] uint8, before it is
      resized.
    portable: whether the function must run in other processes.
    with_sides: whether elements are pairs of `Loaded` and the height and width
      of each image, [P, 2] int32, pixels.

  Returns:
    A function from examples ([n] int64) and draws ([n, W, ...] for the W
    windows of all views, from `crop.draw`), with a cropper also box draws ([n,
    croppers.NUM_DRAWS]), to a dataset of n `Loaded`. If an image cannot be
    used, the dataset fails and has fewer elements.
  """
  places = source.num_places
  # The view of each window, and the windows of each image: all, or one view's.
  view_numbers = [v for v, x in enumerate(views) for _ in range(x.num_windows)]
  shown = [
    [w for w, v in enumerate(view_numbers) if v % places == p]
    for p in range(places)
  ]
  sizes = [views[v].size for v in view_numbers]
  of_place = [
    croppers.Views(
      [views[view_numbers[w]].crop for w in numbers],
      [sizes[w] for w in numbers],
      numbers,
    )
    for numbers in shown
  ]

  def draw_windows(regions, sides, draws, objects, place) -> tf.Tensor:
    """Windows [n, V, 4] of the V views that one image of an example shows."""
    views_here = of_place[place]
    draws = tf.gather(draws, views_here.numbers, axis=1)
    if cropper is None:
      return crop_lib.random_windows(regions, draws, crops=views_here.crops)
    boxes, found, box_draws = objects
    boxes = source.in_pixels(boxes[:, place], regions, sides)
    boxes, found = croppers.within(regions, boxes, found)
    return cropper.windows(
      regions, croppers.Objects(boxes, found, box_draws), draws, views_here
    )

  def read(
    locations: loading.Location,
  ) -> tuple[tf.Tensor, decoding.Headers]:
    """Contents of n images, or their numbers if `decoded`, and headers."""
    if decoded is not None:
      return locations.index, decoded.headers(locations.index)
    encoded = tf.map_fn(source.read, locations, fn_output_signature=tf.string)
    return encoded, decoding.read_headers(encoded, portable=portable)

  def pixels_of(image: tf.Tensor, window: tf.Tensor, turn: tf.Tensor):
    """A window of one of the images of `read`."""
    if decoded is not None:
      return decoded.window(image, window)
    return decoding.decode_window(image, window, turn, portable=portable)

  # tf.functions, which are not traced again when used again.
  @tf.function(autograph=False)
  def draw(
    locations: loading.Location,
    draws: tf.Tensor,
    indices: tf.Tensor,
    objects: tuple[tf.Tensor, ...],
  ) -> tuple[tf.Tensor, ...]:
    # One function for a chunk: TensorFlow fails in deterministic runs where it
    # rewrites a mapped dataset that is batched before an Assert.
    images, headers = read(locations)
    regions = loading.regions(locations.box, headers.sides)
    regions = tf.reshape(regions, [-1, places, 4])
    sides = tf.reshape(headers.sides, [-1, places, 2])
    outer, windows = [], [None] * len(view_numbers)
    for place, numbers in enumerate(shown):
      drawn = draw_windows(
        regions[:, place], sides[:, place], draws, objects, place
      )
      outer.append(crop_lib.enclosing_window(drawn))
      start = tf.pad(outer[-1][:, None, :2], [[0, 0], [0, 0], [0, 2]])
      for w, window in zip(
        numbers, tf.unstack(drawn - start, len(numbers), axis=1), strict=True
      ):
        windows[w] = window
    return (
      tf.reshape(images, [-1, places]),
      tf.reshape(headers.orientation, [-1, places]),
      tf.stack(outer, axis=1),
      tf.stack(windows, axis=1),
      indices,
      sides,
    )

  @tf.function(autograph=False)
  def cut(
    images: tf.Tensor,
    turns: tf.Tensor,
    outer: tf.Tensor,
    windows: tf.Tensor,
    index: tf.Tensor,
    sides: tf.Tensor,
  ) -> Loaded | tuple[Loaded, tf.Tensor]:
    crops = [None] * len(view_numbers)
    before = []
    for place, numbers in enumerate(shown):
      with tf.control_dependencies(before):  # As in `draw`.
        image = pixels_of(images[place], outer[place], turns[place])
      before = [image]
      found = resize.resize_windows(
        prepare(image),
        tf.ensure_shape(tf.gather(windows, numbers), [len(numbers), 4]),
        [sizes[w] for w in numbers],
        portable=portable,
      )
      for w, crop in zip(numbers, found, strict=True):
        crops[w] = crop
    loaded = Loaded(_by_view(crops, views), index)
    return (loaded, sides) if with_sides else loaded

  def load(
    indices: tf.Tensor, draws: tf.Tensor, box_draws: tf.Tensor | None = None
  ) -> tf.data.Dataset:
    objects = ()
    if cropper is not None:
      objects = (*source.draw_objects(indices, box_draws), box_draws)
    chunk = (source.locate(indices), draws, indices, objects)
    return tf.data.Dataset.from_tensors(chunk).map(draw).unbatch().map(cut)

  return load


def _by_view(
  crops: Sequence[tf.Tensor], views: Sequence[View]
) -> tuple[tf.Tensor, ...]:
  """Stacks the crops of each view that has several."""
  found, rest = [], list(crops)
  for view in views:
    mine, rest = rest[: view.num_windows], rest[view.num_windows :]
    if view.number is None:
      found += mine
    elif mine:
      found.append(tf.stack(mine))
    else:
      found.append(tf.zeros([0, view.size, view.size, 3], tf.uint8))
  return tuple(found)


def recipe_of_each_view(
  recipe: recipes.Recipe | Sequence[recipes.Recipe], view_type: type
) -> list[recipes.Recipe]:
  """Returns the recipes of a batch's views, in the order of its fields.

  Of two recipes for a batch with `crops`, the second is that of the crops.

  Raises:
    UsageError: the number of recipes does not fit, or the recipe of `crops` is
      that of a single view or the reverse.
  """
  fields = batches.view_fields(view_type)
  if hasattr(recipe, "finish"):
    found = [recipe] * len(fields)
  elif len(recipe) == 2 and batches.CROPS in fields:
    found = [recipe[field == batches.CROPS] for field in fields]
  else:
    found = list(recipe)
  errors.require(
    len(found) == len(fields),
    f"recipe: got {len(found)} recipes; expected one, or one for each of"
    f" {', '.join(fields)}; change `recipe`.",
  )
  for field, each in zip(fields, found, strict=True):
    errors.require(
      hasattr(each, "number") == (field == batches.CROPS),
      f"recipe of `{field}`: got {type(each).__name__}; expected one of several"
      " crops, such as multi_crop.crops(), for `crops` and for no other view;"
      " change `recipe`.",
    )
  return found


class Finisher:
  """The photometric part of the views of a batch."""

  def __init__(
    self,
    recipe: recipes.Recipe | Sequence[recipes.Recipe],
    view_type: type,
    *,
    seed: int,
    batch_size: int,
    compiled: bool = False,
  ):
    """Initializes the finisher.

    Args:
      recipe: recipe of all views, or a recipe for each view.
      view_type: batch type, see `batches`.
      seed: seed of the run.
      batch_size: number of examples in a global batch, B.
      compiled: whether operations are compiled, see `Recipe.finish`.
    """
    self._recipes = recipe_of_each_view(recipe, view_type)
    self._seed, self._batch_size = seed, batch_size
    self._functions = {}
    for each in self._recipes:  # Traced once for all views with a recipe.
      self._functions.setdefault(id(each), self._function(each, compiled))

  def _function(self, recipe, compiled):
    @tf.function(autograph=False)
    def finish(images, view_seed, offset, batch_size):
      return recipe.finish(
        images,
        view_seed,
        offset=offset,
        total=batch_size,
        compiled=compiled,
      )

    return finish

  def crops(
    self,
    crops: Sequence[tf.Tensor],
    step: tf.Tensor,
    offset: tf.Tensor,
    *,
    batch_size: int | tf.Tensor | None = None,
  ) -> tuple[tf.Tensor, ...]:
    """Finishes crops of each view.

    Args:
      crops: crops of each view, [n, size, size, 3] uint8, or [n, number, size,
        size, 3]: rows offset..offset+n-1 of the global batch.
      step: [] integer, training step.
      offset: [] integer, row of the first crop in the global batch.
      batch_size: number of examples in this global batch; None for the
        finisher's.

    Returns:
      The input of the encoder for each view.
    """
    total = self._batch_size if batch_size is None else batch_size
    return tuple(
      self._functions[id(recipe)](
        images, order.view_seed(self._seed, step, view), offset, total
      )
      for view, (recipe, images) in enumerate(
        zip(self._recipes, crops, strict=True)
      )
    )

  def batch(
    self,
    batch: Any,
    step: tf.Tensor,
    offset: tf.Tensor,
    *,
    batch_size: int | tf.Tensor | None = None,
  ) -> Any:
    """Finishes the views of a batch type of `batches`; see `crops`."""
    names = batches.view_fields(type(batch))
    finished = self.crops(
      [getattr(batch, n) for n in names], step, offset, batch_size=batch_size
    )
    return batch._replace(**dict(zip(names, finished, strict=True)))
