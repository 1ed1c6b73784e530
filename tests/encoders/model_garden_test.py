"""Model Garden's backbones, pretrained by our methods."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import batch_norm, heads, model_garden
from tf_ssl.export import saved_model
from tf_ssl.methods import base, moco
from tf_ssl.ops import pixels

pytestmark = pytest.mark.slow

TINY = {"model_id": 10, "depth_multiplier": 0.0625}
MOBILE = {"model_id": "MobileNetV2", "filter_size_scale": 0.1}


def tiny(**kwargs):
  return model_garden.backbone(kind="resnet", settings=TINY, **kwargs)


def images(batch=4, height=32, width=32):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, [batch, height, width, 3], np.uint8)


def test_the_feature_is_the_mean_of_the_last_map_of_images_of_any_size():
  encoder = model_garden.backbone(kind="mobilenet", settings=MOBILE)
  x = pixels.normalize(images(2, 64, 96))
  maps = encoder.endpoints(x)
  assert [*maps] == ["C2", "C3", "C4", "C5", "C6"]
  assert [m.shape[1:3] for m in maps.values()] == [
    (16, 24),
    (8, 12),
    (4, 6),
    (2, 3),
    (2, 3),  # a last convolution of MobileNet
  ]
  feature = encoder(x)
  np.testing.assert_allclose(feature, maps["C6"].numpy().mean((1, 2)), 1e-5)
  assert feature.shape == (2, encoder.feature_size)


def test_moco_trains_it_and_checkpoint_and_saved_model_agree(
  tmp_path,
):
  tf.keras.utils.set_random_seed(1)
  setup = base.Setup(num_images=40, batch_size=4, image_size=32)

  def build():
    return moco.build_moco(
      setup,
      encoder=lambda **kw: tiny(norm_groups=2, **kw),
      projection_head=heads.LinearHead,
      queue_size=8,
    )

  model = build()
  model.compile(tf.keras.optimizers.SGD(0.1))
  model.optimizer.build(model.learned_variables)
  before = [v.numpy() for v in model.encoder.trainable_variables]
  key_before = [v.numpy() for v in model.key_encoder.trainable_variables]
  views = pixels.normalize(images())
  pair = tf.data.Dataset.from_tensors(batches.ImagePair(views, views[::-1]))
  losses = model.fit(pair.repeat(3), verbose=0).history["loss"]
  assert np.isfinite(losses).all()
  for old, new in zip(before, model.encoder.trainable_variables, strict=True):
    assert np.abs(old - new).max() > 0, new.name
  moved = [
    np.abs(old - new).max()
    for old, new in zip(
      key_before, model.key_encoder.trainable_variables, strict=True
    )
  ]
  assert 0 < max(moved) < 0.1

  checkpoint = tf.train.Checkpoint(**model.checkpoint_roots)
  path = checkpoint.write(str(tmp_path / "step-3"))
  again = build()
  restored = tf.train.Checkpoint(**again.checkpoint_roots).read(path)
  restored.assert_existing_objects_matched()
  expected = model.encoder(pixels.normalize(images()), training=False)
  np.testing.assert_array_equal(
    again.encoder(pixels.normalize(images()), training=False), expected
  )

  exported = saved_model.export_encoder(
    again.encoder, None, str(tmp_path / "saved"), provenance={}
  )
  loaded = tf.saved_model.load(exported)
  np.testing.assert_allclose(loaded.features(images()), expected, atol=1e-4)
  assert {*loaded.endpoints(images(1))} == {"C2", "C3", "C4", "C5"}


def test_norm_groups_split_batch_norm_inside_its_blocks():
  tf.keras.utils.set_random_seed(1)
  together, apart = tiny(), tiny(norm_groups=2)
  for mine, other in zip(apart.weights, together.weights, strict=True):
    mine.assign(other)
  x = pixels.normalize(images())
  expected = tf.concat(
    [together(part, training=True) for part in tf.split(x, 2)], 0
  )
  np.testing.assert_allclose(apart(x, training=True), expected, atol=1e-4)
  assert all(
    isinstance(layer, batch_norm.SplitBatchNormalization)
    for layer in apart.submodules
    if isinstance(layer, tf.keras.layers.BatchNormalization)
  )


def test_the_precision_applies_to_all_its_layers_and_nothing_else():
  encoder = tiny(dtype="mixed_bfloat16")
  maps = encoder.endpoints(pixels.normalize(images(1)))
  assert {m.dtype for m in maps.values()} == {tf.bfloat16}
  assert encoder(pixels.normalize(images(1))).dtype == tf.float32
  assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_a_transformer_takes_one_size_and_returns_its_token():
  encoder = model_garden.backbone(
    kind="vit",
    settings={"model_name": "vit-ti16", "pooler": "gap"},
    image_size=32,
  )
  x = pixels.normalize(images(1))
  feature = encoder(x)
  assert feature.shape == (1, encoder.feature_size) == (1, 192)
  [(name, token)] = encoder.endpoints(x).items()
  assert name == "pre_logits"
  np.testing.assert_array_equal(feature, token[:, 0, 0])
  with pytest.raises(errors.UsageError, match="32x48 px.*built for 32 px"):
    encoder(tf.zeros([1, 32, 48, 3]))


@pytest.mark.parametrize(
  ("kind", "settings", "message"),
  [
    ("resnet_3d", {}, "no such image backbone; expected one of .*mobilenet"),
    ("resnet", {"depth": 18}, r"settings \['depth'\].*expected some of model_"),
    ("resnet", {"model_id": 19}, "cannot build resnet .*KeyError: 19"),
    ("vit", {}, "set `image_size`"),
  ],
)
def test_an_unknown_backbone_or_setting_is_named(kind, settings, message):
  with pytest.raises(errors.UsageError, match=message):
    model_garden.backbone(kind=kind, settings=settings)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
