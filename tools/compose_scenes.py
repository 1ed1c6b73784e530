"""Composes scenes of the objects of photos, with known boxes.

Objects are cut out of annotated photos and placed on parts of other photos at
random scales and positions. With --min_objects=1 --max_objects=1 it makes
object-centric images in the same way, so that both sets differ in their
composition alone; tools.cut_boxes cuts the boxes out of the scenes. An
interrupted command can be repeated.
"""

from ._cli import cli

_COMPOSITION = (
  "image_size min_objects max_objects min_scale max_scale max_overlap seed"
)


def main(invocation: cli.Invocation) -> None:
  """Runs `compose.compose`."""
  from tf_ssl.dataset_bias.training_sets import compose, mosaics

  flags = invocation.flags
  compose.compose(
    flags.annotations,
    flags.images,
    flags.output_dir,
    number=flags.number,
    composition=mosaics.Composition(
      **{name: flags[name].value for name in _COMPOSITION.split()}
    ),
    backgrounds=flags.backgrounds,
    split=flags.split or "trainval",
    min_size=flags.min_size,
    margin=flags.margin,
    max_skipped_fraction=flags.max_skipped_fraction,
    overwrite=flags.overwrite,
    command=invocation.command,
    say=print,
  )


TOOL = cli.Tool(
  "compose_scenes", __doc__, main, required=["annotations", "output_dir"]
)
TOOL.text_flag("annotations", "Boxes, in any form of tools.diagnose_dataset.")
TOOL.text_flag("images", "Folder of the annotated photos.")
TOOL.text_flag(
  "backgrounds",
  "Image source of the backgrounds; by default parts of the annotated photos "
  "beside their boxes.",
)
TOOL.text_flag("output_dir", "Folder to write, such as composed/a.")
TOOL.text_flag("split", "Split in VOC's layout: trainval (default), test ...")
TOOL.number_flag("number", 1000, "Number of scenes.")
TOOL.number_flag("image_size", 160, "Height and width of a scene, pixels.")
TOOL.number_flag("min_objects", 2, "Smallest number of objects in a scene.")
TOOL.number_flag("max_objects", 6, "Largest number of objects in a scene.")
TOOL.number_flag(
  "min_scale", 0.2, "Smallest longer side of a box, as a share of the scene."
)
TOOL.number_flag(
  "max_scale", 0.5, "Largest longer side of a box, as a share of the scene."
)
TOOL.number_flag(
  "max_overlap", 0.1, "Largest part of a box that another one covers."
)
TOOL.number_flag("min_size", 32, "Smallest shorter side of a box in a photo.")
TOOL.number_flag("margin", 0.1, "Margin around a box, as a share of its side.")
TOOL.number_flag(
  "max_skipped_fraction", 0.05, "Largest share of unusable photos."
)
TOOL.number_flag("seed", 0, "Seed of the scenes.")
TOOL.switch("overwrite", "Replaces anything at output_dir.")

if __name__ == "__main__":
  TOOL.run()
