"""What tells a video from others, and from itself after it has changed."""

import hashlib
import json
import os

from tf_ssl.video.source import videos


def identity(video: videos.Video) -> str:
  """Changes with the video's place, its part that counts, and its content.

  Returns:
    24 hexadecimal digits, of the path, start, end, frames a second, size and
    time of modification; the file itself is not read.

  Raises:
    OSError: the file is not there.
  """
  stat = os.stat(videos.split_archive(video.path)[0])
  return digest(
    json.dumps(
      [
        os.path.abspath(video.path),
        video.start,
        video.end,
        video.folder_fps,
        stat.st_size,
        stat.st_mtime_ns,
      ]
    )
  )


def digest(text: str) -> str:
  """24 hexadecimal digits of a text."""
  return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]
