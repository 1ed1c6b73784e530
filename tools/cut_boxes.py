"""Cuts objects out of their images: the object-centric twin of a dataset.

Every annotated box that is large enough becomes a picture, with some of what is
around it. With --subset_of instead of --annotations: copies a random part of a
dataset, as large as --match_to. Interrupted, the same command goes on.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Chooses the pictures and runs `write.write`."""
  from tf_ssl.dataset_bias.training_sets import (
    training_sets,
    write,
  )

  flags = invocation.flags
  chosen = training_sets.choose(
    flags.annotations,
    flags.images,
    flags.subset_of,
    flags.match_to,
    split=flags.split or "trainval",
    min_size=flags.min_size,
    margin=flags.margin,
    seed=flags.seed,
    max_skipped_fraction=flags.max_skipped_fraction,
  )
  write.write(
    chosen,
    flags.output_dir,
    form=flags.format or "folder",
    overwrite=flags.overwrite,
    max_skipped_fraction=flags.max_skipped_fraction,
    command=invocation.command,
    say=print,
  )


TOOL = cli.Tool("cut_boxes", __doc__, main, required=["output_dir"])
TOOL.text_flag("annotations", "Boxes, as tools.diagnose_dataset takes them.")
TOOL.text_flag("images", "The folder of the annotated images.")
TOOL.text_flag("subset_of", "An image source of which to copy a random part.")
TOOL.text_flag("match_to", "How many pictures: a number, or an image source.")
TOOL.text_flag("output_dir", "The folder to write, such as boxes/coco.")
TOOL.text_flag("format", "folder (of classes, the default) or tfrecord.")
TOOL.text_flag("split", "Of VOC's layout: trainval (the default), test ...")
TOOL.number_flag("min_size", 32, "Pixels of a box's shorter side, at least.")
TOOL.number_flag("margin", 0.1, "Cut out around a box, as a part of its side.")
TOOL.number_flag("max_skipped_fraction", 0.05, "Of images, boxes, pictures.")
TOOL.number_flag("seed", 0, "Of a random part.")
TOOL.switch("overwrite", "Replaces whatever is at output_dir.")

if __name__ == "__main__":
  TOOL.run()
