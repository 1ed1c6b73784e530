"""Model Garden's RetinaNet on the maps of an encoder."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.models import tiny_encoder_reference
from tf_ssl import errors
from tf_ssl.evaluation.detection import retinanet
from tf_ssl.input_pipeline import boxed_images

SMALL = retinanet.Architecture(
  min_level=2, max_level=3, num_filters=4, num_convs=1
)
SIZE = 32
SIDES = (("2", 8), ("3", 4))  # of the maps, by level


@pytest.fixture(scope="module", name="encoder")
def fixture_encoder():
  return tiny_encoder_reference.tiny()


def detector(encoder, *, frozen=True, num_classes=2):
  return retinanet.RetinaNet(
    encoder, SMALL, num_classes=num_classes, image_size=SIZE, frozen=frozen
  )


@pytest.fixture(scope="module", name="frozen")
def fixture_frozen(encoder):
  return detector(encoder)


def example(boxes, class_ids):
  image = np.random.default_rng(0).integers(0, 256, [SIZE, SIZE, 3], np.uint8)
  return boxed_images.BoxedImage(
    tf.constant(image),
    tf.constant(np.float32(boxes).reshape(-1, 4)),
    tf.constant(class_ids, tf.int32),
  )


def batched(detector, *examples):
  found = [detector.targets(one) for one in examples]
  return tf.nest.map_structure(lambda *parts: tf.stack(parts), *found)


def test_an_anchor_on_the_object_gets_its_class_and_no_offset(frozen):
  """Level 2, place (4, 4) is centered at 18; its first anchors are 16 px."""
  _, labels = frozen.targets(example([[10, 10, 26, 26]], [1]))
  classes = labels["cls_targets"]["2"].numpy()
  assert classes.shape == (8, 8, 9)
  assert classes[4, 4, 1] == 2  # class 1, as 0 is the background; aspect 1
  offsets = labels["box_targets"]["2"].numpy().reshape(8, 8, 9, 4)
  np.testing.assert_allclose(offsets[4, 4, 1], 0, atol=1e-5)
  assert (classes[0] == -1).all()  # masked: far from it
  assert labels["cls_weights"].numpy().min() == 1  # the background counts
  assert (
    labels["box_weights"].numpy().sum()
    == (classes > 0).sum() + (labels["cls_targets"]["3"].numpy() > 0).sum()
  )


def test_an_image_without_objects_is_all_background(frozen):
  _, labels = frozen.targets(example([], []))
  assert labels["box_weights"].numpy().sum() == 0
  assert labels["cls_weights"].numpy().min() == 1
  loss = frozen.loss(*batched(frozen, example([], [])))
  assert 0 < float(loss) < np.inf


def test_detections_are_decoded_with_x_first_and_classes_from_0(
  frozen, monkeypatch
):
  """Heads with a high score for one anchor, and no offset."""
  scores = {level: np.full([1, s, s, 9 * 3], -9.0, "f") for level, s in SIDES}
  boxes = {level: np.zeros([1, s, s, 9 * 4], "f") for level, s in SIDES}
  scores["2"].reshape(1, 8, 8, 9, 3)[0, 2, 5, 1, 2] = 4.0
  said = tf.nest.map_structure(tf.constant, (scores, boxes, {}))
  monkeypatch.setattr(frozen._model, "_head", lambda maps: said)
  found = frozen._detections(tf.zeros([1, SIZE, SIZE, 3], tf.uint8))
  np.testing.assert_allclose(found.boxes[0, 0], [14, 2, 30, 18], atol=1e-4)
  assert int(found.class_ids[0, 0]) == 1
  assert float(found.scores[0, 0]) == pytest.approx(1 / (1 + np.exp(-4)))
  assert int(found.count[0]) == 1


def test_a_frozen_encoder_gets_no_gradients(encoder, frozen):
  tuned = detector(encoder, frozen=False)
  for network, reaches in ((frozen, False), (tuned, True)):
    batch = batched(network, example([[4, 4, 20, 20]], [0]))
    before = [v.numpy() for v in encoder.variables]
    with tf.GradientTape() as tape:
      loss = network.loss(*batch)
    first = encoder.trainable_variables[0]
    heads, encoders = tape.gradient(
      loss, [network.trainable_head_variables, first]
    )
    assert all(gradient is not None for gradient in heads)
    assert (encoders is not None) == reaches
    after = [v.numpy() for v in encoder.variables]
    moved = any((a != b).any() for a, b in zip(before, after, strict=True))
    assert moved == reaches  # batch norm's averages


def test_a_seed_gives_the_heads_their_weights(frozen):
  def drawn(seed):
    frozen.draw_head(seed)
    return [v.numpy() for v in frozen.trainable_head_variables]

  one, again, other = drawn(1), drawn(1), drawn(2)
  for a, b in zip(one, again, strict=True):
    np.testing.assert_array_equal(a, b)
  assert any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
  ("levels", "message"),
  [
    ((1, 5), r"C2 \(4 px\).* C5 \(32 px\).* 2 px.*MIN_LEVEL"),
    ((3, 6), "image_size=32.* 64.*MAX_LEVEL"),
  ],
)
def test_levels_without_a_map_are_named(encoder, levels, message):
  architecture = retinanet.Architecture(
    min_level=levels[0], max_level=levels[1]
  )
  with pytest.raises(errors.UsageError, match=message):
    retinanet.RetinaNet(
      encoder, architecture, num_classes=2, image_size=SIZE, frozen=True
    )


def test_an_impossible_architecture_is_named():
  with pytest.raises(errors.UsageError, match="min_level=5, max_level=3"):
    retinanet.Architecture(min_level=5, max_level=3)
  with pytest.raises(errors.UsageError, match="num_filters=0"):
    retinanet.Architecture(num_filters=0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
