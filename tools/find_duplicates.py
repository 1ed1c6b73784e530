"""Finds near-duplicate images in a folder, or between two folders.

Compares perceptual hashes, also of mirrored images, and confirms them by
gradients at 16 x 16 pixels, or by the features of --model. Writes
duplicates.csv and a page with pictures of the least certain pairs.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `find.find_duplicates`."""
  from tf_ssl.evaluation.duplicates import find
  from tf_ssl.models import load

  from ._cli import gin_runs

  flags = invocation.flags
  model = flags.model and load.load_model(
    flags.model,
    check_preprocessing=True,
    torch_python=flags.torch_python,
    restore_run=gin_runs.restore_encoder,
  )
  found = find.find_duplicates(
    flags.images,
    flags.output_dir,
    other=flags.other,
    distance=flags.distance,
    model=model,
    image_size=flags.image_size,
    command=invocation.command,
    say=print,
  )
  print(f"report: {found.page}")


TOOL = cli.Tool(
  "find_duplicates", __doc__, main, required=["images", "output_dir"]
)
TOOL.text_flag("images", "Image source: a folder, a manifest, TFRecords ...")
TOOL.text_flag("other", "Second image source, such as a test set.")
TOOL.text_flag("output_dir", "Folder to write, such as duplicates/photos.")
TOOL.number_flag("distance", 12, "Largest Hamming distance of the hashes.")
TOOL.model_flag(repeated=False)
TOOL.number_flag("image_size", 224, "Side of the images for --model, pixels.")

if __name__ == "__main__":
  TOOL.run()
