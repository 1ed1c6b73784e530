"""Tests of tf_ssl.methods.multi_crop."""

import functools
import math
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_ssl import batches, errors
from tf_ssl.encoders import batch_norm, heads
from tf_ssl.memory import key_queue, memory_bank
from tf_ssl.methods import moco, multi_crop, npid, pirl, simclr
from tf_ssl.ops import optimizers

BATCH, CROPS, FEATURE, EMBEDDING, QUEUE = 8, 3, 6, 4, 20
TEMPERATURE, IMAGES, NEGATIVES = 0.2, 30, 7


class TinyEncoder(tf.keras.Model):
  """Mean and deviation of the channels, dense, split batch norm, ReLU."""

  def __init__(self, groups=2):
    super().__init__()
    self.dense = tf.keras.layers.Dense(FEATURE, use_bias=False)
    self.norm = batch_norm.split(groups=groups)
    self.sizes = []  # Shape of every input.

  def call(self, images, training=None):
    self.sizes.append(tuple(images.shape))
    mean = tf.reduce_mean(images, axis=[1, 2])
    corner = images[:, 0, 0]
    flat = tf.concat([mean, corner], axis=1)
    return tf.nn.relu(self.norm(self.dense(flat), training=training))


def side(seed):
  encoder = TinyEncoder()
  head = heads.MlpHead(hidden_size=5, embedding_size=EMBEDDING)
  head(encoder(tf.zeros([2, 4, 4, 3])))
  rng = np.random.default_rng(seed)
  for v in encoder.trainable_variables + head.trainable_variables:
    v.assign(rng.normal(size=v.shape, scale=0.7))
  return encoder, head


def build_moco(**options):
  plain = moco.MoCo(
    *side(1),
    *side(2),
    key_queue.KeyQueue(
      QUEUE, EMBEDDING, warm=options.pop("warm", False), seed=5
    ),
    momentum=0.9,
    temperature=TEMPERATURE,
    symmetric=options.pop("symmetric", False),
    batch_size=options.pop("batch_size", None),
    seed=7,
  )
  return compiled(multi_crop.MultiCropMoCo.like(plain, **options))


def build_simclr(**options):
  plain = simclr.SimClr(*side(1), temperature=TEMPERATURE)
  return compiled(multi_crop.MultiCropSimClr.like(plain, **options))


def build_pirl(**options):
  head = heads.JigsawHead(
    patch_head=functools.partial(heads.LinearHead, embedding_size=3),
    embedding_size=EMBEDDING,
  )
  tf.keras.utils.set_random_seed(1)
  head(tf.zeros([1, 4, FEATURE]))
  plain = pirl.Pirl(
    *side(1),
    head,
    memory_bank.MemoryBank(IMAGES, EMBEDDING, seed=5),
    num_negatives=NEGATIVES,
    temperature=TEMPERATURE,
    loss=options.pop("loss", "nce"),
    batch_size=BATCH,
    seed=4,
  )
  return compiled(multi_crop.MultiCropPirl.like(plain, **options))


def jigsaw_views(crops=CROPS):
  views = views_of(crops=crops)
  rng = np.random.default_rng(3)
  patches = rng.normal(size=[BATCH, 4, 2, 2, 3]).astype("f")
  index = tf.constant(rng.permutation(IMAGES)[:BATCH])
  return batches.MultiCropJigsaw(
    views.query, tf.constant(patches), views.crops, index
  )


def compiled(model):
  model.compile(optimizers.MomentumSgd(0.1, weight_decay=0.01))
  model.optimizer.build(model.learned_variables)
  return model


def views_of(view_type=batches.MultiCropPair, crops=CROPS, seed=0):
  rng = np.random.default_rng(seed)
  full = rng.normal(size=[2, BATCH, 4, 4, 3]).astype("f")
  small = rng.normal(size=[BATCH, crops, 2, 2, 3]).astype("f")
  return view_type(*map(tf.constant, full), tf.constant(small))


def train(model, batch, steps=1):
  dataset = tf.data.Dataset.from_tensors(batch).repeat(steps)
  return model.fit(dataset, verbose=0).history


def slow_loss_of_crops(queries, keys, queue, target):
  """Equation 1 of MoCo for one crop and one key at a time, in float64."""
  losses = []
  for crops, targets in zip(queries, keys, strict=True):
    if target == "mean":
      total = np.sum(targets, axis=0)
      targets = [total / np.linalg.norm(total)]
    for query in crops:
      for key in targets:
        scores = np.array([query @ key, *(query @ row for row in queue)])
        share = np.exp(scores / TEMPERATURE)
        losses.append(-np.log(share[0] / share.sum()))
  return np.mean(losses)


@pytest.mark.parametrize("target", ["views", "mean"])
@pytest.mark.parametrize("symmetric", [False, True])
def test_moco_adds_the_loss_of_every_crop_and_key_of_an_image(
  symmetric, target
):
  model = build_moco(symmetric=symmetric, crop_weight=0.7, crop_target=target)
  views = views_of()
  pair = batches.ImagePair(views.query, views.key)
  plain = moco.MoCo.contrast(model, pair, training=True)
  found = model.contrast(views, training=True)
  # One call for all crops, whose batch norm sees the crops of each half.
  flat = tf.reshape(views.crops, [-1, 2, 2, 3])
  queries = model.embed(flat, training=True).numpy().reshape(BATCH, CROPS, -1)
  keys = [model.embed_keys(views.key, training=True).numpy()]
  if symmetric:
    keys.append(model.embed_keys(views.query, training=True).numpy())
  expected = slow_loss_of_crops(
    queries.astype("d"),
    np.stack(keys, axis=1).astype("d"),
    model.queue.keys.numpy().astype("d"),
    target,
  )
  np.testing.assert_allclose(found.metrics["crop_loss"], expected, rtol=1e-5)
  np.testing.assert_allclose(found.metrics["view_loss"], plain.loss, rtol=1e-6)
  np.testing.assert_allclose(found.loss, plain.loss + 0.7 * expected, rtol=1e-5)
  np.testing.assert_array_equal(found.to_remember, plain.to_remember)


@pytest.mark.parametrize("symmetric", [False, True])
def test_other_keys_of_the_batch_are_negatives_of_crops_where_mocos_are(
  symmetric,
):
  model = build_moco(symmetric=symmetric, batch_size=BATCH)
  views = views_of()
  found = model.contrast(views, training=True)
  queries = model.embed(tf.reshape(views.crops, [-1, 2, 2, 3]), training=True)
  queries = queries.numpy().reshape(BATCH, CROPS, -1).astype("d")
  keys = [model.embed_keys(views.key, training=True).numpy()]
  if symmetric:
    keys.append(model.embed_keys(views.query, training=True).numpy())
  keys = np.stack(keys, axis=1).astype("d")  # [B, F, E]
  queue = model.queue.keys.numpy().astype("d")
  losses = []
  for i in range(BATCH):
    others = [keys[j] for j in range(BATCH) if j != i]
    losses.append(
      slow_loss_of_crops(
        queries[i : i + 1],
        keys[i : i + 1],
        np.concatenate([queue, *others]),
        "views",
      )
    )
  np.testing.assert_allclose(
    found.metrics["crop_loss"], np.mean(losses), rtol=1e-5
  )
  count = QUEUE + (2 if symmetric else 1) * (BATCH - 1)
  own = model.chance_loss - moco.MoCo.chance_loss.fget(model)
  assert own == pytest.approx(math.log(1 + count))


@pytest.mark.parametrize("target", ["views", "mean"])
def test_simclr_adds_the_loss_of_every_crop_and_full_view_of_an_image(target):
  model = build_simclr(crop_weight=0.7, crop_target=target)
  views = views_of()
  plain = simclr.SimClr.contrast(model, views, training=True)
  found = model.contrast(views, training=True)
  queries, keys, _ = model.embed_both(views, True)
  both = np.stack([queries, keys], axis=1).astype("d")  # [B, 2, E]
  crops = model.embed(tf.reshape(views.crops, [-1, 2, 2, 3]), training=True)
  crops = crops.numpy().reshape(BATCH, CROPS, -1).astype("d")
  losses = []
  for i in range(BATCH):
    others = np.concatenate([both[j] for j in range(BATCH) if j != i])
    losses.append(
      slow_loss_of_crops(crops[i : i + 1], both[i : i + 1], others, target)
    )
  expected = np.mean(losses)
  np.testing.assert_allclose(found.metrics["crop_loss"], expected, rtol=1e-5)
  np.testing.assert_allclose(found.loss, plain.loss + 0.7 * expected, rtol=1e-5)


@pytest.mark.parametrize("kind", npid.LOSSES)
def test_pirl_adds_the_loss_of_every_crop_and_row_of_the_bank(kind):
  model = build_pirl(crop_weight=0.7, loss=kind)
  views = jigsaw_views()
  plain = pirl.Pirl.contrast(model, views, training=True)
  found = model.contrast(views, training=True)
  crops = model.embed(tf.reshape(views.crops, [-1, 2, 2, 3]), training=True)
  crops = crops.numpy().reshape(BATCH, CROPS, -1).astype("d")
  bank = model.bank.embeddings.numpy().astype("d")
  drawn = memory_bank.draw_negatives(
    views.index,
    tf.range(BATCH, dtype=tf.int64),
    count=NEGATIVES,
    num_images=IMAGES,
    seed=4,
  ).numpy()
  logits = np.array(
    [
      [crop @ bank[i] / TEMPERATURE for i in (index, *rows)]
      for index, rows, mine in zip(
        views.index.numpy(), drawn, crops, strict=True
      )
      for crop in mine
    ]
  )
  if kind == "info_nce":
    expected = np.mean(np.log(np.exp(logits).sum(1)) - logits[:, 0])
  else:
    z = IMAGES * np.exp(logits).mean()  # From this first batch.
    p, noise = np.exp(logits) / z, NEGATIVES / IMAGES
    terms = np.log(noise / (p + noise))
    terms[:, 0] = np.log(p[:, 0] / (p[:, 0] + noise))
    expected = -terms.sum(1).mean()
    np.testing.assert_allclose(
      found.to_remember.log_normalizers[2], np.log(z), rtol=1e-5
    )
  np.testing.assert_allclose(found.metrics["crop_loss"], expected, rtol=1e-5)
  np.testing.assert_allclose(found.loss, plain.loss + 0.7 * expected, rtol=1e-5)
  np.testing.assert_array_equal(
    found.to_remember.embeddings, plain.to_remember.embeddings
  )


@pytest.mark.parametrize("options", [{"crops": 0}, {"crop_weight": 0.0}])
def test_simclr_without_crops_is_simclr_to_the_bit(options):
  views = views_of(crops=options.get("crops", CROPS))
  ours = build_simclr(crop_weight=options.get("crop_weight", 1.0))
  plain = compiled(simclr.SimClr.like(build_simclr(), name="simclr"))
  pair = batches.ImagePair(views.query, views.key)
  assert train(ours, views, steps=3) == train(plain, pair, steps=3)
  for one, other in zip(ours.weights, plain.weights, strict=True):
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("options", [{"crops": 0}, {"crop_weight": 0.0}])
def test_pirl_without_crops_is_pirl_to_the_bit(options):
  views = jigsaw_views(crops=options.get("crops", CROPS))
  ours = build_pirl(crop_weight=options.get("crop_weight", 1.0))
  plain = compiled(pirl.Pirl.like(build_pirl(), name="pirl"))
  jigsaw = batches.JigsawPair(views.image, views.patches, views.index)
  assert train(ours, views, steps=3) == train(plain, jigsaw, steps=3)
  for one, other in zip(
    ours.learned_variables, plain.learned_variables, strict=True
  ):
    np.testing.assert_array_equal(one, other)
  np.testing.assert_array_equal(ours.bank.embeddings, plain.bank.embeddings)
  np.testing.assert_array_equal(ours.log_normalizers[:2], plain.log_normalizers)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("options", [{"crops": 0}, {"crop_weight": 0.0}])
def test_moco_without_crops_is_moco_to_the_bit(symmetric, options):
  views = views_of(crops=options.get("crops", CROPS))
  weight = options.get("crop_weight", 1.0)
  ours = build_moco(symmetric=symmetric, crop_weight=weight)
  plain = compiled(moco.MoCo.like(build_moco(symmetric=symmetric), name="moco"))
  found = train(ours, views, steps=3)
  expected = train(plain, batches.ImagePair(views.query, views.key), steps=3)
  assert found == expected
  for one, other in zip(ours.weights, plain.weights, strict=True):
    np.testing.assert_array_equal(one, other)
  np.testing.assert_array_equal(ours.queue.keys, plain.queue.keys)


def test_identical_crops_have_the_loss_of_one():
  model = build_moco()
  views = views_of(crops=1)
  one = model.contrast(views, training=False)
  same = views._replace(crops=tf.repeat(views.crops, 4, axis=1))
  four = model.contrast(same, training=False)
  np.testing.assert_allclose(four.loss, one.loss, rtol=1e-6)


def test_a_crop_that_is_the_query_has_the_loss_of_the_query():
  model = build_moco()
  views = views_of()
  views = views._replace(crops=views.query[:, None])
  found = model.contrast(views, training=False)
  np.testing.assert_allclose(
    found.metrics["crop_loss"], found.metrics["view_loss"], rtol=1e-6
  )


def test_crops_go_through_the_query_encoder_in_one_call():
  model = build_moco()
  model.encoder.sizes.clear()
  model.key_encoder.sizes.clear()
  model.contrast(views_of(), training=True)
  assert model.encoder.sizes == [(BATCH, 4, 4, 3), (BATCH * CROPS, 2, 2, 3)]
  assert model.key_encoder.sizes == [(BATCH, 4, 4, 3)]


def test_all_crops_of_an_image_are_in_one_group_of_split_batch_norm():
  model = build_moco()
  views = views_of()
  found = multi_crop.embed_crops(model, views.crops, training=True)
  half = BATCH // 2
  model.encoder.norm.groups = 1
  for rows in (slice(0, half), slice(half, BATCH)):
    alone = multi_crop.embed_crops(model, views.crops[rows], training=True)
    np.testing.assert_allclose(found[rows], alone, atol=1e-5)


def test_targets_are_the_views_or_their_mean_of_unit_length():
  views = tf.constant([[[1.0, 0.0], [0.0, 1.0]]])
  assert multi_crop.targets_of(views, "views") is views
  np.testing.assert_allclose(
    multi_crop.targets_of(views, "mean"), [[[0.5**0.5] * 2]], rtol=1e-6
  )


def test_crops_reach_the_weights():
  views = views_of()
  one, other = build_moco(), build_moco()
  train(one, views)
  train(other, views._replace(crops=-views.crops))
  assert not np.allclose(one.encoder.dense.kernel, other.encoder.dense.kernel)


@pytest.mark.parametrize("symmetric", [False, True])
def test_chance_loss_counts_the_crops(symmetric):
  model = build_moco(symmetric=symmetric, crop_weight=0.5)
  expected = (2.5 if symmetric else 1.5) * math.log(QUEUE + 1)
  assert model.chance_loss == pytest.approx(expected)


@pytest.mark.parametrize(
  "options, message",
  [
    ({"crop_weight": -1.0}, "crop_weight=-1.0: expected at least 0"),
    ({"crop_target": "all"}, "crop_target='all': expected one of views, mean"),
  ],
)
def test_arguments_out_of_range_are_refused(options, message):
  with pytest.raises(errors.UsageError, match=message):
    build_moco(**options)


def test_with_an_empty_warm_queue_crops_have_the_loss_of_chance():
  model = build_moco(warm=True)
  found = model.contrast(views_of(), training=True)
  np.testing.assert_allclose(
    found.metrics["crop_loss"], math.log(QUEUE + 1), rtol=1e-5
  )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
