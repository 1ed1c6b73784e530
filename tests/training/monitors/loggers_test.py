"""Tests of tf_ssl.training.monitors.loggers.

A module of the tests takes the calls in place of each tracker's package. Where
the package is installed, it is tried too, without network.
"""

import json
import os
import pathlib
import sqlite3
import sys
import types

import pytest

from tf_ssl.training.monitors import logger, loggers

CONFIG = "BATCH_SIZE = 8\nmoco.build_moco.encoder = @resnet.resnet18\n"
HISTORY = [
  {"step": 0, "knn_accuracy": 0.25},
  {"step": 2, "loss": 2.0, "gradient_norm": 0.5},
  {"step": 4, "loss": 1.5, "gradient_norm": 0.25},
  {"step": 6, "loss": 1.25, "gradient_norm": 0.125},
]


@pytest.fixture
def model_dir(tmp_path):
  folder = tmp_path / "run_a"
  folder.mkdir()
  (folder / "operative_config.gin").write_text(CONFIG)
  return folder


@pytest.fixture
def twice(make_context, model_dir):
  """Function that logs a run which is killed at step 4 and resumed at 2."""

  def log(make):
    killed = make()
    killed.find_data()
    killed.start(make_context(model_dir=str(model_dir)))
    for number in range(1, 4):
      killed.on_record(HISTORY[:number])
    resumed = make()
    resumed.find_data()
    resumed.start(make_context(model_dir=str(model_dir)))
    resumed.on_record(HISTORY[:3])
    resumed.on_record(HISTORY)
    resumed.end("finished", HISTORY)
    assert resumed._failures == killed._failures == 0
    return killed, resumed

  return log


def known_id(model_dir, package):
  return json.loads((model_dir / logger.STATE_FILE).read_text())[package]["id"]


def fake(monkeypatch, name, **content):
  module = types.ModuleType(name)
  module.__file__ = f"{name}.py"
  module.__dict__.update(content)
  monkeypatch.setitem(sys.modules, name, module)


class Calls(list):
  """Notes calls: `calls.name(...)` appends (name, args, kwargs)."""

  def __getattr__(self, name):
    def call(*args, **kwargs):
      self.append((name, args, kwargs))

    return call

  def of(self, name):
    return [each[1:] for each in self if each[0] == name]


class RunOfCalls:
  """A run as wandb.init and trackio.init return it."""

  def __init__(self, calls, **init):
    self.id = init.get("id")
    self.name = init["name"]
    self.log, self.finish = calls.log, calls.finish


LOGGED = [
  (({"knn_accuracy": 0.25},), {"step": 0}),
  (({"loss": 2.0, "gradient_norm": 0.5},), {"step": 2}),
  (({"loss": 1.5, "gradient_norm": 0.25},), {"step": 4}),
  (({"loss": 1.25, "gradient_norm": 0.125},), {"step": 6}),
]
SETTINGS = {"BATCH_SIZE": 8, "moco.build_moco.encoder": "@resnet.resnet18"}


def test_weights_and_biases_gets_each_step_of_one_run(
  monkeypatch, twice, model_dir
):
  calls = Calls()

  def init(**kwargs):
    calls.init(**kwargs)
    return RunOfCalls(calls, **kwargs)

  fake(monkeypatch, "wandb", init=init, Settings=lambda **kwargs: kwargs)
  twice(lambda: loggers.WeightsAndBiases(project="p", options={"entity": "we"}))
  assert calls.of("log") == LOGGED
  assert calls.of("finish") == [((), {"exit_code": 0})]
  (_, first), (_, second) = calls.of("init")
  assert first["resume"] is None and second["resume"] == "allow"
  assert first["id"] == second["id"] == known_id(model_dir, "wandb")
  for each in (first, second):
    assert each["project"] == "p" and each["entity"] == "we"
    assert each["name"] == "run_a" and each["dir"] == str(model_dir)
    assert each["config"] == SETTINGS


@pytest.mark.parametrize(
  "outcome, code", [("finished", 0), ("stopped", 0), ("failed", 1)]
)
def test_weights_and_biases_is_told_of_a_failure(
  monkeypatch, make_context, model_dir, outcome, code
):
  calls = Calls()
  fake(
    monkeypatch,
    "wandb",
    init=lambda **kwargs: RunOfCalls(calls, **kwargs),
    Settings=dict,
  )
  made = loggers.WeightsAndBiases()
  made.find_data()
  made.start(make_context(model_dir=str(model_dir)))
  made.end(outcome, [])
  assert calls.of("finish") == [((), {"exit_code": code})]


def test_trackio_gets_each_step_of_one_run(monkeypatch, twice, model_dir):
  calls = Calls()

  def init(**kwargs):
    calls.init(**kwargs)
    return RunOfCalls(calls, **kwargs)

  fake(monkeypatch, "trackio", init=init)
  twice(lambda: loggers.Trackio(options={"group": "g"}))
  assert calls.of("log") == LOGGED
  assert calls.of("finish") == [((), {})]
  (_, first), (_, second) = calls.of("init")
  assert first["resume"] == "never" and second["resume"] == "allow"
  assert first["name"] == second["name"] == known_id(model_dir, "trackio")
  assert first["name"].startswith("run_a-")
  assert first["project"] == "tf_ssl" and first["group"] == "g"
  assert first["config"] == SETTINGS


class MlflowClient(Calls):
  """Notes the calls of an MLflow client; knows one experiment."""

  experiments = {}

  def get_experiment_by_name(self, name):
    return self.experiments.get(name)

  def create_experiment(self, name):
    self.experiments[name] = types.SimpleNamespace(experiment_id="7")
    return "7"

  def create_run(self, number, run_name):
    self.append(("create_run", (number,), {"run_name": run_name}))
    return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))


def fake_mlflow(monkeypatch):
  monkeypatch.setattr(MlflowClient, "experiments", {})
  for name in loggers._MLFLOW_PATIENCE:
    monkeypatch.delenv(name, raising=False)
  client = MlflowClient()
  addresses = []

  def connect(tracking_uri):
    addresses.append(tracking_uri)
    return client

  fake(
    monkeypatch,
    "mlflow",
    MlflowClient=connect,
    entities=types.SimpleNamespace(
      Metric=lambda key, value, timestamp, step: (key, value, step),
      Param=lambda key, value: (key, value),
    ),
  )
  return client, addresses


def test_mlflow_gets_each_step_of_one_run(monkeypatch, twice, model_dir):
  client, addresses = fake_mlflow(monkeypatch)
  twice(lambda: loggers.Mlflow(tracking_uri="sqlite:///runs.db"))
  assert set(addresses) == {"sqlite:///runs.db"}
  assert client.of("create_run") == [(("7",), {"run_name": "run_a"})]
  assert known_id(model_dir, "mlflow") == "r1"
  batches = client.of("log_batch")
  assert {args for args, _ in batches} == {("r1",)}
  first, *others = [kwargs for _, kwargs in batches]
  assert first == {
    "params": [
      ("BATCH_SIZE", "8"),
      ("moco.build_moco.encoder", "@resnet.resnet18"),
    ]
  }
  assert [each["metrics"] for each in others] == [
    [("knn_accuracy", 0.25, 0)],
    [("loss", 2.0, 2), ("gradient_norm", 0.5, 2)],
    [("loss", 1.5, 4), ("gradient_norm", 0.25, 4)],
    [("loss", 1.25, 6), ("gradient_norm", 0.125, 6)],
  ]
  assert client.of("update_run") == [(("r1",), {"status": "RUNNING"})]
  assert client.of("set_terminated") == [(("r1", "FINISHED"), {})]


def test_an_experiment_of_mlflow_is_made_once(monkeypatch, make_context):
  client, _ = fake_mlflow(monkeypatch)
  for folder in ("a", "b"):
    made = loggers.Mlflow()
    made.find_data()
    context = make_context()
    path = pathlib.Path(context.model_dir) / folder
    path.mkdir()
    made.start(make_context(model_dir=str(path)))
  assert [args for args, _ in client.of("create_run")] == [("7",), ("7",)]
  assert list(client.experiments) == ["tf_ssl"]


def test_mlflow_takes_many_and_long_settings(
  monkeypatch, make_context, model_dir
):
  client, _ = fake_mlflow(monkeypatch)
  lines = [f"a.b{i} = '{'x' * 2000}'\n" for i in range(150)]
  (model_dir / "operative_config.gin").write_text("".join(lines))
  made = loggers.Mlflow()
  made.find_data()
  made.start(make_context(model_dir=str(model_dir)))
  batches = [kwargs["params"] for _, kwargs in client.of("log_batch")]
  assert [len(batch) for batch in batches] == [100, 50]
  assert {len(value) for batch in batches for _, value in batch} == {500}


def test_mlflow_does_not_wait_for_minutes_unless_told_to(monkeypatch):
  fake_mlflow(monkeypatch)
  monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
  loggers.Mlflow().find_data()
  assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
  assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"


def test_the_real_weights_and_biases_keeps_a_run_offline(
  monkeypatch, twice, model_dir
):
  pytest.importorskip("wandb.sdk", reason="needs wandb")
  monkeypatch.setenv("WANDB_MODE", "offline")
  monkeypatch.setenv("WANDB_SILENT", "true")
  killed, resumed = twice(loggers.WeightsAndBiases)
  killed.end("failed", [])
  run_id = known_id(model_dir, "wandb")
  assert killed._run.id == resumed._run.id == run_id
  files = sorted(model_dir.glob(f"wandb/offline-run-*/run-{run_id}.wandb"))
  content = [path.read_bytes() for path in files]
  assert len(content) in (1, 2)  # Two folders unless within one second.
  assert any(b"gradient_norm" in each for each in content)
  assert any(b"moco.build_moco.encoder" in each for each in content)


def test_the_real_mlflow_keeps_a_run_in_a_folder(
  monkeypatch, twice, model_dir, tmp_path
):
  mlflow = pytest.importorskip("mlflow", reason="needs mlflow")
  monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
  address = f"file:{tmp_path}/mlruns"
  twice(lambda: loggers.Mlflow(tracking_uri=address))
  client = mlflow.MlflowClient(tracking_uri=address)
  run_id = known_id(model_dir, "mlflow")
  found = client.get_run(run_id)
  assert found.info.status == "FINISHED"
  assert found.data.params["BATCH_SIZE"] == "8"
  history = client.get_metric_history(run_id, "gradient_norm")
  assert [(each.step, each.value) for each in history] == [
    (2, 0.5),
    (4, 0.25),
    (6, 0.125),
  ]


def test_the_real_trackio_keeps_a_run_in_a_folder(
  monkeypatch, twice, model_dir, tmp_path
):
  monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
  pytest.importorskip("trackio.sqlite_storage", reason="needs trackio")
  options = {"auto_log_cpu": False, "auto_log_gpu": False}
  twice(lambda: loggers.Trackio(options=options))
  [path] = (tmp_path / "trackio").glob("*.db")
  with sqlite3.connect(path) as database:
    rows = database.execute(
      "select run_name, step, metrics from metrics order by step"
    ).fetchall()
  assert {name for name, *_ in rows} == {known_id(model_dir, "trackio")}
  assert [step for _, step, _ in rows] == [0, 2, 4, 6]
  assert "gradient_norm" in str(rows[-1][2])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
