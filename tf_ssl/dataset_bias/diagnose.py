"""Diagnoses a dataset: reads it, computes its statistics, writes the report."""

from collections.abc import Callable
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias import estimate, object_boxes, reference
from tf_ssl.dataset_bias.report import report, summary
from tf_ssl.datasets import open_images
from tf_ssl.datasets.annotations import open_annotations
from tf_ssl.ops import names

_ESTIMATED_IMAGES = 500  # Estimating their objects takes one or two minutes.
_NAMED = 3  # Names printed for each reason.
_MAX_REFERENCES = 50  # Painted pictures of each reference.


class Diagnosed(NamedTuple):
  """A diagnosis and its report.

  Attributes:
    diagnosis: all statistics.
    page: path of the report's page.
  """

  diagnosis: diagnosis_lib.Diagnosis
  page: str


def diagnose_dataset(
  images: str | None,
  annotations: str | None,
  output_dir: str,
  *,
  settings: diagnosis_lib.Settings | None = None,
  split: str = "trainval",
  encoder: str | None = None,
  endpoint: str = "C4",
  max_images: int | None = None,
  max_skipped_fraction: float = 0.05,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> Diagnosed:
  """Writes report.html, diagnosis.json, tables and charts.

  Args:
    images: folder of the annotated images (see `open_annotations`); without
      annotations, any source that `open_images` reads.
    annotations: source that `open_annotations` reads; None to estimate objects.
    output_dir: folder to write to.
    settings: settings of the crops; None for MoCo's recipe.
    split: split of a dataset in VOC's layout.
    encoder: path of the SavedModel that groups estimated objects; None for
      histograms (see `estimate.Estimator`).
    endpoint: name of the encoder's map.
    max_images: size of the random subset to use, 0 for all images; None for
      all, but 500 where objects are estimated.
    max_skipped_fraction: largest share of unusable images, and of unusable
      boxes, 0..1.
    command: command line for the report.
    say: takes the summary sentences, the recommended cropper with its gin
      lines, and what was skipped, line by line.

  Returns:
    The statistics and the path of the page.

  Raises:
    UsageError: there is nothing to diagnose, or a setting is out of range.
  """
  settings = settings or diagnosis_lib.Settings()
  if annotations is not None:
    errors.require(
      encoder is None,
      "an encoder was given with annotations; expected one of them, because "
      "annotated boxes need no estimate; leave --encoder out",
    )
    dataset = object_boxes.annotated_dataset(
      open_annotations.open_annotations(
        annotations,
        images,
        split=split,
        max_skipped_fraction=max_skipped_fraction,
      ),
      max_images=max_images or 0,
      seed=settings.seed,
    )
    references = reference.references(settings.reference_images)
  elif images is None:
    raise errors.UsageError(
      "neither images nor annotations were given; expected --images=FOLDER, "
      "with --annotations=FILE if there are boxes"
    )
  else:
    records = open_images.open_images(images, named_by="--images")
    estimator = estimate.Estimator(
      encoder, endpoint=endpoint, seed=settings.seed
    )
    dataset = estimate.estimate(
      records,
      estimator,
      output_dir,
      max_images=_ESTIMATED_IMAGES if max_images is None else max_images,
      seed=settings.seed,
      max_skipped_fraction=max_skipped_fraction,
    )
    count = min(settings.reference_images, _MAX_REFERENCES)
    references = estimate.references(count, estimator)
  for reason, who in dataset.skipped.items():
    say(f"skipped {len(who)}: {reason} ({names.listed(who, _NAMED)})")
  diagnosis = diagnosis_lib.diagnose(
    dataset,
    references,
    settings,
    boxes=annotations,
    images=images,
    split=split,
    command=command,
  )
  for sentence in summary.sentences(diagnosis):
    say(sentence)
  say(summary.recommendation(diagnosis))
  for line in diagnosis.remedy.gin:
    say(f"  {line}")
  return Diagnosed(diagnosis, report.write(diagnosis, output_dir))
