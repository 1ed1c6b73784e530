"""Tests of tf_ssl.training.monitors.logger, with a tracker in memory."""

import json
import sys
import types

import pytest

from tf_ssl import errors
from tf_ssl.ops import progress
from tf_ssl.training.monitors import logger

CONFIG = """
BATCH_SIZE = 8
moco.build_moco.encoder = @resnet.resnet18
settings.Pretraining.batch_size = %BATCH_SIZE
settings.Pretraining.images = ['a', 'b']
"""


class Tracker:
  """A tracker: runs by id, each with its name, config, records and outcome."""

  def __init__(self):
    self.runs = {}
    self.error = None

  def check(self):
    if self.error:
      raise self.error


class Logger(logger.Logger):
  """Logs to a `Tracker`."""

  title = "The tracker"
  package = "tracker_in_memory"

  def __init__(self, tracker, **kwargs):
    super().__init__(**kwargs)
    self.tracker = tracker

  def open(self, run_id, name, config):
    self.tracker.check()
    run_id = run_id or f"id{len(self.tracker.runs)}"
    new = {"name": name, "config": config, "records": [], "outcome": None}
    self.run = self.tracker.runs.setdefault(run_id, new)
    return run_id

  def send(self, step, values):
    self.tracker.check()
    self.run["records"].append((step, values))

  def close(self, outcome):
    self.tracker.check()
    self.run["outcome"] = outcome


def steps_of(tracker):
  [run] = tracker.runs.values()
  return [step for step, _ in run["records"]]


def records(*steps):
  return [{"step": step, "loss": step / 10} for step in steps]


@pytest.fixture
def tracker():
  return Tracker()


@pytest.fixture
def lines(monkeypatch):
  """What is printed."""
  printed = []
  monkeypatch.setattr(progress, "write", printed.append)
  return printed


@pytest.fixture(autouse=True)
def clock(monkeypatch):
  """A clock that the test moves, in seconds."""
  moved = types.SimpleNamespace(now=0.0)
  monkeypatch.setattr(logger.time, "monotonic", lambda: moved.now)
  return moved


@pytest.fixture
def started(tmp_path, make_context, tracker):
  """Function that starts a logger in a folder of a run."""
  folder = tmp_path / "run_a"
  folder.mkdir()
  (folder / "operative_config.gin").write_text(CONFIG)
  (folder / "run.json").write_text(
    json.dumps({"data": {"count": 8}, "command": "the command", "seed": 0})
  )

  def start(**kwargs):
    made = Logger(tracker, **kwargs)
    made.start(make_context(model_dir=str(folder)))
    return made

  return start


def test_each_record_is_sent_once_under_its_step(started, tracker):
  made = started()
  made.on_record(records(0))
  made.on_record(records(0, 2, 4))
  made.end("finished", records(0, 2, 4))
  [run] = tracker.runs.values()
  assert run["records"] == [
    (0, {"loss": 0.0}),
    (2, {"loss": 0.2}),
    (4, {"loss": 0.4}),
  ]
  assert run["outcome"] == "finished"


def test_a_logger_measures_nothing_itself(started):
  assert started().measure(3) == {}


def test_the_logged_run_has_the_name_of_the_folder_and_the_settings(
  started, tracker
):
  started()
  [run] = tracker.runs.values()
  assert run["name"] == "run_a"
  assert run["config"] == {
    "BATCH_SIZE": 8,
    "moco.build_moco.encoder": "@resnet.resnet18",
    "settings.Pretraining.images": "['a', 'b']",
    "command": "the command",
  }


def test_a_name_can_be_given(started, tracker):
  started(name="mine")
  assert [run["name"] for run in tracker.runs.values()] == ["mine"]


def test_a_resumed_run_continues_the_logged_run_and_repeats_no_step(
  started, tracker
):
  started().on_record(records(0, 2, 4))  # And is killed; step 2 was saved.
  resumed = started()
  resumed.on_record(records(0, 2, 4))
  resumed.on_record(records(0, 2, 4, 6))
  assert list(tracker.runs) == ["id0"]
  assert steps_of(tracker) == [0, 2, 4, 6]


def test_a_run_from_scratch_is_another_logged_run(started, tracker, tmp_path):
  started().on_record(records(0, 2))
  (tmp_path / "run_a" / logger.STATE_FILE).unlink()  # As --overwrite does.
  started().on_record(records(0))
  assert list(tracker.runs) == ["id0", "id1"]


@pytest.mark.parametrize("text", ["", "[]", '{"tracker_in_memory": 3}', "\0"])
def test_a_damaged_state_begins_a_new_logged_run(
  started, tracker, tmp_path, text
):
  (tmp_path / "run_a" / logger.STATE_FILE).write_text(text)
  started().on_record(records(0))
  assert steps_of(tracker) == [0]


def test_a_failure_is_warned_of_and_made_up_for(started, tracker, lines):
  made = started()
  made.on_record(records(0))
  tracker.error = ConnectionError("no route\nto host")
  made.on_record(records(0, 2))
  made.on_record(records(0, 2, 4))
  assert len(lines) == 1 and "no route to host" in lines[0]
  assert "The tracker" in lines[0]
  tracker.error = None
  made.on_record(records(0, 2, 4, 6))
  assert steps_of(tracker) == [0, 2, 4, 6]
  assert "again" in lines[1]
  made.end("finished", records(0, 2, 4, 6))
  assert "2 times; 0 of 4" in lines[2]


def test_a_tracker_that_never_comes_back_is_counted_at_the_end(
  started, tracker, lines
):
  made = started()
  made.on_record(records(0))
  tracker.error = TimeoutError()
  for last in (4, 6, 8):
    made.on_record(records(0, 2, last))
  made.end("failed", records(0, 2, 8))
  first, last = lines
  assert "TimeoutError" in first
  assert "5 times; 2 of 3" in last  # 3 records, one more try, the end.


def test_a_slow_failure_takes_at_most_a_tenth_of_the_time(
  started, tracker, lines, clock
):
  made = started()
  tries = []

  def slow():
    tries.append(clock.now)
    clock.now += 60.0
    raise TimeoutError

  tracker.check = slow
  step = 0
  while clock.now < 6000.0:
    clock.now += 10.0
    step += 1
    made.on_record(records(step))
  assert 9 <= len(tries) <= 10
  assert len(lines) == 1


def test_a_new_run_that_cannot_be_logged_is_an_error_at_once(started, tracker):
  tracker.error = ValueError("no API key")
  with pytest.raises(errors.UsageError, match="The tracker.*no API key"):
    started()


def test_a_resumed_run_trains_while_its_tracker_is_down(
  started, tracker, lines
):
  started().on_record(records(0))
  tracker.error = ConnectionError("down")
  resumed = started()
  resumed.on_record(records(0, 2))
  assert len(lines) == 1
  tracker.error = None
  resumed.on_record(records(0, 2, 4))
  assert list(tracker.runs) == ["id0"]
  assert steps_of(tracker) == [0, 2, 4]


def test_two_loggers_of_a_run_keep_their_states_apart(
  started, tracker, tmp_path
):
  class Other(Logger):
    package = "other"

  first = started()
  second = Other(Tracker())
  second.start(first.context)
  first.on_record(records(0, 2))
  second.on_record(records(0))
  state = json.loads((tmp_path / "run_a" / logger.STATE_FILE).read_text())
  assert state == {
    "tracker_in_memory": {"id": "id0", "step": 2},
    "other": {"id": "id0", "step": 0},
  }


def test_a_missing_package_is_named_with_its_extra(tracker):
  with pytest.raises(
    errors.UsageError, match=r"not installed; pip.*tf_ssl\[tracker_in_memory\]"
  ):
    Logger(tracker).find_data()


def test_a_folder_of_the_packages_name_is_no_package(
  tracker, tmp_path, monkeypatch
):
  (tmp_path / "tracker_in_memory").mkdir()
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(errors.UsageError, match="is not installed"):
    Logger(tracker).find_data()


def test_a_package_that_cannot_be_imported_is_quoted(
  tracker, tmp_path, monkeypatch
):
  (tmp_path / "broken_tracker.py").write_text("import no_such_dependency")
  monkeypatch.syspath_prepend(tmp_path)
  made = Logger(tracker)
  made.package = "broken_tracker"
  with pytest.raises(errors.UsageError, match="fails.*no_such_dependency"):
    made.find_data()


def test_a_full_disk_is_named(started, full_disk, tmp_path):
  made = started()
  with pytest.raises(
    errors.UsageError, match=f"{logger.STATE_FILE}.*model_dir"
  ):
    with full_disk(0):
      made.on_record(records(0))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
