"""Tells how object-centric a dataset is, and what cropping does to it.

From boxes (COCO's JSON, VOC's XML, a manifest), or without --annotations from
guesses, which are marked as an estimate. Crops are those of a recipe, simulated
over the boxes; the report is one page that opens offline.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `diagnose.diagnose_dataset`."""
  from tf_ssl.dataset_bias import diagnose, diagnosis, view_contents

  flags = invocation.flags
  path = diagnose.diagnose_dataset(
    flags.images,
    flags.annotations,
    flags.output_dir,
    settings=diagnosis.Settings(
      crop=diagnosis.crop_range(flags.area, flags.aspect),
      pairs=flags.pairs,
      shown=view_contents.Shown(flags.min_inside, flags.min_filled),
      seed=flags.seed,
    ),
    split=flags.split or "trainval",
    encoder=flags.encoder,
    endpoint=flags.endpoint or "C4",
    max_images=None if flags.max_images < 0 else flags.max_images,
    max_skipped_fraction=flags.max_skipped_fraction,
    command=invocation.command,
    say=print,
  )
  print(f"report: {path}")


TOOL = cli.Tool("diagnose_dataset", __doc__, main, required=["output_dir"])
TOOL.text_flag("images", "The folder of the images; alone: any image source.")
TOOL.text_flag(
  "annotations",
  "COCO's FILE.json, a folder of VOC's XML, a folder in VOC's layout, or a "
  "manifest FILE.csv: path[,label],xmin,ymin,xmax,ymax.",
)
TOOL.text_flag("output_dir", "The folder to write, such as diagnosed/a.")
TOOL.text_flag("split", "Of VOC's layout: trainval (the default), test ...")
TOOL.text_flag(
  "area", "Of the recipe's crops, MIN,MAX; 0.2,1 (MoCo) if not given."
)
TOOL.text_flag("aspect", "Their width / height, MIN,MAX; 0.75,1.3333.")
TOOL.number_flag("pairs", 64, "Of views, drawn of each image.")
TOOL.number_flag("min_inside", 0.5, "Part of a box in a view that shows it ...")
TOOL.number_flag("min_filled", 0.5, "... or part of the view; above 1: never.")
TOOL.number_flag("max_images", -1, "Looks at a random part; 0: at all images.")
TOOL.number_flag("max_skipped_fraction", 0.05, "Of images, and of boxes.")
TOOL.number_flag("seed", 0, "Of the crops and the random part.")
TOOL.text_flag("encoder", "A SavedModel that groups guessed objects by looks.")
TOOL.text_flag("endpoint", "Its map that is used: C4 (the default) or C5.")

if __name__ == "__main__":
  TOOL.run()
