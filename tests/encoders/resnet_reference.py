"""ResNet in NumPy, with PyTorch's padding, one output pixel at a time.

Independent of the package: it reads the weights by their Keras names and loops.
"""

import numpy as np


def convolution(x, kernel, stride):
  """x [B, H, W, C], kernel [k, k, C, F]; half of k is padded on each side."""
  size = kernel.shape[0]
  half = size // 2
  x = np.pad(x, [(0, 0), (half, half), (half, half), (0, 0)])
  rows = (x.shape[1] - size) // stride + 1
  columns = (x.shape[2] - size) // stride + 1
  flat = kernel.reshape(-1, kernel.shape[-1])
  out = np.empty([len(x), rows, columns, kernel.shape[-1]])
  for i in range(rows):
    for j in range(columns):
      top, left = i * stride, j * stride
      window = x[:, top : top + size, left : left + size]
      out[:, i, j] = window.reshape(len(x), -1) @ flat
  return out


def max_pool(x):
  """3x3, stride 2, padded by one with minus infinity."""
  x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
  rows, columns = (x.shape[1] - 3) // 2 + 1, (x.shape[2] - 3) // 2 + 1
  out = np.empty([len(x), rows, columns, x.shape[-1]])
  for i in range(rows):
    for j in range(columns):
      window = x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
      out[:, i, j] = window.max(axis=(1, 2))
  return out


def batch_norm(x, layer, training):
  """Batch statistics in training, moving averages otherwise; epsilon 1e-5."""
  gamma, beta, mean, variance = (w.numpy().astype("d") for w in layer.weights)
  if training:
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
  return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def residual(x, block, strides, training):
  """strides: of the block's convolutions in turn."""
  out = x
  for i, stride in enumerate(strides):
    kernel = block.convolutions[i].kernel.numpy().astype("d")
    out = batch_norm(convolution(out, kernel, stride), block.norms[i], training)
    if i < len(strides) - 1:
      out = np.maximum(out, 0)
  if block.shortcut is not None:
    kernel = block.shortcut.kernel.numpy().astype("d")
    x = batch_norm(
      convolution(x, kernel, max(strides)), block.shortcut_norm, training
    )
  return np.maximum(out + x, 0)


def endpoints(encoder, images, *, bottleneck, imagenet_stem, training):
  """The maps C2..C5 of torchvision's network with this encoder's weights."""
  kernel = encoder.stem_conv.kernel.numpy().astype("d")
  x = convolution(images.astype("d"), kernel, 2 if imagenet_stem else 1)
  x = np.maximum(batch_norm(x, encoder.stem_norm, training), 0)
  if imagenet_stem:
    x = max_pool(x)
  maps = {}
  for stage, blocks in enumerate(encoder.stages):
    for number, block in enumerate(blocks):
      stride = 2 if stage and not number else 1
      strides = [1, stride, 1] if bottleneck else [stride, 1]
      x = residual(x, block, strides, training)
    maps[f"C{stage + 2}"] = x
  return maps
