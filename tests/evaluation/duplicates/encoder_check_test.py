"""The second look by an encoder: its own scale, copies, and what cannot do."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.evaluation.duplicates import (
  encoder_check,
  find,
  fingerprints,
  search,
)


class Model:
  """Stands in for `image_model.ImageModel`."""

  name = "tiny"

  def __init__(self, features):
    self.features = lambda images: features(tf.cast(images, tf.float32)).numpy()


def layout(images):
  """[B, 15]: contrast of cells, without regard to left and right."""
  gray = tf.image.resize(
    tf.image.rgb_to_grayscale(images), [5, 6], method="area"
  )
  gray += tf.reverse(gray, [2])
  cells = tf.reshape(gray[:, :, :3], [-1, 15])
  return 50.0 + cells - tf.reduce_mean(cells, 1, keepdims=True)


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
  """20 pictures; a mirrored copy of 0, and one of 1 without a margin."""
  folder = tmp_path_factory.mktemp("pictures")
  rng = np.random.default_rng(0)
  for i in range(20):
    coarse = rng.integers(0, 256, [5, 6, 3], dtype=np.uint8)
    image = Image.fromarray(coarse).resize([96, 80], Image.Resampling.BICUBIC)
    image.save(folder / f"{i:02d}.png")
    if i == 0:
      ImageOps.mirror(image).save(folder / "copy00.png")
    elif i == 1:
      image.crop((4, 3, 92, 77)).save(folder / "copy01.png")
  return str(folder)


def pairs_of(records, pairs):
  return [
    (records.name(a)[:-4], records.name(b)[:-4])
    for a, b in zip(pairs.first, pairs.second, strict=True)
  ]


def test_an_encoder_keeps_copies_and_drops_other_pictures(folder):
  records = image_folder.read(folder)
  check = encoder_check.EncoderCheck(Model(layout), [records], image_size=64)
  assert 0.5 < check.scale.min_similarity < 1 and check.scale.chance < 0.05
  assert "tiny confirms pairs from a similarity of 0." in check.text()
  prints = fingerprints.of_records(records)
  # Of all pairs, as if all hashes were near.
  found = search.near(prints, distance=63, look=check.look(records, records))
  assert {("00", "copy00"), ("01", "copy01")} <= {*pairs_of(records, found)}
  assert len(found.first) < 0.05 * 22 * 21 / 2
  two = search.near(
    prints, prints, distance=63, look=check.look(records, records._replace())
  )
  assert len(two.first) == 2 * len(found.first) + 22


def test_what_an_encoder_calls_different_is_no_copy(folder):
  records = image_folder.read(folder)
  images = iter(range(10**6))

  def unlike(batch):
    rows = [np.random.default_rng(next(images)).normal(size=8) for _ in batch]
    return tf.constant(np.array(rows), tf.float32)

  check = encoder_check.EncoderCheck(Model(unlike), [records], image_size=16)
  look = check.look(records, records)._replace(min_similarity=0.999)
  prints = fingerprints.of_records(records)
  assert not len(search.near(prints, look=look).first)


def test_a_collapsed_encoder_and_few_images_are_errors(folder, tmp_path):
  records = image_folder.read(folder)
  collapsed = Model(lambda images: tf.ones([len(images), 4]))
  with pytest.raises(errors.UsageError, match="collapsed"):
    encoder_check.EncoderCheck(collapsed, [records], image_size=16)
  Image.new("RGB", [20, 20]).save(tmp_path / "a.png")
  few = image_folder.read(str(tmp_path))
  with pytest.raises(errors.UsageError, match="1 images can be read"):
    encoder_check.EncoderCheck(Model(layout), [few], image_size=16)


def test_the_report_names_what_confirmed_pairs(folder, tmp_path):
  lines = []
  found = find.find_duplicates(
    folder,
    str(tmp_path / "out"),
    model=Model(layout),
    image_size=64,
    say=lines.append,
  )
  records = image_folder.read(folder)
  assert {("00", "copy00"), ("01", "copy01")} == {
    *pairs_of(records, found.pairs)
  }
  assert "features of tiny" in open(found.page).read()
  assert any("tiny confirms" in line for line in lines)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
