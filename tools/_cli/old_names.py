"""Names of earlier versions in gin files, and what they are called now.

Old run folders stay readable, and gin files of users keep working.
"""

from absl import logging
from gin import config_parser

from tf_ssl import errors

from . import gin_statements

_MODULES = {
  "tf_ssl.datasets.ade20k": "tf_ssl.datasets.masks.ade20k",
  "tf_ssl.datasets.aloi": "tf_ssl.datasets.invariance_sets.aloi",
  "tf_ssl.datasets.camvid": "tf_ssl.datasets.masks.camvid",
  "tf_ssl.datasets.coco": "tf_ssl.datasets.annotations.coco",
  "tf_ssl.datasets.coil": "tf_ssl.datasets.invariance_sets.coil",
  "tf_ssl.datasets.got10k": "tf_ssl.datasets.invariance_sets.got10k",
  "tf_ssl.datasets.mask_folders": "tf_ssl.datasets.masks.mask_folders",
  "tf_ssl.datasets.pascal3d": "tf_ssl.datasets.invariance_sets.pascal3d",
  "tf_ssl.datasets.photometric_stereo": (
    "tf_ssl.datasets.invariance_sets.photometric_stereo"
  ),
  "tf_ssl.datasets.rendered_sets": (
    "tf_ssl.datasets.invariance_sets.rendered_sets"
  ),
  "tf_ssl.datasets.sets_manifest": (
    "tf_ssl.datasets.invariance_sets.sets_manifest"
  ),
  "tf_ssl.datasets.synthetic": "tf_ssl.rendering.synthetic",
  "tf_ssl.datasets.voc": "tf_ssl.datasets.annotations.voc",
  "tf_ssl.datasets.voc_masks": "tf_ssl.datasets.masks.voc_masks",
  "tf_ssl.datasets.yale_b": "tf_ssl.datasets.invariance_sets.yale_b",
  "tf_ssl.evaluation.detection.architecture": (
    "tf_ssl.evaluation.detection.retinanet"
  ),
  "tf_ssl.evaluation.fitting": "tf_ssl.evaluation.fine_tune_loop",
  "tf_ssl.evaluation.linear_training": (
    "tf_ssl.evaluation.linear.linear_training"
  ),
  "tf_ssl.evaluation.measurement": "tf_ssl.invariance.measurement",
  "tf_ssl.evaluation.protocols.annotated_examples": (
    "tf_ssl.evaluation.svm.annotated_examples"
  ),
  "tf_ssl.evaluation.protocols.detection": (
    "tf_ssl.evaluation.detection.detection"
  ),
  "tf_ssl.evaluation.protocols.evaluate": "tf_ssl.evaluation.evaluate",
  "tf_ssl.evaluation.protocols.fine_tuning": (
    "tf_ssl.evaluation.fine_tuning.fine_tuning"
  ),
  "tf_ssl.evaluation.protocols.knn": "tf_ssl.evaluation.knn.knn",
  "tf_ssl.evaluation.protocols.linear_fast": (
    "tf_ssl.evaluation.linear.linear_fast"
  ),
  "tf_ssl.evaluation.protocols.linear_probe": (
    "tf_ssl.evaluation.linear.linear_probe"
  ),
  "tf_ssl.evaluation.protocols.linear_svm": "tf_ssl.evaluation.svm.linear_svm",
  "tf_ssl.evaluation.protocols.low_shot_svm": (
    "tf_ssl.evaluation.svm.low_shot_svm"
  ),
  "tf_ssl.evaluation.protocols.segmentation": (
    "tf_ssl.evaluation.segmentation.segmentation"
  ),
  "tf_ssl.evaluation.svm_settings": "tf_ssl.evaluation.svm.fits",
  "tf_ssl.training.optimizers": "tf_ssl.ops.optimizers",
  "tf_ssl.video.mining": "tf_ssl.video.mining.mining",
  "tf_ssl.video.tracker": "tf_ssl.video.tracking.tracker",
  "tf_ssl.video.tracker_settings": "tf_ssl.video.tracking.tracker",
}
_INCLUDES = {
  "gin_configs/base/labelled_images.gin": "gin_configs/base/labeled_images.gin"
}
_PRETRAINING = "tf_ssl.training.settings.Pretraining"
_ARGUMENTS = {
  f"{_PRETRAINING}.labelled_fraction": "labeled_fraction",
  "tf_ssl.datasets.image_folder.read.labelled": "labeled",
  "tf_ssl.datasets.manifest.read.labelled": "labeled",
  "tf_ssl.datasets.open_images.open_images.labelled": "labeled",
  "tf_ssl.datasets.tfds_images.read.labelled": "labeled",
  "tf_ssl.datasets.tfrecords.read.labelled": "labeled",
  "tf_ssl.evaluation.linear.linear_probe.LinearProbe.encoder_batch_size": (
    "batch_size"
  ),
  "tf_ssl.video.tracking.tracker.Settings.stretch": "side_shift",
}
# Settings of Pretraining that its monitors have now, as a gin file names them.
_MONITORS = {
  "labeled_images": "labeled.LabeledImages.train",
  "labelled_images": "labeled.LabeledImages.train",
  "held_out_images": "labeled.LabeledImages.test",
  "knn_k": "labeled.LabeledImages.k",
  "knn_temperature": "labeled.LabeledImages.temperature",
  "knn_image_size": "labeled.LabeledImages.image_size",
  "linear_probe": "labeled.LabeledImages.linear_probe",
  "held_out_tracks": "tracks.Reidentification.tracks",
  "baseline": "tracks.Reidentification.baseline",
  "baseline_name": "tracks.Reidentification.baseline_name",
  "invariance_sets": "invariance.Invariance.sets",
  "invariance_every": "invariance.Invariance.every",
  "monitor_every": "`every` of each monitor",
}


def translate(text: str, place: str, *, of_run: bool) -> str:
  """Replaces the names of earlier versions in the text of a gin file.

  Args:
    text: text of the file.
    place: path of the file, for messages.
    of_run: whether the file is the config of an earlier run. Settings that no
      longer exist are then left out, and nothing is logged.

  Returns:
    The text, with the same line numbers.

  Raises:
    UsageError: a setting no longer exists, and `of_run` is False.
  """
  try:
    statements = gin_statements.parse(text)
  except SyntaxError:
    return text  # Whoever reads the text next reports it.
  imports = {
    name: _MODULES.get(module, module)
    for name, module in gin_statements.imported_names(statements).items()
  }
  lines = text.split("\n")
  new_imports = []
  for statement, start, end in gin_statements.spans(statements, len(lines)):
    if isinstance(statement, config_parser.ImportStatement):
      module = _MODULES.get(statement.module)
      if module and (statement.is_from or statement.alias):
        bound_name = statement.bound_name()
        lines[start] = gin_statements.format_import(module, bound_name)
        new_imports.append(lines[start])
    elif isinstance(statement, config_parser.IncludeStatement):
      for old, new in _INCLUDES.items():
        lines[start] = lines[start].replace(old, new)
    elif isinstance(statement, config_parser.BindingStatement):
      selector, argument = statement.selector, statement.arg_name
      full = gin_statements.dotted(f"{selector}.{argument}", imports)
      new = _ARGUMENTS.get(full)
      if new:
        old_name, new_name = f"{selector}.{argument}", f"{selector}.{new}"
        lines[start] = lines[start].replace(old_name, new_name, 1)
      elif full.rpartition(".")[0] == _PRETRAINING and argument in _MONITORS:
        if not of_run:
          raise errors.UsageError(
            f"{place}:{start + 1}: {selector} has no {argument} any more; use"
            f" {_MONITORS[argument]}, of a monitor in {selector}.monitors"
            " (docs/own_monitor.md)"
          )
        lines[start:end] = [""] * (end - start)
  if new_imports and not of_run:
    logging.warning(
      "%s: these modules have moved; write %s", place, "; ".join(new_imports)
    )
  return "\n".join(lines)
