"""Measurements of models in Python: invariances and downstream protocols."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import figure as figure_lib

from tf_ssl import errors
from tf_ssl.api import sources
from tf_ssl.datasets import records
from tf_ssl.datasets.invariance_sets import (
  invariance_sets,
  rendered_sets,
  sets_manifest,
)
from tf_ssl.evaluation import classification
from tf_ssl.evaluation import evaluate as evaluate_lib
from tf_ssl.evaluation import protocol as protocol_lib
from tf_ssl.evaluation.fine_tuning import fine_tuning
from tf_ssl.evaluation.knn import knn
from tf_ssl.evaluation.linear import linear_fast, linear_probe
from tf_ssl.invariance import (
  charts,
  measure,
  measurement,
  report,
  settings_choice,
)
from tf_ssl.models import image_model

Sets = str | os.PathLike | invariance_sets.InvarianceSets
# Protocols on labeled images and their defaults in gin_configs/evaluate.
_PROTOCOLS = {
  "knn": (knn.Knn, {"k": (200, 20), "temperature": (0.07, 0.2)}),
  "linear": (linear_probe.LinearProbe, {}),
  "linear_fast": (linear_fast.LinearFast, {}),
  "fine_tuning": (fine_tuning.FineTuning, {}),
}


@dataclasses.dataclass(frozen=True, repr=False)
class InvarianceReport:
  """Invariance scores of models.

  Attributes:
    results: everything that was measured, an `invariance.measurement.Results`.
    lines: scores and paired differences as sentences.
    report: path of the HTML page.
  """

  results: measurement.Results
  lines: Sequence[str]
  report: str
  _folder: sources.OutputFolder

  @property
  def scores(self) -> dict[str, dict[str, dict[int, float]]]:
    """Scores in percent by invariance, model and number of units K."""
    return {
      sets.label: {
        name: dict(found.score.scores) for name, found in sets.models.items()
      }
      for sets in self.results.sets
    }

  def plot(self) -> figure_lib.Figure:
    """Chart of the report: scores with intervals and chance levels."""
    return charts.overview(self.results)

  def plot_curves(self) -> figure_lib.Figure | None:
    """Curves of the report over the range of a factor; None without one."""
    return charts.curves(self.results)

  def plot_strengths(self) -> figure_lib.Figure | None:
    """Scores by strength of alterations; None but for own pictures."""
    return charts.strengths(self.results)

  def __repr__(self) -> str:
    return "\n".join([*self.lines, f"report: {self.report}"])


def measure_invariance(
  models: sources.Model | Sequence[sources.Model] | Mapping[str, sources.Model],
  sets: Sets | Sequence[Sets] | None = None,
  output_dir: str | os.PathLike | None = None,
  *,
  num_sets: int = 100,
  images_per_set: int = 24,
  images: sources.Images | None = None,
  alterations: str | None = None,
  layer: str | None = None,
  preprocessing: str | None = None,
  update_cards: bool = False,
  **settings: Any,
) -> InvarianceReport:
  """Measures the invariances of models, as `tools.measure_invariance` does.

  >>> found = tf_ssl.measure_invariance(
  ...   ["pixels", "random:resnet18"],
  ...   ["viewpoint", "scale"],
  ...   num_sets=10,
  ...   images_per_set=3,
  ...   resamples=50,
  ... )
  >>> sorted(found.scores)
  ['scale', 'viewpoint']
  >>> figure = found.plot()

  Args:
    models: a path or a loaded model; several in a list or {name: path}.
    sets: "rendered" (the default) for ten invariances of rendered objects, the
      names of some of them, a manifest FILE.csv
      (path,set[,class][,box][,value]), `InvarianceSets`, or a list of these.
    output_dir: path of the folder for features and report; an interrupted call
      resumes. None for a temporary one that is removed with the result.
    num_sets: number of rendered sets of each invariance.
    images_per_set: number of images in a rendered set.
    images: your own pictures instead of sets, a folder, another source or an
      array: the sets are each picture with its altered versions.
    alterations: names of the alterations of your own pictures, such as
      "rotation,blur"; None for all.
    layer: name of the layer to read, for models that are paths.
    preprocessing: preprocessing of the images, for models that are paths.
    update_cards: whether the scores are written into README.md of each model
      that is a SavedModel of tf_ssl; earlier scores there are replaced.
    **settings: further settings of `invariance.measurement.Measurement`, such
      as top_k=(10, 25), variant="formula", resamples=1000.

  Raises:
    UsageError: models or sets cannot be read, or a setting is out of range.
  """
  folder = sources.OutputFolder(output_dir)
  errors.require(
    alterations is None or images is not None,
    f"alterations={alterations!r} without images: expected your own pictures;"
    " give images, or leave alterations out",
  )
  loaded = sources.models(models, layer=layer, preprocessing=preprocessing)
  report.check(loaded, update_cards=update_cards)
  if images is not None:
    planned = settings_choice.of_pictures(
      lambda placeholder: measurement.Measurement(placeholder, **settings),
      sources.image_source(images, argument="images"),
      has_other_sets=sets is not None,
      alterations=alterations,
    )
    if not settings.get("image_size"):
      planned = settings_choice.sized_for(planned, loaded)
    return _measured(loaded, planned, folder, update_cards)
  if sets is None:
    sets = "rendered"
  if isinstance(sets, (str, os.PathLike, invariance_sets.InvarianceSets)):
    sets = [sets]
  if list(sets) == ["rendered"]:
    sets = invariance_sets.INVARIANCES
  planned = measurement.Measurement(
    sets=[_open_sets(each, num_sets, images_per_set) for each in sets],
    **settings,
  )
  return _measured(loaded, planned, folder, update_cards)


def _measured(
  models: Sequence[image_model.ImageModel],
  settings: measurement.Measurement,
  folder: sources.OutputFolder,
  update_cards: bool,
) -> InvarianceReport:
  lines, say = sources.collect()
  results = measure.measure(models, settings, folder.path, say=say)
  page = report.write(results, folder.path)
  if update_cards:
    lines += report.update_cards(results, write=True)
  return InvarianceReport(results, lines, page, folder)


def _open_sets(
  given: Sets, num_sets: int, images_per_set: int
) -> invariance_sets.InvarianceSets:
  if isinstance(given, invariance_sets.InvarianceSets):
    return given
  path = os.fspath(given)
  if path in invariance_sets.INVARIANCES:
    return rendered_sets.rendered_sets(
      path, num_sets=num_sets, images_per_set=images_per_set
    )
  errors.require(
    os.path.isfile(path),
    f"sets={path!r}: expected rendered, one of "
    f"{', '.join(invariance_sets.INVARIANCES)}, or a CSV file of sets",
  )
  name = os.path.splitext(os.path.basename(path))[0]
  return sets_manifest.read(path, invariance=name or "sets")


@dataclasses.dataclass(frozen=True, repr=False)
class EvaluationReport:
  """Results of a downstream protocol.

  Attributes:
    outcome: everything that was measured, an `evaluation.protocol.Outcome`.
    model: name of the model.
    report: path of the page; report.json is in the same folder.
  """

  outcome: protocol_lib.Outcome
  model: str
  report: str
  _folder: sources.OutputFolder

  @property
  def results(self) -> Mapping[str, float]:
    """Headline numbers by name; names of percentages end in _percent."""
    return self.outcome.results

  def plot(self) -> figure_lib.Figure:
    """Confusion matrix of the report; UsageError for other protocols."""
    counts = self.outcome.details.get("confusion")
    errors.require(
      counts is not None,
      f"{self.outcome.title} has no confusion matrix; see the pictures in "
      f"{os.path.dirname(self.report)}",
    )
    return classification.confusion_chart(
      np.asarray(counts), list(self.outcome.details["per_class_percent"])
    )

  def __repr__(self) -> str:
    values = [f"{name} {value:.4g}" for name, value in self.results.items()]
    return (
      f"<{self.outcome.title} of {self.model}: {', '.join(values)}; "
      f"report: {self.report}>"
    )


def evaluate(
  model: str | os.PathLike,
  protocol: str | protocol_lib.DownstreamProtocol = "knn",
  *,
  train: sources.Images | records.ImageRecords | None = None,
  test: sources.Images | records.ImageRecords | None = None,
  output_dir: str | os.PathLike | None = None,
  layer: str | None = None,
  preprocessing: str | None = None,
  **settings: Any,
) -> EvaluationReport:
  """Measures a model by a downstream protocol, as `tools.evaluate` does.

  >>> found = tf_ssl.evaluate(
  ...   "pixels",
  ...   "knn",
  ...   train="photos/train",
  ...   test="photos/test",
  ...   image_size=32,
  ...   k=(3,),
  ... )
  >>> found.results["top1_percent"]
  100.0
  >>> figure = found.plot()

  Args:
    model: path of a model, as in `load_model`.
    protocol: "knn", "linear" (MoCo's linear probe), "linear_fast" (L-BFGS),
      "fine_tuning"; or a protocol object, such as
      `segmentation.Segmentation(...)`, which holds its own data.
    train: labeled training images: class folders, a manifest, TFRecords,
      tfds:NAME, or a tuple of images [N, H, W, 3] uint8 and labels [N].
    test: labeled test images of the same classes.
    output_dir: path of the folder for the report; an interrupted call resumes.
      None for a temporary one that is removed with the result.
    layer: name of the layer to read; None chooses.
    preprocessing: preprocessing of the images; None for what the file
      specifies.
    **settings: settings of the protocol, such as image_size=224 or k=(20,).

  Raises:
    UsageError: the model or the images cannot be read, or a setting is out of
      range.
  """
  if isinstance(protocol, str):
    errors.require(
      protocol in _PROTOCOLS and train is not None and test is not None,
      f"protocol={protocol!r}, train={train!r}, test={test!r}: expected one of "
      f"{', '.join(_PROTOCOLS)} with train and test images",
    )
    build, defaults = _PROTOCOLS[protocol]
    protocol = build(
      train=sources.labeled_records(train, argument="train"),
      test=sources.labeled_records(test, argument="test"),
      **{**defaults, **settings},
    )
  else:
    errors.require(
      train is None and test is None and not settings,
      "train, test and settings belong to the protocol object; remove them",
    )
  folder = sources.OutputFolder(output_dir)
  subject = protocol_lib.Subject(
    os.fspath(model),
    layer=layer,
    preprocessing=preprocessing,
    restore_run=sources.restore_run,
  )
  found = evaluate_lib.evaluate(
    evaluate_lib.Evaluation(protocol=protocol), subject, folder.path
  )
  return EvaluationReport(found.outcome, subject.name, found.page, folder)
