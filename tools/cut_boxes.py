"""Cuts objects out of images: the object-centric counterpart of a dataset.

Every annotated box that is large enough becomes a picture, with a margin around
it. With --subset_of instead of --annotations, copies a random subset of a
dataset, of the size of --match_to. An interrupted command can be repeated.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Chooses the pictures and runs `write.write`."""
  from tf_ssl.dataset_bias.training_sets import training_sets, write

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
TOOL.text_flag("annotations", "Boxes, in any form of tools.diagnose_dataset.")
TOOL.text_flag("images", "Folder of the annotated images.")
TOOL.text_flag("subset_of", "Image source to copy a random subset of.")
TOOL.text_flag("match_to", "Size of the set: a number, or an image source.")
TOOL.text_flag("output_dir", "Folder to write, such as boxes/coco.")
TOOL.text_flag("format", "folder (of classes, default) or tfrecord.")
TOOL.text_flag("split", "Split in VOC's layout: trainval (default), test ...")
TOOL.number_flag("min_size", 32, "Smallest shorter side of a box in pixels.")
TOOL.number_flag("margin", 0.1, "Margin around a box, as a share of its side.")
TOOL.number_flag(
  "max_skipped_fraction", 0.05, "Largest share of unusable images, and boxes."
)
TOOL.number_flag("seed", 0, "Seed of the random subset.")
TOOL.switch("overwrite", "Replaces anything at output_dir.")

if __name__ == "__main__":
  TOOL.run()
