"""Measures how object-centric a dataset is and what cropping does to it.

Reads boxes (COCO JSON, VOC XML, Open Images CSV, a manifest); without
--annotations it estimates them and marks everything as an estimate. The crops
of a recipe are simulated over the boxes, and those of the croppers that know
objects; the report, one page that opens offline, recommends one of them with
the gin lines to paste.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `diagnose.diagnose_dataset`."""
  from tf_ssl.dataset_bias import crop_statistics, diagnose, diagnosis

  flags = invocation.flags
  found = diagnose.diagnose_dataset(
    flags.images,
    flags.annotations,
    flags.output_dir,
    settings=diagnosis.Settings(
      crop=diagnosis.crop_range(flags.area, flags.aspect),
      pairs=flags.pairs,
      shown=crop_statistics.Shown(flags.min_inside, flags.min_filled),
      seed=flags.seed,
      view_size=flags.view_size,
    ),
    split=flags.split or "trainval",
    encoder=flags.encoder,
    endpoint=flags.endpoint or "C4",
    max_images=None if flags.max_images < 0 else flags.max_images,
    max_skipped_fraction=flags.max_skipped_fraction,
    command=invocation.command,
    say=print,
  )
  print(f"report: {found.page}")


TOOL = cli.Tool("diagnose_dataset", __doc__, main, required=["output_dir"])
TOOL.text_flag(
  "images", "Folder of the images; without --annotations, any image source."
)
TOOL.text_flag(
  "annotations",
  "COCO FILE.json, a folder of VOC XML files, a folder in VOC's layout, Open "
  "Images' FILE.csv of boxes, or a manifest FILE.csv: "
  "path[,label],xmin,ymin,xmax,ymax.",
)
TOOL.text_flag("output_dir", "Folder to write, such as diagnosed/a.")
TOOL.text_flag("split", "Split in VOC's layout: trainval (default), test ...")
TOOL.text_flag(
  "area", "MIN,MAX area of the recipe's crops; default 0.2,1 (MoCo)."
)
TOOL.text_flag("aspect", "MIN,MAX width / height; default 0.75,1.3333.")
TOOL.number_flag("view_size", 224, "Side of a training view, pixels.")
TOOL.number_flag("pairs", 64, "Pairs of views drawn from each image.")
TOOL.number_flag(
  "min_inside", 0.5, "A view shows an object with this share of its box ..."
)
TOOL.number_flag(
  "min_filled", 0.5, "... or if the box fills this share of it; above 1: never."
)
TOOL.number_flag(
  "max_images", -1, "Size of a random subset; 0: all images; -1: all, or 500."
)
TOOL.number_flag(
  "max_skipped_fraction", 0.05, "Largest share of unusable images, and boxes."
)
TOOL.number_flag("seed", 0, "Seed of the crops and of the random subset.")
TOOL.text_flag("encoder", "SavedModel that groups estimated objects by looks.")
TOOL.text_flag("endpoint", "The encoder's map: C4 (default) or C5.")

if __name__ == "__main__":
  TOOL.run()
