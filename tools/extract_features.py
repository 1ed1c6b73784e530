"""Writes the features that models give for images: .npz, or maps of memory.

With the images' names, labels and boxes; read with NumPy alone. Several models
share one pass over the images. Interrupted or killed, the same command goes on.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Loads the models, finds the images, and runs `feature_files.write`."""
  from tf_ssl.features import feature_files
  from tf_ssl.models import load

  from ._cli import gin_runs

  flags = invocation.flags
  records, unlabeled = feature_files.open_source(
    flags.images, require_labels=flags.require_labels
  )
  if unlabeled:
    print(f"not every image has a label: {unlabeled}")
  models = load.load_models(
    flags.model,
    layer=flags.layer,
    preprocessing=flags.preprocessing,
    restore_run=gin_runs.restore_encoder,
  )
  for model in models:
    print(model.description.text())
  written = feature_files.write(
    models,
    records,
    flags.output,
    image_size=flags.image_size,
    framing=flags.framing or "middle",
    batch_size=flags.batch_size,
    max_skipped_fraction=flags.max_skipped_fraction,
    overwrite=flags.overwrite,
    command=invocation.command,
  )
  for name, reason in written.skipped.items():
    print(f"skipped {name}: {reason}")
  shapes = [
    f"{k} [{written.num_images}, {v}]" for k, v in written.widths.items()
  ]
  print(
    f"{written.path}: {', '.join(shapes)} of {records.num_images} images, "
    f"{len(written.skipped)} skipped"
  )


TOOL = cli.Tool(
  "extract_features", __doc__, main, required=["model", "images", "output"]
)
TOOL.repeated_flag(
  "model",
  "NAME=PATH of a model; may be repeated. A SavedModel's folder, a .keras, .h5 "
  "or .onnx file, a run of tools.train, keras.applications:ResNet50, "
  "random:resnet50 (untrained) or pixels.",
)
TOOL.text_flag(
  "images",
  "A folder (of class folders, for labels), a manifest FILE.csv "
  "(path[,label][,xmin,ymin,xmax,ymax]), TFRecords, or tfds:NAME[:SPLIT].",
)
TOOL.text_flag("output", "FILE.npz, or a folder of .npy files to be mapped.")
TOOL.repeated_flag("layer", "What to read, LAYER or NAME=LAYER for one model.")
TOOL.repeated_flag(
  "preprocessing",
  "VALUE, or NAME=VALUE for one model: 0..255, 0..1, -1..1, imagenet, caffe.",
)
TOOL.number_flag("image_size", 224, "Pixels a side; 224 by default.")
TOOL.text_flag(
  "framing",
  "middle (the default): short side to image_size * 256 / 224, the middle cut "
  "out; whole: the whole image, resized to a square.",
)
TOOL.number_flag("batch_size", 64, "Images at once; 64 by default.")
TOOL.number_flag(
  "max_skipped_fraction", 0.05, "Of images that cannot be read, to go on; 0.05."
)
TOOL.switch("require_labels", "Stops where an image has no label.")
TOOL.switch("overwrite", "Replaces features of something else at --output.")

if __name__ == "__main__":
  TOOL.run()
