"""Renders pictures, scenes or videos with true labels: data without a download.

objects: class folders of single objects. scenes: several objects each, with
boxes (COCO's JSON) and masks. videos: and their true tracks, as TFRecords.
sets: in which one thing changes, for six invariances (SETS_DIR).
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `rendered_files.write`."""
  from tf_ssl.input_pipeline import rendered_files

  flags = invocation.flags
  rendered_files.write(
    flags.what,
    flags.output_dir,
    split=flags.split or "train",
    number=flags.number,
    image_size=flags.image_size,
    frames=flags.frames,
    fps=flags.fps,
    images_per_set=flags.images_per_set,
    seed=flags.seed,
    variety=flags.variety,
    black_background=flags.black_background,
  )
  print(f"rendered: {flags.output_dir}")


TOOL = cli.Tool("render", __doc__, main, required=["what", "output_dir"])
TOOL.text_flag("what", "objects, scenes, videos or sets.")
TOOL.text_flag("output_dir", "The folder to write, such as rendered/a.")
TOOL.text_flag("split", "train (the default), labeled, held_out: instances.")
TOOL.number_flag("number", 100, "Of pictures, scenes, videos, sets.")
TOOL.number_flag("image_size", 96, "Pixels a side.")
TOOL.number_flag("frames", 16, "Of a video.")
TOOL.number_flag("fps", 8.0, "Frames a second of a video.")
TOOL.number_flag("images_per_set", 24, "8 at most for occlusion.")
TOOL.number_flag("seed", 0, "Of the world.")
TOOL.number_flag("variety", 1.0, "Of objects' views and lights, 0 to 1.")
TOOL.switch("black_background", "Of sets: nothing behind the object.")

if __name__ == "__main__":
  TOOL.run()
