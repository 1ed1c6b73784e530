"""A ResNet with one block in each stage, for tests of what surrounds encoders.

A network of half the depth is traced, trained and saved in about half the time.
"""

from tf_ssl.encoders import batch_norm as batch_norms
from tf_ssl.encoders import resnet


def resnet10(
  *,
  width: float = 1 / 16,
  stem: str = "small",
  batch_norm=batch_norms.plain,
  dtype=None,
  name: str = "backbone",
) -> resnet.ResNet:
  """ResNet-10, with the arguments of `resnet.resnet18`."""
  return resnet.ResNet(
    stack=resnet.basic_stack,
    blocks=(1, 1, 1, 1),
    width=width,
    stem=stem,
    batch_norm=batch_norm,
    dtype=dtype,
    name=name,
  )
