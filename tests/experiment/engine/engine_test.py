"""Running, resuming and refusing changed outputs, with real processes."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tf_ssl import errors
from tf_ssl.experiment.engine import stamps

_ALL = ["look one", "look one", "look two", "look two"] + [
  f"make {number} {seed}" for number in (1, 3) for seed in (0, 1)
]
_FAIL = "import sys; print('no such number', file=sys.stderr); sys.exit(3)"


def _folder(toy, name):
  (found,) = (toy.folder / "out/steps").glob(f"{name}-*")
  return found


def test_finished_steps_are_not_run_again(toy):
  assert toy.conduct() == {}
  assert toy.runs() == _ALL
  assert toy.conduct() == {}
  assert toy.runs() == []


def test_only_steps_that_depend_on_a_change_are_run_again(toy):
  toy.conduct()
  toy.runs()
  changed = toy.experiment(
    steps={
      "one": toy.model(1),
      "two": toy.model(4),
      "look": toy.look(),
    }
  )
  toy.conduct(changed)
  assert toy.runs() == ["look two", "look two", "make 4 0", "make 4 1"]
  # The outputs from before the change are still there.
  toy.conduct()
  assert toy.runs() == []


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda f: f.write_text("9.0"), "model.json has changed"),
    (lambda f: f.write_text("1.00"), "model.json has changed"),
    (lambda f: f.unlink(), "model.json is gone"),
  ],
)
def test_a_changed_output_is_refused(toy, change, message):
  toy.conduct()
  toy.runs()
  change(_folder(toy, "one-seed0") / "output/model.json")
  with pytest.raises(errors.UsageError, match=f"one/seed0 .*{message}.*remove"):
    toy.conduct()
  with pytest.raises(errors.UsageError, match=message):
    toy.conduct(dry_run=True)
  assert toy.runs() == []


def test_a_file_added_to_an_output_is_refused(toy):
  steps = {"one": toy.model(1, product=["."])}
  given = toy.experiment(steps=steps, tables=[], orderings=[])
  toy.conduct(given)
  (_folder(toy, "one-seed0") / "output/more.txt").write_text("")
  with pytest.raises(errors.UsageError, match="more.txt was added"):
    toy.conduct(given)


def test_new_modification_times_change_nothing(toy):
  toy.conduct()
  toy.runs()
  file = _folder(toy, "one-seed0") / "output/model.json"
  os.utime(file, (1, 1))
  toy.conduct()
  assert toy.runs() == []


def test_a_damaged_stamp_is_an_error(toy):
  toy.conduct()
  file = _folder(toy, "one-seed0") / stamps.STAMP_FILE
  file.write_text(file.read_text()[:40])
  with pytest.raises(errors.UsageError, match="stamp.json"):
    toy.conduct()


def test_steps_that_read_a_new_output_run_again(toy):
  # Its product differs each time, as that of training does.
  code = (
    "import json,os,sys,time; o=sys.argv[1]; os.makedirs(o, exist_ok=True);"
    "json.dump(time.time(), open(o + '/model.json', 'w'))"
  )
  steps = {"one": toy.model(1, code), "look": toy.look()}
  given = toy.experiment(steps=steps, tables=[], orderings=[], seeds=[0])
  toy.conduct(given)
  toy.runs()
  old = (_folder(toy, "look-one-seed0") / "output/found.json").read_text()
  folder = _folder(toy, "one-seed0")
  subprocess.run(["rm", "-r", str(folder)], check=True)
  toy.conduct(given)
  assert toy.runs() == ["look one"]
  model = json.loads(
    (_folder(toy, "one-seed0") / "output/model.json").read_text()
  )
  new = (_folder(toy, "look-one-seed0") / "output/found.json").read_text()
  assert json.loads(new)["score"] == 2 * model and new != old


def test_steps_that_need_a_failed_one_are_not_run_and_others_are(toy):
  given = toy.experiment(
    steps={
      "one": toy.model(1, _FAIL),
      "two": toy.model(3),
      "look": toy.look(),
    }
  )
  failed = toy.conduct(given)
  assert list(failed) == ["one/seed0", "one/seed1"]
  log = _folder(toy, "one-seed0") / "log.txt"
  assert failed["one/seed0"] == (
    f"one/seed0 failed (exit code 3): no such number; log: {log}"
  )
  assert "no such number" in log.read_text()
  assert toy.runs() == ["look two", "look two", "make 3 0", "make 3 1"]
  assert "not run look/one/seed0: it needs one/seed0" in toy.said
  page = (toy.folder / "out/RESULTS.md").read_text()
  assert "not measured" in page and "exit code 3" in page


def test_jobs_run_at_once(toy):
  # Each of two steps waits until the other has begun.
  code = (
    "import os,sys,time\n"
    "o, seed, number = sys.argv[1:]\n"
    "runs = os.environ['TOY_RUNS']\n"
    "open(runs + seed, 'w').close()\n"
    "until = time.time() + 20\n"
    "while not os.path.exists(runs + str(1 - int(seed))):\n"
    "  assert time.time() < until\n"
    "  time.sleep(0.02)\n"
    "os.makedirs(o)\n"
    "open(o + '/model.json', 'w').close()\n"
  )
  steps = {"one": toy.model(1, code)}
  given = toy.experiment(steps=steps, tables=[], orderings=[])
  assert toy.conduct(given, jobs=2) == {}
  with pytest.raises(errors.UsageError, match="--jobs=0"):
    toy.conduct(jobs=0)


# Runs a pickled experiment; the arguments are its file and the output folder.
_RUNNER = """
import pickle, sys
from tf_ssl.experiment import conduct
with open(sys.argv[1], "rb") as file:
  given = pickle.load(file)
conduct.conduct(
  given, name="toy", output_dir=sys.argv[2], parse=lambda f, b: f,
  tool_command=list, jobs=2,
)
"""
# A step that takes long until a file exists, and logs its process id.
_SLOW = """
import json, os, sys, time
output, seed, number = sys.argv[1:]
runs = os.environ["TOY_RUNS"]
os.makedirs(output, exist_ok=True)
with open(runs, "a") as file:
  file.write(f"slow {seed}\\n")
with open(runs + ".pids", "a") as file:
  file.write(f"{os.getpid()}\\n")
if not os.path.exists(runs + ".go"):
  time.sleep(60)
json.dump(9, open(os.path.join(output, "model.json"), "w"))
"""


def _start(toy, given, repository):
  import pickle

  (toy.folder / "given.pickle").write_bytes(pickle.dumps(given))
  return subprocess.Popen(
    [sys.executable, "-c", _RUNNER, str(toy.folder / "given.pickle"), toy.root],
    env={**os.environ, "PYTHONPATH": str(repository)},
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    # As in a terminal: a shell's background jobs ignore SIGINT.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
  )


def _is_alive(pid):
  """Whether a process runs; a zombie does not."""
  try:
    state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]
  except FileNotFoundError:
    return False
  return state.split()[0] != "Z"


def _wait_until(condition, process):
  until = time.monotonic() + 60
  while not condition():
    assert time.monotonic() < until and process.poll() is None
    time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes(toy, repository, number):
  given = toy.experiment(
    steps={
      "one": toy.model(1),
      "two": toy.model(3, _SLOW),
      "look": toy.look(),
    }
  )
  process = _start(toy, given, repository)
  pids = toy.folder / "runs.txt.pids"
  _wait_until(
    lambda: pids.exists() and pids.read_text().count("\n") == 2, process
  )
  _wait_until(
    lambda: len(list((toy.folder / "out").glob("steps/one-*/stamp.json"))) == 2,
    process,
  )
  process.send_signal(number)
  process.wait(20)
  assert process.returncode != 0
  assert toy.runs() == ["make 1 0", "make 1 1", "slow 0", "slow 1"]
  # The steps of the killed runner end, too, with 60 seconds of work left.
  until = time.monotonic() + 20
  while any(_is_alive(int(pid)) for pid in pids.read_text().split()):
    assert time.monotonic() < until
    time.sleep(0.02)
  assert not list((toy.folder / "out").glob("steps/two-*/stamp.json"))
  (toy.folder / "runs.txt.go").touch()

  process = _start(toy, given, repository)
  said, _ = process.communicate(timeout=60)
  assert process.returncode == 0, said
  assert toy.runs() == ["look one"] * 2 + ["look two"] * 2 + [
    "slow 0",
    "slow 1",
  ]
  assert "**confirmed**" in (toy.folder / "out/RESULTS.md").read_text()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
