"""Standard streams that take any text, and a quiet end when nobody reads."""

import codecs
import contextlib
import errno
import os
import select
import sys
from collections.abc import Iterator

from absl import logging

from tf_ssl.ops import names

EXIT_CODE = 128 + 13  # Of a program that SIGPIPE has ended.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_ESCAPE = "tf_ssl_escape"  # Name of the handler for characters without bytes.


@contextlib.contextmanager
def prepared(program: str) -> Iterator[None]:
  """Keeps standard streams usable in the body.

  A stream that the caller closed discards what is written. Characters that a
  stream cannot encode are escaped. If the reader of standard output or of
  standard error has left, as in `| head`, the process ends without a word; if
  standard output is on a full disk, with one line and exit code 2.

  Args:
    program: name of the program, for that line.
  """
  _open_closed()
  codecs.register_error(_ESCAPE, _escaped)
  for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, "reconfigure"):  # A test may have replaced it.
      stream.reconfigure(errors=_ESCAPE)
  try:
    try:
      yield
    except SystemExit:
      sys.stdout.flush()  # At the end of the process, an error is printed.
      raise
    sys.stdout.flush()
  except Exception as error:
    left, full = reader_left(error), _is_full(error)
    if not left and not full:
      raise
    _discard()
    if left:
      sys.exit(EXIT_CODE)
    print(
      f"{program}: cannot write to standard output: {error.strerror}; free some"
      " space, or send it elsewhere",
      file=sys.stderr,
    )
    sys.exit(2)


def reader_left(error: BaseException | None) -> bool:
  """Whether an error came about because nobody reads the output any more."""
  broken = False
  while error is not None:
    broken |= getattr(error, "errno", None) == errno.EPIPE
    error = error.__cause__ or error.__context__
  return broken and any(map(_has_no_reader, (1, 2)))


def _open_closed() -> None:
  """Opens the null device for each standard stream that is closed.

  Otherwise the next file that is opened gets the stream's number, and messages
  would be written into it.
  """
  for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
    try:
      os.fstat(descriptor)
    except OSError:
      opened = os.open(os.devnull, os.O_RDWR)
      if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
      os.set_inheritable(descriptor, True)
    if getattr(sys, name) is None:
      mode = "r" if name == "stdin" else "w"
      setattr(sys, name, open(descriptor, mode, closefd=False))
  handler = logging.get_absl_handler().python_handler
  if handler.stream is None:
    handler.stream = sys.stderr  # `setStream` would flush the missing one.


def _escaped(error: UnicodeError) -> tuple[str, int]:
  if not isinstance(error, UnicodeEncodeError):
    raise error
  text = names.escaped(error.object[error.start : error.end])
  encoded = text.encode(error.encoding, "backslashreplace")
  return encoded.decode(error.encoding), error.end


def _has_no_reader(descriptor: int) -> bool:
  poll = select.poll()
  poll.register(descriptor, 0)
  return any(event & select.POLLERR for _, event in poll.poll(0))


def _is_full(error: Exception) -> bool:
  """Whether an error came about because standard output takes no more."""
  if not isinstance(error, OSError) or error.errno not in _FULL:
    return False
  try:
    os.write(1, b"\n")
  except OSError as again:
    return again.errno == error.errno
  return False


def _discard() -> None:
  """Lets the end of the process flush streams that take no more."""
  null = os.open(os.devnull, os.O_WRONLY)
  for descriptor in (1, 2):
    if descriptor == 1 or _has_no_reader(descriptor):
      os.dup2(null, descriptor)
  os.close(null)
