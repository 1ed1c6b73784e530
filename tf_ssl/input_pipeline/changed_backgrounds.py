"""Makes views whose background is another image's."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_ssl.augment import background_change, croppers
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import decoded_images, loading
from tf_ssl.input_pipeline import views as views_lib


def background_loader(
  records: records_lib.ImageRecords,
  views: Sequence[views_lib.View],
  change: background_change.BackgroundChange,
  *,
  decoded: decoded_images.DecodedImages | None = None,
  cropper: croppers.Cropper | None = None,
  portable: bool = False,
) -> Callable[..., tf.data.Dataset]:
  """Returns a function that crops views and changes their backgrounds.

  The windows of a mask are those of its image, so that a mask of another size
  makes its image unusable. The other image is any but this one, with windows
  anywhere in it. If it cannot be used, the views stay as they are.

  Args:
    records: images with masks, each an example of its own.
    views: views.
    change: change of the background.
    decoded: all images, already decoded; None to decode them.
    cropper: chooses the windows by the objects; None for windows anywhere.
    portable: whether the function must run in other processes.

  Returns:
    A function as that of `views.view_loader`, which gets background draws in
    addition: [n, 1 + W] numbers in 0..1 of the other image and of each window,
    and [n, W, ...] draws of the other image's windows.
  """
  load_image = views_lib.view_loader(
    loading.Source(records),
    views,
    decoded=decoded,
    cropper=cropper,
    portable=portable,
    with_sides=True,
  )
  load_other = views_lib.view_loader(
    loading.Source(records), views, decoded=decoded, portable=portable
  )
  load_mask = views_lib.view_loader(
    loading.Source(records_lib.masks_as_images(records)),
    views,
    cropper=cropper,
    prepare=background_change.binary,
    portable=portable,
    with_sides=True,
  )
  known = tf.constant(records.masks.known)
  count = records.num_images

  @tf.function(autograph=False)
  def mix(
    of_image: tuple[views_lib.Loaded, tf.Tensor],
    of_mask: tuple[views_lib.Loaded, tf.Tensor],
    found: tuple[views_lib.Loaded, tf.Tensor],
    draws: tf.Tensor,
  ) -> views_lib.Loaded:
    (image, sides), (mask, mask_sides) = of_image, of_mask
    other, usable = found
    fits = tf.debugging.Assert(
      tf.reduce_all(sides == mask_sides), ["mask of another size", mask_sides]
    )
    with tf.control_dependencies([fits]):
      changeable = usable & tf.gather(known, image.index)
    crops, first = [], 0
    for v, view in enumerate(views):
      last = first + view.num_windows
      drawn = draws[first] if view.number is None else draws[first:last]
      crops.append(
        change.apply(
          image.crops[v],
          mask.crops[v],
          other.crops[v],
          drawn,
          changeable,
        )
      )
      first = last
    return image._replace(crops=tuple(crops))

  def load(
    indices: tf.Tensor,
    draws: tf.Tensor,
    box_draws: tf.Tensor | None,
    change_draws: tf.Tensor,
    other_draws: tf.Tensor,
  ) -> tf.data.Dataset:
    step = tf.cast(change_draws[:, 0] * (count - 1.0), tf.int64)
    others = (indices + 1 + tf.minimum(step, max(count - 2, 0))) % count
    # One attempt: an image has no substitutes, and its example none for it.
    found = loading.load_chunk(
      lambda first, places, them: load_other(
        them, tf.gather(other_draws, places)
      ),
      lambda places, attempt: tf.gather(others, places),
      tf.constant(0, tf.int64),
      tf.size(others, tf.int64),
      attempts=1,
    )
    found = found.map(lambda chunk: (chunk.loaded, chunk.failures == 0))
    return tf.data.Dataset.zip(
      (
        load_image(indices, draws, box_draws),
        load_mask(indices, draws, box_draws),
        found.unbatch(),
        tf.data.Dataset.from_tensor_slices(change_draws[:, 1:]),
      )
    ).map(mix)

  return load
