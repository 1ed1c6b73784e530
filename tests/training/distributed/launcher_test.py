"""Tests of tf_ssl.training.distributed.launcher, with small programs."""

import json
import signal
import sys
import time

import pytest

from tf_ssl import errors
from tf_ssl.ops import child_process
from tf_ssl.training.distributed import launcher

# Writes its TF_CONFIG to a file, then runs the lines that a test adds.
WORKER = """
import json, os, pathlib, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
folder = pathlib.Path(sys.argv[1])
attempt = len(list(folder.glob(f"{index}.*")))
(folder / f"{index}.{attempt}").write_text(json.dumps(config))
"""


def launch(tmp_path, lines, **kwargs):
  said = []
  code = launcher.launch(
    [sys.executable, "-c", WORKER + lines, str(tmp_path)],
    say=said.append,
    **{"workers": 2, "restarts": 2, **kwargs},
  )
  return code, said


def test_every_worker_gets_its_index_in_one_cluster(tmp_path):
  code, said = launch(tmp_path, "", workers=3)
  assert (code, said) == (0, [])
  configs = [json.loads((tmp_path / f"{i}.0").read_text()) for i in range(3)]
  assert [c["task"]["index"] for c in configs] == [0, 1, 2]
  clusters = [c["cluster"] for c in configs]
  assert clusters[0] == clusters[1] == clusters[2]
  assert len(set(clusters[0]["worker"])) == 3


def test_after_a_kill_all_are_started_again(tmp_path):
  code, said = launch(
    tmp_path,
    "if attempt == 0:\n"
    "  if index == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
    "  time.sleep(60)",
  )
  assert code == 0
  [line] = said
  assert "SIGKILL" in line and "all 2 workers" in line
  assert (tmp_path / "0.1").exists() and (tmp_path / "1.1").exists()


def test_after_a_lost_worker_all_are_started_again_until_it_gives_up(tmp_path):
  code, said = launch(tmp_path, "sys.exit(75)", restarts=1)
  assert code == errors.WorkerLostError.exit_code == 75
  assert "2 times" in said[-1] and len(said) == 2


def test_bad_input_is_not_retried(tmp_path):
  code, said = launch(tmp_path, "sys.exit(2 if index else time.sleep(60))")
  assert (code, said) == (2, [])
  assert not (tmp_path / "0.1").exists()


_LAUNCH = """
import signal, sys
from tf_ssl.training.distributed import launcher
ignored = sys.argv[1] == "nohup"
signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
sys.exit(launcher.launch(sys.argv[2:], workers=2, restarts=0))
"""
_SAVE_AND_STOP = """
def save(*ignored):
  (folder / f"{index}.saved").write_text("")
  sys.exit(0)
signal.signal(signal.SIGTERM, save)
(folder / f"{index}.ready").write_text("")
time.sleep(3 if sys.argv[2] == "nohup" else 60)
"""


@pytest.mark.parametrize("kind", ["terminal", "nohup"])
def test_a_hangup_stops_the_workers_unless_it_is_ignored(tmp_path, kind):
  command = [sys.executable, "-c", WORKER + _SAVE_AND_STOP, str(tmp_path), kind]
  launching = child_process.start_python(_LAUNCH, kind, *command)
  try:
    while len(list(tmp_path.glob("*.ready"))) < 2:
      assert launching.poll() is None
      time.sleep(0.02)
    launching.send_signal(signal.SIGHUP)
    assert launching.wait(50) == 0
  finally:
    launching.kill()
    launching.wait()
  saved = {path.name for path in tmp_path.glob("*.saved")}
  assert saved == ({"0.saved", "1.saved"} if kind == "terminal" else set())


@pytest.mark.parametrize(
  "command, workers, message",
  [
    ([], 2, "after --"),
    (["x"], 0, "--workers=0"),
    (["/no/such"], 1, "/no/such"),
  ],
)
def test_bad_arguments_are_refused(command, workers, message):
  with pytest.raises(errors.UsageError, match=message):
    launcher.launch(command, workers=workers, restarts=0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
