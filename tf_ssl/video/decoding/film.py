"""Opens video files with PyAV: accepted formats, limits, the film's stream."""

import os

import av

from tf_ssl.video.decoding import frames
from tf_ssl.video.source import videos

# Accepted formats, whatever the file name. Playlists are excluded, since they
# make FFmpeg open other files and URLs, and so are formats that match any text.
_FORMATS = (
  "3g2,3gp,asf,avi,dv,flv,gif,h264,hevc,ivf,m4a,m4v,matroska,mj2,mjpeg,mov,mp4,"
  "mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,webm,wtv"
)
# Size limit of a frame, 8192 x 8192 px: a header may claim any size.
MAX_PIXELS = 2**26
LIMITS = {"max_pixels": str(MAX_PIXELS)}
_LARGE = 2**24  # Frames of more pixels are decoded by one thread.
# Codecs of cover pictures.
_STILL = {"bmp", "gif", "mjpeg", "png", "tiff", "webp"}


def open_film(
  video: videos.Video, *, num_threads: int = 0
) -> tuple[av.container.InputContainer, av.video.stream.VideoStream]:
  """Opens a video file at its start.

  Args:
    video: video file.
    num_threads: number of threads of the codec; 0 for one per core.

  Returns:
    The file, which the caller closes, and its stream, ready to decode.

  Raises:
    DecodeError: the file is empty or not a video, or its frames are larger than
      `MAX_PIXELS`; none has been allocated.
  """
  path = os.path.abspath(video.path)
  container = None
  try:
    if not os.path.getsize(path):
      raise frames.DecodeError(video.name, "empty file")
    container = av.open(
      path,
      options=LIMITS,
      container_options={"format_whitelist": _FORMATS},
      metadata_errors="replace",  # A title may be in any encoding.
    )
    stream = _stream_of_film(video.name, container)
    context = stream.codec_context
    is_large = context.width * context.height > _LARGE
    # Threads that share a frame hide damage, which they patch, in MPEG-2.
    stream.thread_type = "FRAME"
    context.thread_count = 1 if is_large else num_threads
    context.options = LIMITS
    return container, stream
  except Exception as error:  # The file may hold anything.
    if container is not None:
      container.close()
    if isinstance(error, frames.DecodeError):
      raise
    raise frames.DecodeError(
      video.name, f"cannot be opened as a video ({frames.why(error)})"
    ) from error


def _stream_of_film(name, container):
  """Returns the first stream that is no cover picture, else the first."""
  streams = [
    stream
    for stream in container.streams.video
    if not stream.disposition & av.stream.Disposition.attached_pic
  ]
  if not streams or streams[0].codec_context is None:
    raise frames.DecodeError(name, "no video stream that can be decoded")
  moving = (
    stream
    for stream in streams
    if stream.codec_context and stream.codec_context.name not in _STILL
  )
  found = next(moving, streams[0])
  width, height = found.codec_context.width, found.codec_context.height
  if width * height > MAX_PIXELS:
    raise frames.DecodeError(
      name,
      f"its frames are {width}x{height} px; expected at most {MAX_PIXELS} px",
    )
  return found
