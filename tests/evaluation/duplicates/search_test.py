"""Near-duplicates: planted copies, plain loops, look-alikes and one color."""

import sys

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

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


def recolored(image):
  """Other hues, as with a filter."""
  red, green, blue = image.split()
  return Image.merge("RGB", (green, red, blue))


@pytest.fixture(name="planted", scope="module")
def _planted(tmp_path_factory):
  """40 pictures, and altered copies of the first eight."""
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
    elif i == 4:
      ImageOps.mirror(image).save(folder / "copy04.png")
    elif i == 5:
      image.crop((2, 1, 94, 71)).save(folder / "copy05.png")
    elif i == 6:
      recolored(image).save(folder / "copy06.png")
    elif i == 7:
      image = ImageOps.mirror(image.crop((2, 1, 94, 71))).convert("L")
      image.save(folder / "copy07.jpg", quality=70)
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
  expected = {(f"0{i}", f"copy0{i}") for i in range(8)}
  assert names(planted, pairs) == expected
  counts = pairs.counts()
  assert list(counts) == list(search.DISTANCES) and counts[12] == 8
  assert counts[0] >= 1  # The exact copy.
  assert [len(g) for g in search.groups(pairs, planted.num_images)] == [2] * 8
  mirrored = {planted.name(i)[:-4] for i in pairs.first[pairs.mirrored]}
  assert mirrored == {"04", "07"}


def look_alikes(rng, size=128):
  """Two pictures whose low frequencies have equal signs, nothing else equal."""
  signs = rng.choice([-1.0, 1.0], [8, 8])
  pair = []
  for _ in range(2):
    waves = np.zeros([size, size])
    waves[:8, :8] = signs * rng.uniform(0.5, 20, [8, 8])
    waves[8:40, 8:40] = rng.normal(0, 3, [32, 32])
    waves[0, 0] = 0
    image = cv2.idct(waves)
    image = 128 + 40 * image / image.std()
    pair.append(np.stack([image] * 3, -1).clip(0, 255).astype(np.uint8))
  return pair


def test_different_pictures_with_near_hashes_are_no_copies():
  rng = np.random.default_rng(0)
  near, taken = 0, 0
  for _ in range(20):
    prints = [fingerprints.of_pixels(image) for image in look_alikes(rng)]
    pair = fingerprints.Fingerprints(
      np.arange(2), *map(np.array, zip(*prints, strict=True)), {}
    )
    near += len(search.near(pair, distance=12, min_similarity=-1.0).first)
    taken += len(search.near(pair, distance=12).first)
  assert near >= 10 and taken == 0


def test_two_sets_are_compared_with_each_other_alone(planted):
  found = fingerprints.of_records(planted)
  pairs = search.near(found, found)
  same = pairs.first == pairs.second
  assert same.sum() == len(found.index)
  assert (~same).sum() == 2 * 8  # Each copy from both sides.


def random_prints(count, seed):
  rng = np.random.default_rng(seed)
  base = rng.integers(0, 2**63, 8, dtype=np.uint64)

  def of_base():
    hashes = base[rng.integers(8, size=count)]
    for _ in range(6):
      hashes ^= np.uint64(1) << rng.integers(64, size=count).astype(np.uint64)
    return hashes

  pictures = np.tile(
    rng.integers(0, 256, [1, 16, 16, 3], dtype=np.uint8), [count, 1, 1, 1]
  )
  return fingerprints.Fingerprints(
    np.arange(count) * 2, of_base(), of_base(), pictures, {}
  )


def test_pairs_are_those_of_a_loop_over_bits(monkeypatch):
  monkeypatch.setattr(search, "_BLOCK", 16)
  one, other = random_prints(50, 0), random_prints(30, 1)
  for second in (None, other):
    found = search.near(one, second, distance=9, min_similarity=-1.0)
    expected = []
    for i, a in enumerate(one.hashes):
      for j in range(len((second or one).hashes)):
        as_is, turned = (
          bin(int(a) ^ int(hashes[j])).count("1")
          for hashes in ((second or one).hashes, (second or one).mirrored)
        )
        if (second or j > i) and min(as_is, turned) <= 9:
          expected.append((2 * i, 2 * j, min(as_is, turned), turned < as_is))
    actual = zip(
      found.first.tolist(),
      found.second.tolist(),
      found.distance.tolist(),
      found.mirrored.tolist(),
      strict=True,
    )
    assert list(actual) == expected
  assert len(expected) < 1500 and len(found.first) == len(expected)


def test_pictures_of_one_color_are_copies_only_in_one_color():
  prints = [
    fingerprints.of_pixels(np.full([40, 40, 3], color, np.uint8))
    for color in ((200, 20, 20), (202, 20, 22), (20, 20, 200))
  ]
  found = search.near(
    fingerprints.Fingerprints(
      np.arange(3), *map(np.array, zip(*prints, strict=True)), {}
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
