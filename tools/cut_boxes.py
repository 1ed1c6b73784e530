"""Cuts objects out of their images: the object-centric twin of a dataset.

Every annotated box that is large enough becomes a picture, with some of what is
around it. With --subset_of instead of --annotations: copies a random part of a
dataset, as large as --match_to. Interrupted, the same command goes on.
"""

from . import cli


def main(invocation: cli.Invocation) -> None:
  """Chooses the pictures and runs `write_training_set.write`."""
  from tf_ssl import errors
  from tf_ssl.dataset_bias import training_sets, write_training_set
  from tf_ssl.datasets import open_annotations

  flags = invocation.flags
  if (flags.annotations is None) == (flags.subset_of is None):
    raise errors.UsageError(
      "expected either --annotations=... with --images=..., or --subset_of=..."
    )
  if flags.annotations is not None:
    chosen = training_sets.of_boxes(
      open_annotations.open_annotations(
        flags.annotations,
        flags.images,
        split=flags.split or "trainval",
        max_skipped_fraction=flags.max_skipped_fraction,
      ),
      min_size=flags.min_size,
      margin=flags.margin,
    )
  elif flags.match_to is None:
    raise errors.UsageError(
      "--subset_of needs --match_to=..., a dataset of the size to have or a "
      "number of pictures"
    )
  else:
    chosen = training_sets.of_images(flags.subset_of)
  if flags.match_to is not None:
    count = training_sets.size_of(flags.match_to)
    chosen = training_sets.random_part(chosen, count, seed=flags.seed)
  summary = write_training_set.write(
    chosen,
    flags.output_dir,
    form=flags.format or "folder",
    overwrite=flags.overwrite,
    max_skipped_fraction=flags.max_skipped_fraction,
    command=invocation.command,
    say=print,
  )
  for reason, count in summary["left_out"].items():
    print(f"left out, {count}: {reason}")
  skipped = summary["skipped"]
  for name, reason in list(skipped["reasons"].items())[:10]:
    print(f"skipped {name}: {reason}")
  print(
    f"{summary['pictures']} pictures, {skipped['count']} skipped: "
    f"{flags.output_dir}"
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
