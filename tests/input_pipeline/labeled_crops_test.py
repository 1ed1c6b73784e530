"""Random crops with labels, for fine-tuning."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl.datasets import image_folder
from tf_ssl.datasets import records as records_lib
from tf_ssl.input_pipeline import labeled_crops


def _records(root):
  """Ten images of two classes: dark on the left or dark on the right."""
  for i in range(10):
    folder = root / "ab"[i % 2]
    folder.mkdir(exist_ok=True)
    image = np.zeros([16, 16, 3], np.uint8)
    image[:, 8:] = 100 + i
    Image.fromarray(image).save(folder / f"{i}.png")
  return image_folder.read(str(root), labeled=True)


def _batches(records, **changes):
  settings = {
    "image_size": 16,
    "batch_size": 4,
    "seed": 0,
    "num_steps": 5,
    "min_area": 1.0,  # and so the whole image
    **changes,
  }
  return list(
    labeled_crops.labeled_crops(records, **settings).as_numpy_iterator()
  )


def test_images_are_mirrored_at_random_and_keep_their_labels(tmp_path):
  records = _records(tmp_path)
  batches = _batches(records)
  assert len(batches) == 5
  mirrored = []
  for image, label in batches:
    assert image.shape == (4, 16, 16, 3) and image.dtype == np.uint8
    number = image.max(axis=(1, 2, 3)).astype(int) - 100
    np.testing.assert_array_equal(label, number % 2)
    mirrored.extend((image[:, 0, 0, 0] > 50).tolist())
  assert 0.2 < np.mean(mirrored) < 0.8
  for a, b in zip(_batches(records, start_step=3), batches[3:], strict=True):
    np.testing.assert_array_equal(a.image, b.image)


def test_examples_choose_the_images(tmp_path):
  records = _records(tmp_path)
  subset = records._replace(examples=records_lib.Examples(np.array([[1], [7]])))
  seen = {
    (int(one.max()), int(label))
    for batch in _batches(subset, batch_size=2)
    for one, label in zip(*batch, strict=True)
  }
  assert seen == {
    (100 + int(records.name(i)[2]), int(records.labels[i])) for i in (1, 7)
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
