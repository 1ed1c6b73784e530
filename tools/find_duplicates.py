"""Finds near-duplicate images in a folder, or between two folders.

Compares perceptual hashes and confirms them at 16 x 16 pixels. Writes
duplicates.csv and a page with pictures of the least certain pairs.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `find.find_duplicates`."""
  from tf_ssl.evaluation.duplicates import find

  flags = invocation.flags
  found = find.find_duplicates(
    flags.images,
    flags.output_dir,
    other=flags.other,
    distance=flags.distance,
    command=invocation.command,
    say=print,
  )
  print(f"report: {found.page}")


TOOL = cli.Tool(
  "find_duplicates", __doc__, main, required=["images", "output_dir"]
)
TOOL.text_flag("images", "Image source: a folder, a manifest, TFRecords ...")
TOOL.text_flag("other", "Second image source, such as a test set.")
TOOL.text_flag("output_dir", "Folder to write, such as duplicates/photos.")
TOOL.number_flag("distance", 8, "Largest Hamming distance of the hashes.")

if __name__ == "__main__":
  TOOL.run()
