"""Near-duplicates: planted copies, plain loops, and pictures of one color."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tf_ssl import errors
from tf_ssl.datasets import image_folder
from tf_ssl.evaluation.duplicates import fingerprints, search


def scene(rng, size=(96, 72)):
  """A random picture with large and small structure."""
  coarse = rng.integers(0, 256, [5, 6, 3], dtype=np.uint8)
  image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
  noise = rng.normal(0, 6, [size[1], size[0], 3])
  return Image.fromarray(
    (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)
  )


@pytest.fixture(name="planted", scope="module")
def _planted(tmp_path_factory):
  """40 pictures, and altered copies of the first four."""
  folder = tmp_path_factory.mktemp("pictures")
  rng = np.random.default_rng(0)
  for i in range(40):
    image = scene(rng)
    image.save(folder / f"{i:02d}.png")
    if i == 0:
      image.save(folder / "copy00.jpg", quality=60)
    elif i == 1:
      image.resize([200, 150]).save(folder / "copy01.png")
    elif i == 2:
      ImageEnhance.Brightness(image).enhance(0.8).save(folder / "copy02.png")
    elif i == 3:
      image.save(folder / "copy03.png")
  (folder / "broken.png").write_bytes(b"no image")
  return image_folder.read(str(folder))


def names(records, pairs):
  return {
    tuple(sorted((records.name(a)[:-4], records.name(b)[:-4])))
    for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
  }


def test_planted_copies_are_found_and_nothing_else(planted):
  found = fingerprints.of_records(planted)
  assert list(found.problems) == ["broken.png"]
  pairs = search.near(found)
  expected = {(f"0{i}", f"copy0{i}") for i in range(4)}
  assert names(planted, pairs) == expected
  counts = pairs.counts()
  assert list(counts) == list(search.DISTANCES) and counts[8] == 4
  assert counts[0] >= 1  # The exact copy.
  assert [len(g) for g in search.groups(pairs, planted.num_images)] == [2] * 4


def test_two_sets_are_compared_with_each_other_alone(planted):
  found = fingerprints.of_records(planted)
  pairs = search.near(found, found)
  same = pairs.first == pairs.second
  assert same.sum() == len(found.index)
  assert (~same).sum() == 2 * 4  # Each copy from both sides.


def random_prints(count, seed):
  rng = np.random.default_rng(seed)
  base = rng.integers(0, 2**63, 8, dtype=np.uint64)
  hashes = base[rng.integers(8, size=count)]
  for _ in range(6):
    hashes ^= np.uint64(1) << rng.integers(64, size=count).astype(np.uint64)
  pictures = np.tile(
    rng.integers(0, 256, [1, 16, 16, 3], dtype=np.uint8), [count, 1, 1, 1]
  )
  return fingerprints.Fingerprints(np.arange(count) * 2, hashes, pictures, {})


def test_pairs_are_those_of_a_loop_over_bits(monkeypatch):
  monkeypatch.setattr(search, "_BLOCK", 16)
  one, other = random_prints(50, 0), random_prints(30, 1)
  for second in (None, other):
    found = search.near(one, second, distance=9, min_similarity=-1.0)
    expected = [
      (2 * i, 2 * j, bin(int(a) ^ int(b)).count("1"))
      for i, a in enumerate(one.hashes)
      for j, b in enumerate((second or one).hashes)
      if (second or j > i) and bin(int(a) ^ int(b)).count("1") <= 9
    ]
    actual = zip(
      found.first.tolist(),
      found.second.tolist(),
      found.distance.tolist(),
      strict=True,
    )
    assert list(actual) == expected
  assert len(expected) < 1500 and len(found.first) == len(expected)


def test_pictures_of_one_color_are_copies_only_in_one_color():
  prints = [
    fingerprints.of_pixels(np.full([40, 40, 3], gray, np.uint8))
    for gray in (20, 22, 200)
  ]
  hashes, pictures = zip(*prints, strict=True)
  found = search.near(
    fingerprints.Fingerprints(
      np.arange(3), np.array(hashes), np.array(pictures), {}
    ),
    distance=63,
  )
  assert list(zip(found.first, found.second, strict=True)) == [(0, 1)]


def test_duplicates_everywhere_are_an_error_in_words(monkeypatch):
  monkeypatch.setattr(search, "_MOST_PAIRS", 10)
  prints = random_prints(30, 0)
  with pytest.raises(errors.UsageError, match="nearly all are copies"):
    search.near(prints, distance=30)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
