"""Closed, full and abandoned streams, in processes of their own."""

import os
import subprocess
import sys

import pytest

_TEXT = r"""
import sys
from absl import logging
from tf_ssl import errors
from tools._cli import cli

def main(invocation):
  logging.warning("a\udcff é")
  print("b\udcff\ud800 é")
  print("warned", file=sys.stderr)
  open(invocation.flags.file, "w").write("done")
  if invocation.flags.fail:
    raise errors.UsageError("c\udcff é")

tool = cli.Tool("tool", "x", main)
tool.text_flag("file", "x")
tool.switch("fail", "x")
from tools._cli import quiet
quiet.import_tensorflow = lambda: None
tool.run()
"""


_ABANDONED = "| sleep 0; exit ${PIPESTATUS[0]}"


def _run(tmp_path, redirection, *arguments, **environment):
  """Runs the tool in a shell; its exit code, output and errors."""
  (tmp_path / "tool.py").write_text(_TEXT)
  file = f"--file={tmp_path / 'file'}"
  command = [str(tmp_path / "tool.py"), *arguments, file]
  return _run_python(command, redirection, **environment)


def _run_python(arguments, redirection, **environment):
  command = [sys.executable, *arguments]
  done = subprocess.run(
    ["bash", "-c", f'"$@" {redirection}', "bash", *command],
    capture_output=True,
    check=False,
    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    timeout=120,
  )
  return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize(
  ("encoding", "e"), [("utf-8:strict", "é".encode()), ("ascii", rb"\xe9")]
)
def test_streams_take_any_text(tmp_path, encoding, e, buffered):
  code, out, err = _run(
    tmp_path,
    "",
    "--fail",
    PYTHONIOENCODING=encoding,
    PYTHONUNBUFFERED=buffered,
  )
  assert (code, out) == (2, rb"b\xff\ud800 " + e + b"\n")
  logged, told = rb"WARNING:absl:a\xff " + e, rb"tool: c\xff " + e
  assert err.splitlines() == [logged, b"warned", told]


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_discard_what_is_written(tmp_path, closed):
  code, out, err = _run(tmp_path, closed)
  assert code == 0
  assert (tmp_path / "file").read_text() == "done"
  assert bool(out) == (closed == "2>&-") and bool(err) == (closed == ">&-")
  assert b"Error" not in err
  assert _run(tmp_path, closed, "--fail")[0] == 2


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("arguments", [[], ["--fail"], ["--help"]])
def test_a_reader_that_leaves_ends_the_tool_quietly(
  tmp_path, arguments, buffered
):
  code, _, err = _run(
    tmp_path,
    _ABANDONED,
    *arguments,
    PYTHONUNBUFFERED=buffered,
  )
  assert code == 141
  assert b"Error" not in err and b"Traceback" not in err


@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_under_standard_output_is_told(tmp_path, buffered):
  code, _, err = _run(
    tmp_path, ">/dev/full", "--help", PYTHONUNBUFFERED=buffered
  )
  assert code == 2
  assert err.startswith(b"tool: cannot write to standard output: No space")
  assert err.count(b"\n") == 1


def test_the_list_of_tools_may_be_cut():
  for buffered in ("", "1"):
    code, _, err = _run_python(
      ["-c", "from tools import main; main.run()"],
      _ABANDONED,
      PYTHONUNBUFFERED=buffered,
    )
    assert (code, err) == (141, b"")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
