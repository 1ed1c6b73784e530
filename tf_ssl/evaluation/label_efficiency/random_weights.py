"""Random weights to compare models with: a network, drawn by the seed."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tf_ssl import errors
from tf_ssl.evaluation import labeled_sets, protocol
from tf_ssl.models import feature_extractor, load

RANDOM = "random weights"
_FALLBACK = "random:resnet18"

Features = dict[str, labeled_sets.Features]


class RandomWeights(NamedTuple):
  """A network whose weights are drawn by a seed.

  Attributes:
    subject: model that has the network; None for a ResNet-18.
    note: sentence that names the network, for the report.
  """

  subject: protocol.Subject | None
  note: str

  def key(self) -> dict[str, Any]:
    """What identifies the network, JSON values."""
    if self.subject is None:
      return {"random": _FALLBACK}
    description = self.subject.trainable.description
    return {"random": protocol.model_key(description)}

  def features(
    self, seed: int, extract: Callable[[Callable], Features]
  ) -> Features:
    """Features of the network with the weights of a seed.

    Args:
      seed: seed of the weights.
      extract: function that applies a function, images -> features, to all
        images.
    """
    if self.subject is None:
      model = load.load_model(f"{RANDOM}={_FALLBACK}:{seed}")
      return extract(model.features)
    network = self.subject.trainable
    with network.restored():
      network.draw_weights(seed)
      extractor = feature_extractor.FeatureExtractor(
        network.features, preprocess=lambda images: images
      )
      return extract(lambda images: extractor.batch(images).numpy())


def choose(subjects: Sequence[protocol.Subject]) -> RandomWeights:
  """The network of the first model that can be drawn, else a ResNet-18.

  Args:
    subjects: models that are compared.
  """
  found, network, reasons = None, "a ResNet-18", ""
  for subject in subjects:
    try:
      subject.trainable.check_drawable()
    except errors.UsageError as error:
      reasons += f"; not those of {subject.name}: {error}"
      continue
    found, network = subject, f"the network of {subject.name}"
    break
  note = f"random weights are those of {network}, drawn by the seed"
  if len(subjects) > 1:
    note += "; every model is compared with these, whatever its own network"
  return RandomWeights(found, note + reasons)
