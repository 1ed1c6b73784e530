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
