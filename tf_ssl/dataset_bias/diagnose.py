"""Diagnoses a dataset: from files to a report."""

from collections.abc import Callable

from tf_ssl import errors
from tf_ssl.dataset_bias import diagnosis as diagnosis_lib
from tf_ssl.dataset_bias import estimate, reference, verdict
from tf_ssl.dataset_bias import subject as subject_lib
from tf_ssl.dataset_bias.report import report
from tf_ssl.datasets import open_images
from tf_ssl.datasets.annotations import open_annotations

# Images that are looked at where objects are guessed: a minute's work or two.
_ESTIMATED_IMAGES = 500
_NAMED = 3  # of what was left out, for each reason
_MOST_REFERENCES = 50  # pictures of each reference that are painted


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
) -> str:
  """Writes report.html, diagnosis.json, tables and charts.

  Args:
    images: the folder of annotated images, as `open_annotations` takes it;
      without annotations any source of `open_images`.
    annotations: what `open_annotations` reads; None for an estimate.
    output_dir: where to write.
    settings: of the crops; None for MoCo's recipe.
    split: of VOC's layout.
    encoder: of the estimate, see `estimate.Estimator`.
    endpoint: of the encoder.
    max_images: size of the random part that is looked at; 0: all; None: all,
      but 500 where objects are guessed.
    max_skipped_fraction: the share of images, and of boxes, above which those
      that cannot be used are an error.
    command: for the report.
    say: gets the sentences of the report, and what was left out.

  Returns:
    The path of the page.

  Raises:
    UsageError: nothing to diagnose, or a setting out of range.
  """
  settings = settings or diagnosis_lib.Settings()
  if annotations is not None:
    if encoder is not None:
      raise errors.UsageError(
        "an encoder was given with annotations; expected one of them: boxes "
        "that are there need no estimate; leave --encoder out"
      )
    subject = subject_lib.of_annotations(
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
      "with --annotations=FILE where there are boxes"
    )
  else:
    records = open_images.open_images(images, named_by="--images")
    estimator = estimate.Estimator(
      encoder, endpoint=endpoint, seed=settings.seed
    )
    subject = estimate.estimate(
      records,
      estimator,
      output_dir,
      max_images=_ESTIMATED_IMAGES if max_images is None else max_images,
      seed=settings.seed,
      max_skipped_fraction=max_skipped_fraction,
    )
    count = min(settings.reference_images, _MOST_REFERENCES)
    references = estimate.references(count, estimator)
  for reason, names in subject.skipped.items():
    more = "; ..." if len(names) > _NAMED else ""
    shown = "; ".join(names[:_NAMED])
    say(f"left out, {len(names)}: {reason} ({shown}{more})")
  diagnosis = diagnosis_lib.diagnose(
    subject, references, settings, command=command
  )
  for sentence in verdict.sentences(diagnosis):
    say(sentence)
  return report.write(diagnosis, output_dir)
