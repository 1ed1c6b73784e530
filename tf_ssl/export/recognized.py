"""What a reader of another project's weights found in them."""

from typing import NamedTuple

from tf_ssl.export import foreign_resnet, stored_arrays


class Recognized(NamedTuple):
  """Weights of an encoder, under torchvision's names.

  Attributes:
    kind: of the project or layout, for provenance.json.
    weights: kernels are [out, in, height, width]; without a classifier.
    ignored: why something was left out -> the names in the file.
    left: names in the file that have no known meaning.
    difference: of the network from torchvision's.
    assumed: what the file does not say, in words.
  """

  kind: str
  weights: dict[str, stored_arrays.StoredArray]
  ignored: dict[str, list[str]]
  left: list[str]
  difference: foreign_resnet.Difference = foreign_resnet.Difference()
  assumed: tuple[str, ...] = ()
