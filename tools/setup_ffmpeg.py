"""Installs FFmpeg 4, which tensorflow-io needs to decode videos.

It is needed only for the reader "tfio", on systems without FFmpeg 4
(libavcodec.so.58). pip downloads a wheel of 48 MB that contains it; 20 MB are
kept. A second call does nothing.
"""

import pathlib

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `ffmpeg4.set_up` and prints the folder of the libraries."""
  from tf_ssl.video.decoding import ffmpeg4

  flags = invocation.flags
  folder = ffmpeg4.set_up(
    flags.output_dir and pathlib.Path(flags.output_dir),
    wheel=flags.wheel and pathlib.Path(flags.wheel),
  )
  ffmpeg4.load(folder)
  print(f"FFmpeg 4 is in {folder}")
  if folder.absolute() != ffmpeg4.default_folder().absolute():
    print(f"To use it, set TF_SSL_FFMPEG4={folder.absolute()}")


TOOL = cli.Tool("setup_ffmpeg", __doc__, main)
TOOL.text_flag(
  "output_dir", "Folder to write; default: $XDG_CACHE_HOME/tf_ssl/ffmpeg4."
)
TOOL.text_flag("wheel", "Copy of the wheel, for machines without a network.")

if __name__ == "__main__":
  TOOL.run()
