"""The protocol of weighted k-nearest neighbors on frozen features."""

import dataclasses
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.evaluation import classification, labeled_sets, protocol, sanity
from tf_ssl.evaluation.knn import classifier


@dataclasses.dataclass(frozen=True, kw_only=True)
class Knn(labeled_sets.FeatureProtocol):
  """Weighted kNN (Wu et al. 2018, section 3.4), see `classifier.classify`.

  Attributes:
    k: numbers of neighbors; the first gives the headline. InstDisc uses 200.
    temperature: temperatures of the votes; the first gives the headline.
      InstDisc uses 0.07.
  """

  k: Sequence[int] = (200,)
  temperature: Sequence[float] = (0.07,)

  def __post_init__(self):
    """Checks the settings before any image is read."""
    protocol.check_numbers("k", "K", self.k)
    protocol.check_numbers("temperature", "TEMPERATURE", self.temperature)

  def run(
    self,
    subject: protocol.Subject,
    *,
    output_dir: str,
    say: Callable[[str], None],
  ) -> protocol.Outcome:
    """Measures one model; see `protocol.DownstreamProtocol`."""
    del say  # The progress bars are enough.
    sets = labeled_sets.match(self.train, self.test)
    errors.require(
      max(self.k) <= sets.train.num_images,
      f"k = {max(self.k)} neighbors among {sets.train.num_images} images of "
      "TRAIN_IMAGES; lower K",
    )
    features = self.features(subject, sets, output_dir)
    train, test = features["train"], features["test"]
    predicted = classifier.classify(
      train.values,
      train.labels,
      test.values,
      test.labels,
      k=self.k,
      temperature=self.temperature,
      show_progress=True,
    )
    first = self.k[0], self.temperature[0]
    by_setting = {
      key: classification.measures(one, test.labels, len(sets.class_names))
      for key, one in predicted.items()
    }
    own = protocol.Outcome(
      protocol="knn",
      title="Weighted nearest neighbors",
      settings={
        "k": list(self.k),
        "temperature": list(self.temperature),
        "headline": f"k {first[0]}, temperature {first[1]:g}",
        "similarity": "cosine, exact",
        "vote": "exp(similarity / temperature)",
        "image_size": self.image_size,
        "crop": "the middle, of the image resized by 256/224",
      },
      data=sets.data(),
      results={
        f"top1_k{k}_t{t:g}_percent": values["top1_percent"]
        for (k, t), values in by_setting.items()
        if (k, t) != first
      },
      details={
        "by_k_and_temperature": [
          {"k": k, "temperature": t, **values}
          for (k, t), values in by_setting.items()
        ]
      },
      tables=_tables(by_setting),
      skipped=train.skipped | test.skipped,
      notes=sanity.warned(
        "knn",
        sanity.of_features({"train": train.values, "test": test.values}),
      ),
    )
    return classification.outcome(
      [predicted[first]], test.labels, sets.class_names, own=own
    )


def _tables(by_setting) -> list[protocol.Table]:
  """Results by k and temperature, where there are several."""
  if len(by_setting) == 1:
    return []
  columns = list(next(iter(by_setting.values())))
  return [
    protocol.Table(
      "All k and temperatures, %",
      ["k", "temperature", *(c.removesuffix("_percent") for c in columns)],
      [
        [k, t, *(values[name] for name in columns)]
        for (k, t), values in by_setting.items()
      ],
    )
  ]
