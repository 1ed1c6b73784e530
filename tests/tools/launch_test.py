"""The words after -- become the command of each worker."""

import sys

import pytest

from tf_ssl import errors
from tf_ssl.training.distributed import launcher
from tools import launch


@pytest.fixture(name="launched")
def fixture_launched(monkeypatch):
  """The arguments of each launch, which ends with the code `launched.code`."""

  class Launched(list):
    code = 0

  found = Launched()

  def start(command, **settings):
    settings.pop("say")("a line")
    found.append((command, settings))
    return found.code

  monkeypatch.setattr(launcher, "launch", start)
  return found


def test_flags_are_those_of_a_training_with_this_python(launched, capsys):
  launch.TOOL.call(["--workers=3", "--", "--gin_file=a.gin", "--overwrite"])
  [(command, settings)] = launched
  assert command == [
    *(sys.executable, "-m", "tools.train"),
    *("--gin_file=a.gin", "--overwrite"),
  ]
  assert settings == {"workers": 3, "restarts": 3}
  assert capsys.readouterr() == ("", "a line\n")


def test_another_command_is_run_as_it_is(launched):
  launch.TOOL.call(["--restarts=0", "--", "sh", "-c", "exit"])
  assert launched == [(["sh", "-c", "exit"], {"workers": 2, "restarts": 0})]


def test_the_exit_code_is_that_of_the_workers(launched):
  launched.code = 5
  with pytest.raises(SystemExit) as end:
    launch.TOOL.call(["--", "sh"])
  assert end.value.code == 5


def test_real_workers_are_started(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  code = (
    "import json, os\n"
    "index = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"
    "open(f'worker{index}', 'w').close()"
  )
  launch.TOOL.call(["--", sys.executable, "-c", code])
  names = sorted(path.name for path in tmp_path.iterdir())
  assert names == ["worker0", "worker1"]


@pytest.mark.parametrize(
  ("words", "message"),
  [([], "after --"), (["--workers=0", "--", "sh"], "--workers=0")],
)
def test_a_launch_of_nothing_is_refused(words, message):
  with pytest.raises(errors.UsageError, match=message):
    launch.TOOL.call(words)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
