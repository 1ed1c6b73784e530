"""Finds objects in images that nobody has annotated, for croppers.

Writes boxes.csv, with paths relative to the folder of the images. Training
configs read it as BOXES, tools.diagnose_dataset as --annotations. The boxes are
a coarse estimate. An interrupted command can be repeated.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `find_objects.find_objects`."""
  from tf_ssl.dataset_bias import find_objects

  flags = invocation.flags
  found = find_objects.find_objects(
    flags.images,
    flags.output_dir,
    max_boxes=flags.max_boxes,
    max_skipped_fraction=flags.max_skipped_fraction,
    say=print,
  )
  print(
    f"{found.path}: {found.boxes} boxes in {found.images} images, of which"
    f" {found.without} have none"
  )


TOOL = cli.Tool(
  "find_objects", __doc__, main, required=["images", "output_dir"]
)
TOOL.text_flag("images", "Folder of the images, or a manifest.")
TOOL.text_flag("output_dir", "Folder to write, such as objects/photos.")
TOOL.number_flag("max_boxes", 5, "Largest number of boxes of an image.")
TOOL.number_flag(
  "max_skipped_fraction", 0.05, "Largest share of unreadable images."
)

if __name__ == "__main__":
  TOOL.run()
