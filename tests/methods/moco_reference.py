"""MoCo in NumPy: an independent, slow, float64 computation of whole steps.

The network is the one of `moco_test.TinyEncoder` and an MLP head: dense, batch
norm in groups, ReLU -> feature; dense, ReLU, dense, unit length -> embedding.
Gradients are written out by hand.
"""

import numpy as np

EPSILON = 1e-5


def forward(p, images, groups):
  """Returns the unit-length embeddings and what the gradient needs."""
  x = images.reshape(len(images), -1)
  h = x @ p["w1"]  # [B, D]
  normed, scales = [], []
  for part in np.split(h, groups):
    scale = 1.0 / np.sqrt(part.var(axis=0) + EPSILON)
    normed.append((part - part.mean(axis=0)) * scale)
    scales.append(scale)
  n = np.concatenate(normed)
  a = n * p["gamma"] + p["beta"]
  feature = np.maximum(a, 0)
  u = feature @ p["w2"] + p["b2"]
  r = np.maximum(u, 0)
  v = r @ p["w3"] + p["b3"]
  length = np.linalg.norm(v, axis=1, keepdims=True)
  e = v / length
  return e, (x, n, scales, a, feature, u, r, e, length, groups)


def backward(p, saved, d_e):
  """Gradients of all parameters from the gradient of the embeddings."""
  x, n, scales, a, feature, u, r, e, length, groups = saved
  d_v = (d_e - e * np.sum(d_e * e, axis=1, keepdims=True)) / length
  g = {"w3": r.T @ d_v, "b3": d_v.sum(axis=0)}
  d_u = (d_v @ p["w3"].T) * (u > 0)
  g["w2"], g["b2"] = feature.T @ d_u, d_u.sum(axis=0)
  d_a = (d_u @ p["w2"].T) * (a > 0)
  g["gamma"], g["beta"] = (d_a * n).sum(axis=0), d_a.sum(axis=0)
  d_n = d_a * p["gamma"]
  d_h = []
  for part, normed, scale in zip(
    np.split(d_n, groups), np.split(n, groups), scales, strict=True
  ):
    centered = part - part.mean(axis=0)
    d_h.append(scale * (centered - normed * (part * normed).mean(axis=0)))
  g["w1"] = x.T @ np.concatenate(d_h)
  return g


class Reference:
  """The whole state of a MoCo run, and one step of it."""

  def __init__(
    self,
    parameters,
    queue,
    *,
    groups,
    momentum,
    temperature,
    learning_rate,
    sgd_momentum,
    weight_decay,
    symmetric,
    warm=False,
    batch_negatives=False,
  ):
    self.query = {k: v.astype("d") for k, v in parameters.items()}
    self.key = {k: v.copy() for k, v in self.query.items()}
    self.velocity = {k: np.zeros_like(v) for k, v in self.query.items()}
    self.queue, self.head = queue.astype("d"), 0
    self.groups, self.momentum = groups, momentum
    self.temperature, self.symmetric = temperature, symmetric
    self.batch_negatives = batch_negatives
    self.learning_rate, self.sgd_momentum = learning_rate, sgd_momentum
    self.weight_decay = weight_decay
    self.warm, self.written = warm, 0

  def half(self, query_images, key_images, permutation):
    """One direction: loss, gradients, keys."""
    shuffled, _ = forward(self.key, key_images[permutation], self.groups)
    keys = np.empty_like(shuffled)
    keys[permutation] = shuffled
    queries, saved = forward(self.query, query_images, self.groups)
    count = len(queries)
    negatives = self.queue
    if self.warm:
      negatives = self.queue[: min(self.written, len(self.queue))]
    missing = np.log((len(self.queue) + 1) / (len(negatives) + 1))
    loss, d_queries = 0.0, np.zeros_like(queries)
    for i in range(count):
      others = np.concatenate([keys[i : i + 1], negatives])  # [1+n, E]
      if self.batch_negatives:
        others = np.concatenate([others, np.delete(keys, i, axis=0)])
      logits = others @ queries[i] / self.temperature
      share = np.exp(logits - logits.max())
      share /= share.sum()
      loss -= np.log(share[0]) / count
      share[0] -= 1.0
      d_queries[i] = share @ others / self.temperature / count
    return loss + missing, backward(self.query, saved, d_queries), keys

  def step(self, first, second, permutation):
    """Algorithm 1; returns the loss."""
    for name, value in self.query.items():
      kept = self.momentum * self.key[name]
      self.key[name] = kept + (1 - self.momentum) * value
    loss, gradients, keys = self.half(first, second, permutation)
    if self.symmetric:
      other_loss, other, other_keys = self.half(second, first, permutation)
      loss += other_loss
      gradients = {k: gradients[k] + other[k] for k in gradients}
      keys = np.concatenate([other_keys, keys])
    for name, value in self.query.items():
      gradient = gradients[name] + self.weight_decay * value
      velocity = self.sgd_momentum * self.velocity[name] + gradient
      self.velocity[name] = velocity
      self.query[name] = value - self.learning_rate * velocity
    for row in keys:
      self.queue[self.head] = row
      self.head = (self.head + 1) % len(self.queue)
      self.written += 1
    return loss
