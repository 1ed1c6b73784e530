"""One node as a real child process."""

import fcntl
import os
import pathlib
import sys
import threading
import time

import pytest

from tf_ssl.experiment import plan, steps
from tf_ssl.experiment.engine import running, stamps


def _node(folder, code, *words, product=("made",)):
  command = (sys.executable, "-c", code, *words)
  definition = steps.Command(words=command, product=product)
  return plan.Node(
    name="step/seed0",
    step="step",
    definition=definition,
    model=None,
    seed=0,
    key="k",
    folder=pathlib.Path(folder) / "step-k",
    command=command,
    recipe="recipe",
    inputs=("other",),
    data=(),
  )


def _making(folder, code=""):
  """Appends a line to runs.txt and makes its product."""
  base = (
    "import os, sys\n"
    "open(sys.argv[1], 'a').write('x')\n"
    "print('made it')\n"
    "os.makedirs(sys.argv[2], exist_ok=True)\n"
    "open(sys.argv[2] + '/made', 'w').write('done')\n"
  )
  output = pathlib.Path(folder) / "step-k/output"
  return _node(folder, code + base, str(folder / "runs.txt"), str(output))


def _folder(toy, name):
  (found,) = (toy.folder / "out/steps").glob(f"{name}-*")
  return found


def test_a_node_is_run_once_for_the_same_inputs(tmp_path):
  node = _making(tmp_path)
  stamp = running.Processes().run(node, {"other": "a"})
  assert stamps.read(node).inputs == {"other": "a"} == dict(stamp.inputs)
  log = node.log.read_text().splitlines()
  assert log[0] == f"$ {node.shown_command.splitlines()[0]}"
  assert log[-1] == "made it"
  again = running.Processes().run(node, {"other": "a"})
  assert again._replace(files=None) == stamp._replace(files=None)
  assert (tmp_path / "runs.txt").read_text() == "x"
  running.Processes().run(node, {"other": "b"})
  assert (tmp_path / "runs.txt").read_text() == "xx"
  assert stamps.read(node).inputs == {"other": "b"}


def test_a_failed_process_is_told_with_its_end_its_last_line_and_its_log(
  tmp_path,
):
  code = "import sys; print('first'); sys.exit('the reason')"
  node = _node(tmp_path, code)
  with pytest.raises(running.NodeFailed) as failed:
    running.Processes().run(node, {})
  assert str(failed.value) == (
    f"step/seed0 failed (exit code 1): the reason; log: {node.log}"
  )
  code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
  with pytest.raises(running.NodeFailed, match="SIGKILL"):
    running.Processes().run(_node(tmp_path, code), {})
  assert stamps.read(node) is None


def test_stopping_lets_a_process_save_and_starts_no_other(tmp_path):
  code = (
    "import signal, sys, time\n"
    "def save(*_):\n"
    "  open(sys.argv[1], 'w').write('saved')\n"
    "  sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, save)\n"
    "open(sys.argv[2], 'w').close()\n"
    "time.sleep(60)\n"
  )
  saved, ready = tmp_path / "saved", tmp_path / "ready"
  processes, failures = running.Processes(), []
  node = _node(tmp_path, code, str(saved), str(ready))

  def run():
    try:
      processes.run(node, {})
    except running.NodeFailed as failed:
      failures.append(str(failed))

  thread = threading.Thread(target=run)
  thread.start()
  for _ in range(2000):
    if ready.exists():
      break
    time.sleep(0.01)
  processes.stop()
  thread.join(20)
  assert saved.read_text() == "saved"
  assert len(failures) == 1 and stamps.read(node) is None
  with pytest.raises(running.NodeFailed, match="step/seed0 was stopped"):
    processes.run(_making(tmp_path), {})
  assert not (tmp_path / "runs.txt").exists()


def test_the_child_holds_the_lock_and_reads_nothing_from_the_terminal(tmp_path):
  code = (
    "import os, sys\n"
    "assert sys.stdin.read() == ''\n"
    "files = '/proc/self/fd/'\n"
    "links = [files + name for name in os.listdir(files)]\n"
    "held = [os.readlink(link) for link in links if os.path.exists(link)]\n"
    "assert os.path.dirname(sys.argv[2]) + '/lock' in held, held\n"
  )
  node = _making(tmp_path, code)
  assert running.Processes().run(node, {})
  with open(node.folder / running.LOCK_FILE, "r+") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Free again.


def test_seconds_of_an_interrupted_attempt_count(tmp_path):
  slow = "import time; time.sleep(0.4)"
  node = _node(tmp_path, slow + "; raise SystemExit(1)")
  with pytest.raises(running.NodeFailed):
    running.Processes().run(node, {})
  stamp = running.Processes().run(_making(tmp_path), {})
  assert stamp.seconds >= 0.4


def test_a_folder_that_cannot_be_made_is_a_failed_node(tmp_path):
  (tmp_path / "step-k").write_text("a file")
  with pytest.raises(running.NodeFailed, match="step/seed0: .*step-k"):
    running.Processes().run(_making(tmp_path), {})


def test_a_step_without_its_product_has_failed(toy):
  given = toy.experiment(
    steps={"one": toy.model(1, "")}, tables=[], orderings=[]
  )
  failed = toy.conduct(given)
  assert "one/seed0 ended without " in failed["one/seed0"]
  assert "model.json; log: " in failed["one/seed0"]


def test_a_missing_program_has_failed(toy):
  step = toy.model(1)
  step = type(step)(**{**vars(step), "words": ["no-such-program"]})
  given = toy.experiment(steps={"one": step}, tables=[], orderings=[])
  assert "no-such-program" in toy.conduct(given)["one/seed0"]


def test_a_node_that_another_process_runs_is_waited_for(toy, monkeypatch):
  toy.conduct(only=["one/seed0"])
  folder = _folder(toy, "one-seed0")
  (folder / stamps.STAMP_FILE).unlink()
  toy.runs()
  waiting = threading.Event()

  def wait(processes, node):
    waiting.set()
    time.sleep(0.02)

  monkeypatch.setattr(running.Processes, "_wait", wait)
  other = os.open(folder / running.LOCK_FILE, os.O_RDWR)
  fcntl.flock(other, fcntl.LOCK_EX)
  thread = threading.Thread(target=toy.conduct, kwargs={"only": ["one/seed0"]})
  thread.start()
  try:
    assert waiting.wait(20)
    assert thread.is_alive() and toy.runs() == []
  finally:
    os.close(other)
    thread.join(20)
  assert not thread.is_alive() and toy.runs() == ["make 1 0"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
