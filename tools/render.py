"""Renders images, scenes, videos or invariance sets with ground truth.

No download is needed. objects: one object per image, in class folders. scenes:
several objects per image, with boxes (COCO's JSON) and masks. videos: several
moving objects, with true tracks as TFRecords. sets: invariance sets for six
invariances, for SETS_DIR of tools.measure_invariance.
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
    changing_background=flags.changing_background,
  )
  print(f"rendered: {flags.output_dir}")


TOOL = cli.Tool("render", __doc__, main, required=["what", "output_dir"])
TOOL.text_flag("what", "objects, scenes, videos or sets.")
TOOL.text_flag("output_dir", "Folder to write, such as rendered/a.")
TOOL.text_flag(
  "split", "train (the default), labeled or held_out; they share no instance."
)
TOOL.number_flag("number", 100, "Number of images, scenes, videos or sets.")
TOOL.number_flag("image_size", 96, "Height and width, pixels.")
TOOL.number_flag("frames", 16, "Number of frames per video.")
TOOL.number_flag("fps", 8.0, "Frame rate of videos, frames per second.")
TOOL.number_flag("images_per_set", 24, "Images per set; 8 for occlusion.")
TOOL.number_flag("seed", 0, "Seed of the rendered world.")
TOOL.number_flag("variety", 1.0, "Range of views and lights, 0 to 1.")
TOOL.switch("black_background", "Renders sets on a black background.")
TOOL.switch(
  "changing_background", "Renders each image of a set on another background."
)
TOOL.exclusive(
  "black_background", "changing_background", reason="choose the background"
)

if __name__ == "__main__":
  TOOL.run()
