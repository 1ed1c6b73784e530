"""The one exception that means: the person at the keyboard can mend this."""


class UsageError(ValueError):
  """Bad input: a setting, a file or a folder that cannot be used as given.

  The message is one line that says what was given, what was expected and which
  argument to change. The command line prints it without a traceback and exits
  with code 2; every other exception is a defect and keeps its traceback.
  """
