"""Draws masks of annotated objects, for a change of background.

Reads COCO's polygons and RLE and writes one PNG for each image with objects:
255 inside any object, 0 elsewhere. Training reads the folder as MASKS
(gin_configs/base/background_change.gin). An interrupted command can be
repeated.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `coco_masks.write` and prints what has no mask."""
  from tf_ssl.datasets.masks import coco_masks
  from tf_ssl.ops import names

  flags = invocation.flags
  written = coco_masks.write(
    flags.annotations,
    flags.images,
    flags.output_dir,
    overwrite=flags.overwrite,
  )
  for reason, skipped in written.skipped.items():
    first = names.escaped(skipped[0])
    print(f"skipped {len(skipped)}: {reason}, such as {first}")
  if written.without_outline:
    print(
      f"{written.without_outline} images have objects, but no outline that can"
      " be drawn: their background stays"
    )
  if written.without_objects:
    print(
      f"{written.without_objects} images have no object: their background stays"
    )
  print(
    f"{written.path}: {written.masks} masks, of which {written.resumed} were"
    " there before"
  )


TOOL = cli.Tool(
  "draw_masks",
  __doc__,
  main,
  required=["annotations", "images", "output_dir"],
)
TOOL.text_flag("annotations", "COCO's FILE.json with polygons or RLE.")
TOOL.text_flag("images", "Folder of the annotated images.")
TOOL.text_flag("output_dir", "Folder to write, such as masks/train2017.")
TOOL.switch("overwrite", "Replaces masks of other annotations.")

if __name__ == "__main__":
  TOOL.run()
