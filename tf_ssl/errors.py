"""The one exception that means: the person at the keyboard can mend this."""


class UsageError(ValueError):
  """Bad input: a setting, a file or a folder that cannot be used as given.

  The message is one line that says what was given, what was expected and which
  argument to change. The command line prints it without a traceback and exits
  with code 2; every other exception is a defect and keeps its traceback.
  """


class WorkerLostError(RuntimeError):
  """Another process of the run is gone.

  The same command goes on from the last checkpoint. The command line prints
  the message and exits with code 75 (EX_TEMPFAIL), on which `tools.launch` or a
  cluster's scheduler, starts it again.
  """

  exit_code = 75


def require(condition: object, message: str) -> None:
  """Raises UsageError with `message` unless `condition` is true.

  Args:
    condition: whether the input can be used.
    message: one line: what was given, what was expected, what to change.

  Raises:
    UsageError: `condition` is false.
  """
  if not condition:
    raise UsageError(message)
