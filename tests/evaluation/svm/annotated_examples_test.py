"""Tests of tf_ssl.evaluation.svm.annotated_examples."""

import sys

import numpy as np
import pytest

from tests.evaluation.svm import voc_reference
from tf_ssl import errors
from tf_ssl.datasets.annotations import voc
from tf_ssl.evaluation.svm import annotated_examples


@pytest.fixture(name="data")
def fixture_data(tmp_path):
  """Trainval and test of a miniature of VOC, small enough to change."""
  voc_reference.write(tmp_path / "voc", counts=(("trainval", 12), ("test", 6)))
  return {
    split: voc.read(str(tmp_path / "voc"), split=split)
    for split in ("trainval", "test")
  }


def _extract(folder, train, test=None, **changes):
  examples = annotated_examples.AnnotatedExamples(
    train=train, test=test, image_size=16, **changes
  )
  subject = voc_reference.subject(voc_reference.colors)
  return examples.extract(subject, str(folder))


def test_sides_have_features_and_targets_of_their_images(data, tmp_path):
  found = _extract(tmp_path, data["trainval"], data["test"])
  (split,) = found.splits
  for side, images in ((split.train, "trainval"), (split.test, "test")):
    np.testing.assert_array_equal(side.targets, data[images].targets)
    np.testing.assert_array_equal(side.rows, np.arange(len(side.targets)))
    assert side.features.shape == (len(side.rows), 10)
    assert isinstance(side.features, np.memmap)  # Shared by the workers.
  assert found.class_names == voc_reference.CLASSES and not found.notes


def test_all_boxes_of_an_image_go_to_one_side(data, tmp_path):
  train = data["trainval"]
  found = _extract(
    tmp_path, train, boxes=True, min_size=8, split_seeds=(0, 1, 2, 3)
  )
  assert len(found.splits) == 4
  sides = set()
  for split in found.splits:
    images = [set(train.image_index[s.rows]) for s in (split.train, split.test)]
    assert images[0] and images[1] and not images[0] & images[1]
    rows = np.concatenate([split.train.rows, split.test.rows])
    assert sorted(rows) == list(range(train.num_boxes))
    assert split.train.features is split.test.features
    for side in (split.train, split.test):
      np.testing.assert_array_equal(
        np.argmax(np.abs(side.targets), axis=1), train.class_ids[side.rows]
      )
    sides.add(tuple(split.test.rows))
  assert len(sides) > 1


def test_a_box_is_cropped_without_its_surroundings(data, tmp_path):
  train = data["trainval"]
  found = _extract(tmp_path, train, boxes=True, min_size=8, split_seeds=(0,))
  features = found.splits[0].train.features
  # Both halves of the crop have the one color of the box.
  np.testing.assert_allclose(features[:, :3], features[:, 3:6], atol=6)
  order = {"blue": 2, "green": 1, "red": 0}  # Channel of each class.
  channels = [order[train.class_names[c]] for c in train.class_ids]
  np.testing.assert_array_equal(np.argmax(features[:, :3], axis=1), channels)


def test_small_and_clipped_boxes_are_counted(data, tmp_path):
  train = data["trainval"]
  boxes = train.boxes.copy()
  boxes[0, 2:] = boxes[0, :2] + 4
  found = _extract(
    tmp_path,
    train._replace(boxes=boxes, clipped=3),
    boxes=True,
    min_size=8,
    split_seeds=(0,),
  )
  facts = found.data["train and test"]
  assert facts["boxes_left_out"] == {"shorter side below 8 px": 1}
  assert facts["boxes_clipped"] == 3
  assert facts["examples"] == train.num_boxes - 1


def test_unreadable_images_are_skipped_and_named(data, tmp_path):
  train = data["trainval"]
  (tmp_path / "voc/JPEGImages/000003.jpg").write_bytes(b"damaged")
  found = _extract(tmp_path, train, data["test"], max_skipped_fraction=0.2)
  side = found.splits[0].train
  kept = [i for i in range(12) if i != 2]
  np.testing.assert_array_equal(side.targets, train.targets[kept])
  assert list(found.skipped) == ["JPEGImages/000003.jpg"]
  with pytest.raises(errors.UsageError, match="1 of 12"):
    _extract(tmp_path / "b", train, data["test"], max_skipped_fraction=0.01)


def test_entries_that_the_reader_skipped_are_listed(data, tmp_path):
  skipped = {"a box that is not finite": ("000001.xml, object 1",)}
  found = _extract(
    tmp_path, data["trainval"]._replace(skipped=skipped), data["test"]
  )
  assert found.skipped == {"000001.xml, object 1": "a box that is not finite"}


def test_targets_that_measure_nothing_are_refused_before_images_are_read(
  data, tmp_path
):
  train = data["trainval"]
  everywhere = train._replace(targets=np.ones_like(train.targets))
  for pair in ((everywhere, data["test"]), (everywhere, None)):
    with pytest.raises(errors.UsageError, match="none of the .* classes"):
      _extract(tmp_path / "out", *pair)
  assert not (tmp_path / "out").exists()


def test_equal_features_are_a_note(data, tmp_path):
  examples = annotated_examples.AnnotatedExamples(
    train=data["trainval"], test=data["test"], image_size=16
  )
  subject = voc_reference.subject(
    lambda images: np.ones([len(images), 4], np.float32)
  )
  found = examples.extract(subject, str(tmp_path))
  assert sum("have the same features" in note for note in found.notes) == 2


def test_classes_are_matched_by_name(data, tmp_path):
  test = data["test"]._replace(class_names=("red", "green", "cow"))
  found = _extract(tmp_path, data["trainval"], test)
  assert found.class_names == ("green", "red")
  (split,) = found.splits
  np.testing.assert_array_equal(
    split.train.targets, data["trainval"].targets[:, [1, 2]]
  )
  np.testing.assert_array_equal(split.test.targets, test.targets[:, [1, 0]])
  (note,) = found.notes
  assert note.startswith("2 classes") and note.endswith(": blue, cow")
  other = data["test"]._replace(class_names=("a", "b", "c"))
  with pytest.raises(
    errors.UsageError, match="VOC trainval and VOC test .*'blue' and 'a'"
  ):
    _extract(tmp_path, data["trainval"], other)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"train": None}, "TRAIN_ANNOTATIONS"),
    ({"split_seeds": ()}, r"\[\].*SPLIT_SEEDS"),
    ({"split_seeds": (1, 1)}, r"\[1, 1\].*SPLIT_SEEDS"),
    ({"test_fraction": 1.0}, "test_fraction is 1.0"),
    ({"difficult_in_training": "no"}, "'no'.*negative, ignored"),
  ],
)
def test_settings_out_of_range_are_refused_at_once(data, changes, message):
  with pytest.raises(errors.UsageError, match=message):
    annotated_examples.AnnotatedExamples(
      **{"train": data["trainval"], **changes}
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
