"""Weighted nearest neighbors in the space of frozen features."""

import dataclasses
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.datasets import records
from tf_ssl.evaluation import classification, labeled_sets, protocol
from tf_ssl.evaluation.knn import classifier


@dataclasses.dataclass(frozen=True, kw_only=True)
class Knn:
  """kNN as in InstDisc (Wu et al. 2018, section 3.4): `classifier.classify`.

  Attributes:
    train: labeled images, whose features vote.
    test: labeled images of the same classes.
    k: numbers of neighbors; the first is the headline's. 200 is InstDisc's.
    temperature: of the votes; the first is the headline's. 0.07 is InstDisc's.
    image_size: pixels a side.
    batch_size: images at once.
    max_skipped_fraction: of the images that may be unreadable.
  """

  train: records.ImageRecords
  test: records.ImageRecords
  k: Sequence[int] = (200,)
  temperature: Sequence[float] = (0.07,)
  image_size: int = 224
  batch_size: int = 64
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Refuses what would fail only after all images have been read."""
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
    del say  # the bars are enough
    sets = labeled_sets.match(self.train, self.test)
    self._check_k(sets.train)
    train, test = (
      labeled_sets.features(
        subject,
        images,
        output_dir,
        role,
        image_size=self.image_size,
        batch_size=self.batch_size,
        max_skipped_fraction=self.max_skipped_fraction,
      )
      for role, images in (("train", sets.train), ("test", sets.test))
    )
    guesses = classifier.classify(
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
      [guesses[first]], test.labels, sets.class_names
    )
    by_setting = {
      key: classification.measures(one, test.labels, len(sets.class_names))
      for key, one in guesses.items()
    }
    tables = [_table(by_setting)] if len(by_setting) > 1 else []
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
        name.replace("_percent", f"_k{k}_t{t:g}_percent"): value
        for (k, t), values in by_setting.items()
        if (k, t) != first
        for name, value in values.items()
        if name == "top1_percent"
      },
      details=found.details
      | {
        "by_k_and_temperature": [
          {"k": k, "temperature": t, **values}
          for (k, t), values in by_setting.items()
        ]
      },
      tables=tables + found.tables,
      pictures=found.pictures,
      skipped=train.skipped | test.skipped,
      notes=found.notes,
    )

  def _check_k(self, train: records.ImageRecords) -> None:
    if max(self.k) > train.num_images:
      raise errors.UsageError(
        f"k = {max(self.k)} neighbors were asked for among "
        f"{train.num_images} images of TRAIN_IMAGES; lower K"
      )


def _table(by_setting) -> protocol.Table:
  columns = list(next(iter(by_setting.values())))
  return protocol.Table(
    "All k and temperatures, %",
    ["k", "temperature", *(name.removesuffix("_percent") for name in columns)],
    [
      [k, t, *(values[name] for name in columns)]
      for (k, t), values in by_setting.items()
    ],
  )
