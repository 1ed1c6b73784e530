"""Extracts features of images with one or more models.

Writes an .npz file or a folder of .npy files, which NumPy reads, with the
images' names, labels and boxes. Several models share one pass over the images.
After an interruption or a kill, the same command resumes.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Loads the models and writes their features for all images."""
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
    check_preprocessing=True,
    torch_python=flags.torch_python,
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
TOOL.model_flag(repeated=True)
TOOL.text_flag(
  "images",
  "A folder (class folders give labels), a manifest FILE.csv "
  "(path[,label][,xmin,ymin,xmax,ymax]), TFRecords, or tfds:NAME[:SPLIT].",
)
TOOL.text_flag(
  "output", "FILE.npz, or a folder of .npy files that can be memory-mapped."
)
TOOL.repeated_flag(
  "layer", "LAYER to read, or several: C4,C5; NAME=LAYER for one model."
)
TOOL.repeated_flag(
  "preprocessing",
  "VALUE, or NAME=VALUE for one model: 0..255, 0..1, -1..1, imagenet, caffe or "
  "(x-127)/128.",
)
TOOL.number_flag(
  "image_size", 224, "Side of the images in pixels; default 224."
)
TOOL.text_flag(
  "framing",
  "middle (default): resize the shorter side to image_size * 256 / 224 and "
  "crop the center; whole: resize the full image to a square.",
)
TOOL.number_flag("batch_size", 64, "Images per batch; default 64.")
TOOL.number_flag(
  "max_skipped_fraction",
  0.05,
  "Fraction of unreadable images above which the command fails; default 0.05.",
)
TOOL.switch("require_labels", "Fails if an image has no label.")
TOOL.switch(
  "overwrite",
  "Replaces features at --output that were made from something else.",
)

if __name__ == "__main__":
  TOOL.run()
