"""Child processes that find our modules, end with us and explain a crash."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_SECONDS = 1.0


class ChildError(RuntimeError):
  """A child process gave no result."""


def environment(**changes: str) -> dict[str, str]:
  """Environment for a child Python that finds the same modules as this one.

  Args:
    **changes: values of variables to add or replace.
  """
  paths = [path or os.getcwd() for path in sys.path]
  return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **changes}


def start(
  command: Sequence[str],
  *,
  end_with_parent: bool = False,
  own_session: bool = False,
  **options,
) -> subprocess.Popen:
  """Starts a child process.

  Args:
    command: program and its arguments.
    end_with_parent: whether the child receives SIGTERM when the calling thread
      ends for any reason (Linux only). The parent must not have imported
      TensorFlow, because Python code runs between fork and exec. Elsewhere call
      `watch_parent` in the child, or give it a pipe as stdin and end on EOF.
    own_session: whether to keep Ctrl-C of the terminal from the child, for a
      parent that passes signals on itself.
    **options: further options of `subprocess.Popen`. `env` is by default
      `environment()` for this Python, and inherited for other programs.

  Raises:
    OSError: the program cannot be started.
  """
  if command[0] == sys.executable:
    options.setdefault("env", environment())
  if end_with_parent:
    options["preexec_fn"] = functools.partial(_end_with, os.getpid())
  return subprocess.Popen(command, start_new_session=own_session, **options)


def start_python(
  code: str, *arguments: str, python: str = sys.executable, **options
) -> subprocess.Popen:
  """Starts a fresh Python interpreter that runs `code`.

  Args:
    code: Python source.
    *arguments: strings that the code finds in `sys.argv[1:]`.
    python: path of the interpreter.
    **options: keyword arguments of `start`.
  """
  return start([python, "-c", code, *arguments], **options)


def output_of(
  code: str,
  *arguments: str,
  seconds: float,
  memory: int | None = None,
  **options,
) -> bytes:
  """Runs `code` in a fresh Python interpreter and returns what it prints.

  Isolates native code, which a damaged file may crash or hang.

  Args:
    code: Python source.
    *arguments: strings that the code finds in `sys.argv[1:]`.
    seconds: time that it may take.
    memory: largest address space in bytes; None for no limit.
    **options: keyword arguments of `start_python`.

  Raises:
    ChildError: it ended with an error or a signal, or took too long.
  """
  if memory is not None:
    code = (
      "import resource; "
      f"resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory})); {code}"
    )
  with start_python(
    code,
    *arguments,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    **options,
  ) as process:
    try:
      printed, complaints = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
      raise ChildError(f"no answer within {seconds:.0f} s") from None
    finally:
      process.kill()  # Has no effect on a process that has ended.
  if process.returncode:
    raise ChildError(
      f"{how_it_ended(process.returncode)}: {last_line(complaints)}"
    )
  return printed


@functools.cache  # One thread is enough.
def watch_parent(parent: int) -> None:
  """Ends this process about a second after its parent has died.

  It is for children that `start` did not start, such as the workers of a pool:
  joblib's would wait five minutes for more work. Nothing is flushed or closed.

  Args:
    parent: process id of the parent.
  """

  def watch() -> None:
    while os.getppid() == parent:  # The system gives an orphan a new parent.
      time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)

  threading.Thread(target=watch, name="watch_parent", daemon=True).start()


def stop(processes: Iterable[subprocess.Popen], *, seconds: float) -> None:
  """Ends processes: SIGTERM first, SIGKILL for those that keep running.

  Args:
    processes: children of this process, running or not.
    seconds: time for all of them together to react to SIGTERM.
  """
  processes = list(processes)
  for process in processes:
    if process.poll() is None:
      process.terminate()
  deadline = time.monotonic() + seconds
  for process in processes:
    try:
      process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()


def how_it_ended(code: int) -> str:
  """Describes a return code: "exit code 2" or "killed by SIGSEGV".

  Args:
    code: `Popen.returncode`, negative for a signal.
  """
  if code >= 0:
    return f"exit code {code}"
  try:
    return f"killed by {signal.Signals(-code).name}"
  except ValueError:
    return f"killed by signal {-code}"


def last_line(output: bytes, default: str = "it printed nothing") -> str:
  """The last line of a program's output that is not blank.

  Args:
    output: captured stdout or stderr. A carriage return ends a line, too, as
      in a progress bar.
    default: text for an output without such a line.
  """
  lines = output[-4096:].decode("utf-8", "replace").strip().splitlines()
  return lines[-1].strip() if lines else default


def _end_with(parent: int) -> None:
  if _LIBC is not None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # It died before the call above.
      os._exit(1)
