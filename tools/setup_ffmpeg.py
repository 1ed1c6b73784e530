"""Fetches FFmpeg 4, with which tensorflow-io decodes videos.

Needed only for the reader "tfio", and only where the system has no FFmpeg 4
(libavcodec.so.58). pip downloads a wheel of 48 MB that carries it; 20 MB of it
are kept. Doing it again does nothing.
"""

import pathlib

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `ffmpeg4.set_up` and says where the libraries are."""
  from tf_ssl.video.decoding import ffmpeg4

  flags = invocation.flags
  folder = ffmpeg4.set_up(
    flags.output_dir and pathlib.Path(flags.output_dir),
    wheel=flags.wheel and pathlib.Path(flags.wheel),
  )
  ffmpeg4.load(folder)
  print(f"FFmpeg 4 is in {folder}")
  if folder.absolute() != ffmpeg4.default_folder().absolute():
    print(f"It is found there with TF_SSL_FFMPEG4={folder.absolute()}")


TOOL = cli.Tool("setup_ffmpeg", __doc__, main)
TOOL.text_flag(
  "output_dir", "Where to; by default $XDG_CACHE_HOME/tf_ssl/ffmpeg4."
)
TOOL.text_flag("wheel", "A copy of the wheel, where there is no network.")

if __name__ == "__main__":
  TOOL.run()
