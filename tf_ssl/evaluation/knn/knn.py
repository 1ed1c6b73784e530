"""The protocol of weighted k-nearest neighbors on frozen features."""

import dataclasses
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.evaluation import classification, labeled_sets, protocol
from tf_ssl.evaluation.knn import classifier


@dataclasses.dataclass(frozen=True, kw_only=True)
class Knn:
  """Weighted kNN (Wu et al. 2018, section 3.4), see `classifier.classify`.

  Attributes:
    train: labeled images that vote.
    test: labeled images of the same classes.
    k: numbers of neighbors; the first gives the headline. InstDisc uses 200.
    temperature: temperatures of the votes; the first gives the headline.
      InstDisc uses 0.07.
    image_size: side of the center crops in pixels.
    batch_size: images per forward pass.
    max_skipped_fraction: largest fraction of the images that may be unreadable.
  """

  train: records.ImageRecords
  test: records.ImageRecords
  k: Sequence[int] = (200,)
  temperature: Sequence[float] = (0.07,)
  image_size: int = 224
  batch_size: int = 64
  max_skipped_fraction: float = 0.05

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
    features = labeled_sets.features(
      subject,
      sets,
      output_dir,
      image_size=self.image_size,
      batch_size=self.batch_size,
      max_skipped_fraction=self.max_skipped_fraction,
    )
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
    found = classification.findings(
      [predicted[first]], test.labels, sets.class_names
    )
    by_setting = {
      key: classification.measures(one, test.labels, len(sets.class_names))
      for key, one in predicted.items()
    }
    return protocol.Outcome(
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
      results=found.results
      | {
        f"top1_k{k}_t{t:g}_percent": values["top1_percent"]
        for (k, t), values in by_setting.items()
        if (k, t) != first
      },
      details=found.details
      | {
        "by_k_and_temperature": [
          {"k": k, "temperature": t, **values}
          for (k, t), values in by_setting.items()
        ]
      },
      tables=[*_tables(by_setting), *found.tables],
      pictures=found.pictures,
      skipped=train.skipped | test.skipped,
      notes=found.notes,
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
