"""Ends the command of a benchmark as the tools end theirs."""

import sys
from collections.abc import Callable

from tf_ssl import errors


def run(name: str, main: Callable[[], None]) -> None:
  """Runs `main`; exits with 2 and one line where it cannot.

  Args:
    name: name of the benchmark, which opens the line.
    main: the command; exits with 130 where Ctrl-C stops it, after which the
      same command may resume.
  """
  try:
    main()
  except errors.UsageError as error:
    print(f"{name}: {error}", file=sys.stderr)
    sys.exit(2)
  except KeyboardInterrupt:
    sys.exit(130)
