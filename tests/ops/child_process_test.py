"""Child processes: environment, end, description of a crash."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tf_ssl.ops import child_process


def _wait_for(condition, *arguments):
  deadline = time.monotonic() + 60
  while not condition(*arguments):
    assert time.monotonic() < deadline, "nothing happened within a minute"
    time.sleep(0.02)


def _has_ended(process_id):
  try:
    with open(f"/proc/{process_id}/stat", encoding="utf-8") as file:
      return file.read().rsplit(")", 1)[1].split()[0] == "Z"
  except FileNotFoundError:
    return True


def test_a_child_imports_the_modules_of_its_parent(tmp_path, monkeypatch):
  (tmp_path / "some_module.py").write_text("VALUE = 7")
  monkeypatch.syspath_prepend(tmp_path)
  code = "import some_module, sys; print(some_module.VALUE, sys.argv[1])"
  child = child_process.start_python(code, "a b", stdout=subprocess.PIPE)
  assert child.communicate(timeout=60)[0] == b"7 a b\n"


def test_the_output_of_a_child_is_returned():
  code = "import sys; print(sys.argv[1:])"
  assert child_process.output_of(code, "a b", "c", seconds=60) == (
    b"['a b', 'c']\n"
  )


@pytest.mark.parametrize(
  ("code", "seconds", "message"),
  [
    ("import os; os.abort()", 60, "SIGABRT"),
    ("raise ValueError('why')", 60, "exit code 1: ValueError: why"),
    ("import time; time.sleep(60)", 1, "no answer within 1 s"),
    ("bytearray(2**33)", 60, "MemoryError"),
  ],
)
def test_a_child_without_a_result_is_explained(code, seconds, message):
  with pytest.raises(child_process.ChildError, match=message):
    child_process.output_of(code, seconds=seconds, memory=2**32)


def test_environment_has_the_changes(monkeypatch):
  monkeypatch.setenv("KEPT", "1")
  monkeypatch.setenv("CHANGED", "1")
  found = child_process.environment(CHANGED="2")
  assert (found["KEPT"], found["CHANGED"]) == ("1", "2")
  assert os.environ["CHANGED"] == "1"


def test_other_programs_inherit_the_environment(monkeypatch):
  monkeypatch.delenv("PYTHONPATH", raising=False)
  child = child_process.start(["env"], stdout=subprocess.PIPE)
  assert b"PYTHONPATH" not in child.communicate(timeout=60)[0]


def test_a_missing_program_is_an_os_error():
  with pytest.raises(FileNotFoundError, match="no-such-program"):
    child_process.start(["no-such-program"])


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
@pytest.mark.parametrize("way", ["end_with_parent", "watch_parent"])
def test_a_child_ends_when_its_parent_is_killed(way):
  code = """
import os, sys, time
from tf_ssl.ops import child_process
if sys.argv[1] == "end_with_parent":
  child = child_process.start(["sleep", "600"], end_with_parent=True)
else:
  child = child_process.start_python('''
import sys, time
from tf_ssl.ops import child_process
child_process.watch_parent(int(sys.argv[1]))
time.sleep(600)
''', str(os.getpid()))
print(child.pid, flush=True)
time.sleep(600)
"""
  parent = child_process.start_python(code, way, stdout=subprocess.PIPE)
  child = int(parent.stdout.readline())
  assert not _has_ended(child)

  parent.kill()
  parent.wait()

  _wait_for(_has_ended, child)
  parent.stdout.close()


def test_stop_kills_only_those_that_ignore_sigterm():
  ignore = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print(flush=True); time.sleep(600)"
  )
  stubborn = child_process.start_python(ignore, stdout=subprocess.PIPE)
  stubborn.stdout.readline()
  polite = child_process.start(["sleep", "600"])
  finished = child_process.start(["true"])
  finished.wait()

  child_process.stop([stubborn, polite, finished], seconds=0.2)

  codes = [p.returncode for p in (stubborn, polite, finished)]
  assert codes == [-signal.SIGKILL, -signal.SIGTERM, 0]
  stubborn.stdout.close()


@pytest.mark.parametrize(
  "code, expected",
  [
    (0, "exit code 0"),
    (2, "exit code 2"),
    (-signal.SIGSEGV, "killed by SIGSEGV"),
    (-200, "killed by signal 200"),
  ],
)
def test_return_codes_are_described(code, expected):
  assert child_process.how_it_ended(code) == expected


@pytest.mark.parametrize(
  "output, expected",
  [
    (b"first\nlast\n\n  \n", "last"),
    (b" 10%\r 20%\r", "20%"),
    (b"caf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
    (b"\n", "nothing"),
    (b"x" * 5000 + b"\nlast", "last"),
  ],
)
def test_the_last_line_is_found(output, expected):
  assert child_process.last_line(output, "nothing") == expected


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
