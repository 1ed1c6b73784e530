"""Models in Python: load, extract features, export, import weights."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np

from tf_ssl import errors
from tf_ssl.api import sources
from tf_ssl.export import provenance, saved_model
from tf_ssl.export import weights as weights_lib
from tf_ssl.features import feature_files
from tf_ssl.models import image_model, load


def load_model(
  path: str | os.PathLike,
  *,
  layer: str | None = None,
  preprocessing: str | None = None,
  image_size: int | None = None,
) -> image_model.ImageModel:
  """Loads a model of any kind as a function from images to features.

  >>> model = tf_ssl.load_model("pixels")
  >>> images = np.zeros([2, 32, 32, 3], np.uint8)
  >>> model.features(images).shape
  (2, 768)

  Args:
    path: path of a SavedModel, a .keras, .h5 or .onnx file, a run of `pretrain`
      or one of its checkpoints; "keras.applications:ResNet50",
      "random:resnet50" (untrained) or "pixels"; with an optional name before
      it, "NAME=PATH".
    layer: name of the layer to read; None chooses the input of the classifier.
    preprocessing: "0..255", "0..1", "-1..1", "imagenet" or "caffe"; None for
      what the file specifies.
    image_size: side in px of the square that images are resized to; None keeps
      their size unless the model requires one.

  Returns:
    The model: `features(images)` computes [B, D] float32 from [B, H, W, 3],
    0..255, and `description` says how.

  Raises:
    UsageError: the model cannot be loaded, or its preprocessing is unknown.
  """
  return load.load_model(
    os.fspath(path),
    layer=layer,
    preprocessing=preprocessing,
    image_size=image_size,
    restore_run=sources.restore_run,
  )


@dataclasses.dataclass(frozen=True, repr=False, kw_only=True)
class ExtractedFeatures:
  """Features of images, with the facts about the images.

  Attributes:
    by_model: features [M, D] float32 of each model by name.
    index: [M] int64, positions of the rows' images among all images.
    names: [M] text, names of the rows' images; None for an array.
    labels: [M] int32 class ids, -1 if unknown; None without labels.
    class_names: names of the classes.
    skipped: reasons by name of the images that could not be read.
    path: path of the file or folder that holds the features; None for none.
  """

  by_model: Mapping[str, np.ndarray]
  index: np.ndarray
  names: np.ndarray | None = None
  labels: np.ndarray | None = None
  class_names: Sequence[str] = ()
  skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
  path: str | None = None

  @property
  def features(self) -> np.ndarray:
    """Features [M, D] of the only model; UsageError if there are several."""
    errors.require(
      len(self.by_model) == 1,
      f"there are features of {', '.join(self.by_model)}; choose one: "
      "by_model[NAME]",
    )
    return next(iter(self.by_model.values()))

  def __repr__(self) -> str:
    shapes = [f"{k} {list(v.shape)}" for k, v in self.by_model.items()]
    place = f", in {self.path}" if self.path else ""
    return (
      f"<ExtractedFeatures {', '.join(shapes)}; {len(self.class_names)} classes"
      f"; {len(self.skipped)} images skipped{place}>"
    )


def extract_features(
  model: sources.Model | Sequence[sources.Model] | Mapping[str, sources.Model],
  images: str | os.PathLike | np.ndarray,
  output: str | os.PathLike | None = None,
  *,
  layer: str | None = None,
  preprocessing: str | None = None,
  image_size: int = 224,
  framing: str = "middle",
  batch_size: int = 64,
  max_skipped_fraction: float = 0.05,
  overwrite: bool = False,
) -> ExtractedFeatures:
  """Computes the features of images, as `tools.extract_features` does.

  >>> found = tf_ssl.extract_features("pixels", "photos/train", image_size=32)
  >>> found
  <ExtractedFeatures pixels [8, 768]; 2 classes; 0 images skipped>
  >>> found.features.dtype, found.labels.tolist()
  (dtype('float32'), [0, 0, 0, 0, 1, 1, 1, 1])

  Args:
    model: a path or a loaded model; several in a list or {name: path}.
    images: folder, manifest, TFRecords or tfds:NAME; or an array [N, H, W, 3]
      uint8, which is used as it is, without `image_size` and `framing`.
    output: path FILE.npz or of a folder of .npy files; an interrupted call
      resumes. None keeps the features in memory.
    layer: name of the layer to read, for models that are paths.
    preprocessing: preprocessing of the images, for models that are paths.
    image_size: side in px of the square that images are resized to.
    framing: "middle" (center crop) or "whole".
    batch_size: number of images per batch and model.
    max_skipped_fraction: fraction of unreadable images that is accepted.
    overwrite: whether features of something else at `output` are replaced.

  Raises:
    UsageError: a model or images cannot be read, or `output` cannot be written.
  """
  models = sources.models(model, layer=layer, preprocessing=preprocessing)
  if not isinstance(images, (str, os.PathLike)):
    errors.require(
      output is None,
      f"output={output!r} with an array of images; expected a path of images; "
      "remove output, or save the result",
    )
    array = sources.check_array(images, "images")
    starts = range(0, len(array), batch_size)
    return ExtractedFeatures(
      by_model={
        each.name: np.concatenate(
          [each.features(array[i : i + batch_size]) for i in starts]
        )
        for each in models
      },
      index=np.arange(len(array)),
    )
  records, _ = feature_files.open_source(os.fspath(images))
  folder = sources.OutputFolder(None)
  path = os.path.join(folder.path, "features.npz")
  written = feature_files.write(
    models,
    records,
    path if output is None else os.fspath(output),
    image_size=image_size,
    framing=framing,
    batch_size=batch_size,
    max_skipped_fraction=max_skipped_fraction,
    overwrite=overwrite,
  )
  arrays, about = feature_files.read(written.path)
  return ExtractedFeatures(
    by_model={each.name: arrays[f"features/{each.name}"] for each in models},
    index=arrays["index"],
    names=arrays["names"],
    labels=arrays.get("labels"),
    class_names=about["class_names"],
    skipped=written.skipped,
    path=None if output is None else written.path,
  )


@dataclasses.dataclass(frozen=True, repr=False)
class SavedEncoder:
  """An encoder that was written as a SavedModel.

  Attributes:
    path: path of the SavedModel.
    source: path of the checkpoint or weights that it was made from.
    facts: facts about the weights, as in its provenance.json.
  """

  path: str
  source: str
  facts: Mapping[str, object]

  def load(self) -> image_model.ImageModel:
    """Loads it as a function from images to features."""
    return load_model(self.path)

  def __repr__(self) -> str:
    kind = f" ({self.facts['kind']})" if "kind" in self.facts else ""
    return f"<SavedEncoder {self.path} from {self.source}{kind}>"


def export_encoder(
  checkpoint: str | os.PathLike,
  output: str | os.PathLike,
  *,
  license: str | None = None,
  overwrite: bool = False,
) -> SavedEncoder:
  """Exports the encoder of a run, as `tools.export_encoder` does.

  >>> exported = tf_ssl.export_encoder("runs/photos", "exported/photos")
  >>> exported.load().features(np.zeros([1, 64, 64, 3], np.uint8)).shape
  (1, 64)

  Args:
    checkpoint: path of a run (its newest checkpoint), or of a checkpoint in it.
    output: path of the SavedModel to write.
    license: license of the weights for the model card, such as "apache-2.0".
    overwrite: whether `output` is replaced.

  Raises:
    UsageError: no run or checkpoint, or `output` exists or cannot be written.
  """
  restorer = sources.run_restorer()
  method, model_dir, found = restorer.restore(os.fspath(checkpoint))
  facts = provenance.provenance(str(model_dir), checkpoint=found)
  path = saved_model.export_encoder(
    method.encoder,
    method.projection_head,
    os.fspath(output),
    provenance=facts,
    license=license,
    overwrite=overwrite,
  )
  return SavedEncoder(path, found, facts)


def import_weights(
  weights: str | os.PathLike,
  output: str | os.PathLike,
  *,
  prefix: str | None = None,
  stem_padding: int | None = None,
  license: str | None = None,
  overwrite: bool = False,
) -> SavedEncoder:
  """Imports another project's weights, as `tools.import_weights` does.

  >>> tf_ssl.import_weights("resnet18.npz", "imported/resnet18")
  <SavedEncoder imported/resnet18 from resnet18.npz (torchvision)>

  Args:
    weights: path of a checkpoint of PyTorch with torchvision's ResNet under any
      prefix, of google-research/simclr, or a .npz or .safetensors file with
      torchvision's names. No code in it is run.
    output: path of the SavedModel to write.
    prefix: prefix of the encoder's names, such as "teacher.backbone"; None
      chooses if the file has several encoders.
    stem_padding: padding of a 3x3 stem, px; None takes the project's, or 1.
    license: license of the weights for the model card, such as "apache-2.0".
    overwrite: whether `output` is replaced.

  Raises:
    UsageError: the file is not one of these, or `output` exists or cannot be
      written.
  """
  encoder, facts = weights_lib.read_encoder(
    os.fspath(weights), prefix=prefix, stem_padding=stem_padding
  )
  path = saved_model.export_encoder(
    encoder,
    None,
    os.fspath(output),
    provenance={"weights": facts},
    license=license,
    overwrite=overwrite,
  )
  return SavedEncoder(path, os.fspath(weights), facts)
