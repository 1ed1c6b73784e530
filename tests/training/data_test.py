"""Tests of tf_ssl.training.data: the labels of training images."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import batches, errors
from tf_ssl.augment import recipes
from tf_ssl.datasets import image_folder
from tf_ssl.input_pipeline import decoded_images
from tf_ssl.training import data, settings


@pytest.fixture(name="folder")
def _folder(tmp_path):
  for i in range(12):
    path = tmp_path / "images" / f"class{i % 3}" / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
  return tmp_path / "images"


def read(images, **changes):
  return data.read(
    settings.Pretraining(
      images=str(images),
      method=None,
      recipe=None,
      image_size=4,
      batch_size=2,
      steps=1,
      learning_rate=0.1,
      **changes,
    )
  )


def manifest(folder, rows):
  path = folder.parent / "images.csv"
  paths = sorted(p.relative_to(folder.parent) for p in folder.rglob("*.png"))
  lines = [f"{p},{label}" for p, label in zip(paths, rows, strict=False)]
  path.write_text("path,label\n" + "\n".join(lines) + "\n")
  return path


def test_labels_are_read_only_where_asked_for(folder):
  assert read(folder).labels is None
  assert data.num_classes(read(folder)) == 0
  for labels in ("all", "some"):
    found = read(folder, labels=labels)
    assert sorted(found.labels) == sorted([0, 1, 2] * 4)
    assert data.num_classes(found) == 3


def test_empty_labels_of_a_manifest_are_unknown(folder):
  found = read(manifest(folder, ["a", "", "b", "", "a"]), labels="some")
  assert found.labels.tolist() == [0, -1, 1, -1, 0]


def test_only_a_fraction_of_the_labels_is_kept(folder):
  found = read(folder, labels="some", labeled_fraction=0.25)
  assert np.bincount(found.labels + 1).tolist() == [9, 1, 1, 1]


@pytest.mark.parametrize(
  "rows, message",
  [
    ([0, 1, 3, 3], "class 2.*ids 0 to 2"),
    ([0, 2, 5], "class 1 .*2 others"),
    (["", ""], "column `label`"),
  ],
)
def test_labels_with_gaps_are_refused(folder, rows, message):
  with pytest.raises(errors.UsageError, match=message):
    read(manifest(folder, rows), labels="some")


def test_a_manifest_without_labels_is_refused(folder):
  path = folder.parent / "plain.csv"
  path.write_text("path\nimages/class0/0.png\n")
  with pytest.raises(errors.UsageError, match="plain.csv.*IMAGES"):
    read(path, labels="some")


@pytest.mark.parametrize(
  "mib, steps, decoded", [(1, 12, 1), (1, 11, 0), (0, 12, 0)]
)
def test_images_are_decoded_once_in_a_run_of_two_epochs(
  folder, tmp_path, monkeypatch, mib, steps, decoded
):
  calls = []
  decode_all = decoded_images.decode_all

  def spy(records, **options):
    calls.append(options)
    return decode_all(records, **options)

  monkeypatch.setattr(decoded_images, "decode_all", spy)
  run = data.RunBatches(
    settings.Pretraining(
      images=str(folder),
      method=None,
      recipe=recipes.moco_v2(),
      image_size=4,
      batch_size=2,
      steps=steps,
      learning_rate=0.1,
      decoded_mib=mib,
    ),
    image_folder.read(str(folder)),
    batches.ImagePair,
    skipped_file=tmp_path / "skipped.txt",
  )
  assert len(list(run.from_step(steps - 1))) == 1
  assert len(list(run.from_step(0))) == steps
  assert calls == [{"max_mib": mib}] * decoded


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
