"""Exceptions that the command line reports without a traceback."""


class UsageError(ValueError):
  """A setting, file or folder cannot be used, and the user can fix it.

  The message is one line: what was given, what was expected, which argument to
  change. The command line prints it without a traceback and exits with code 2;
  every other exception is a defect and keeps its traceback.
  """


class WorkerLostError(RuntimeError):
  """Another process of a distributed run has died.

  The same command resumes from the last checkpoint. The command line prints the
  message and exits with code 75 (EX_TEMPFAIL), on which `tools.launch` or a
  cluster's scheduler starts it again.
  """

  exit_code = 75


def require(condition: object, message: str) -> None:
  """Raises UsageError unless `condition` is true.

  Args:
    condition: whether the input can be used.
    message: one line: what was given, what was expected, what to change.

  Raises:
    UsageError: `condition` is false.
  """
  if not condition:
    raise UsageError(message)
