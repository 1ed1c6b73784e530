"""Loggers for Weights & Biases, MLflow and Trackio, beside TensorBoard.

Each tracker is set up as its own documentation says: by `wandb login` and
WANDB_MODE, by MLFLOW_TRACKING_URI, by TRACKIO_SPACE_ID or TRACKIO_DIR.
"""

import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

from tf_ssl.training.monitors import logger

# MLflow retries for minutes by itself, in which no step is trained; the logger
# tries again, too. The user's own values win.
_MLFLOW_PATIENCE = {
  "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
  "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",  # Seconds.
}
_MLFLOW_OUTCOMES = {
  "finished": "FINISHED",
  "stopped": "KILLED",
  "failed": "FAILED",
}
# Of the tracking server: parameters in a batch, letters of a value.
_MLFLOW_BATCH = 100
_MLFLOW_VALUE_LETTERS = 500


class WeightsAndBiases(logger.Logger):
  """Logs to Weights & Biases.

  With WANDB_MODE=offline the logged run is in the run's folder, below `wandb/`;
  each resumption then adds a folder of the same id, which `wandb sync` uploads.
  """

  title = "Weights & Biases"
  package = "wandb"

  def __init__(
    self,
    *,
    project: str = "tf_ssl",
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
  ):
    """Keeps its settings.

    Args:
      project: name of the project.
      name: name of the logged run; None for that of the run's folder.
      options: further arguments of `wandb.init`, such as entity, group or tags.
    """
    super().__init__(project=project, name=name)
    self.options = dict(options or {})

  def open(self, run_id, name, config) -> str:
    settings = self.module.Settings(console="off")  # The progress bar moves.
    self._run = self.module.init(
      **{
        "project": self.project,
        "name": name,
        "id": run_id or secrets.token_hex(4),
        "resume": "allow" if run_id else None,
        "config": dict(config),
        "dir": self.context.model_dir,
        "settings": settings,
        **self.options,
      }
    )
    return self._run.id

  def send(self, step, values) -> None:
    self._run.log(dict(values), step=step)

  def close(self, outcome) -> None:
    self._run.finish(exit_code=int(outcome == "failed"))


class Trackio(logger.Logger):
  """Logs to Trackio, on this machine or in a Hugging Face Space."""

  title = "Trackio"
  package = "trackio"

  def __init__(
    self,
    *,
    project: str = "tf_ssl",
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
  ):
    """Keeps its settings.

    Args:
      project: name of the project.
      name: start of the name of the logged run; None for that of the run's
        folder. Trackio knows runs by name, so an id is added.
      options: further arguments of `trackio.init`, such as group or space_id.
    """
    super().__init__(project=project, name=name)
    self.options = dict(options or {})

  def open(self, run_id, name, config) -> str:
    self._run = self.module.init(
      **{
        "project": self.project,
        "name": run_id or f"{name}-{secrets.token_hex(4)}",
        "resume": "allow" if run_id else "never",
        "config": dict(config),
        "embed": False,
        **self.options,
      }
    )
    return self._run.name

  def send(self, step, values) -> None:
    self._run.log(dict(values), step=step)

  def close(self, outcome) -> None:
    del outcome
    self._run.finish()


class Mlflow(logger.Logger):
  """Logs to MLflow: its server, database or folder."""

  title = "MLflow"
  package = "mlflow"

  def __init__(
    self,
    *,
    project: str = "tf_ssl",
    name: str | None = None,
    tracking_uri: str | None = None,
  ):
    """Keeps its settings.

    Args:
      project: name of the experiment.
      name: name of the logged run; None for that of the run's folder.
      tracking_uri: address of the server or database, such as
        "sqlite:///mlflow.db"; None for MLflow's choice (MLFLOW_TRACKING_URI).
    """
    super().__init__(project=project, name=name)
    self.tracking_uri = tracking_uri

  def find_data(self) -> None:
    for variable, value in _MLFLOW_PATIENCE.items():
      os.environ.setdefault(variable, value)
    super().find_data()

  def open(self, run_id, name, config) -> str:
    self._client = self.module.MlflowClient(tracking_uri=self.tracking_uri)
    if run_id:
      self._client.update_run(run_id, status="RUNNING")
      self._run_id = run_id
      return run_id
    experiment = self._client.get_experiment_by_name(self.project)
    number = (
      experiment.experiment_id
      if experiment
      else self._client.create_experiment(self.project)
    )
    created = self._client.create_run(number, run_name=name)
    self._run_id = created.info.run_id
    entities = self.module.entities
    parameters = [
      entities.Param(key, str(value)[:_MLFLOW_VALUE_LETTERS])
      for key, value in config.items()
    ]
    for first in range(0, len(parameters), _MLFLOW_BATCH):
      batch = parameters[first : first + _MLFLOW_BATCH]
      self._client.log_batch(self._run_id, params=batch)
    return self._run_id

  def send(self, step, values) -> None:
    now = int(1000 * time.time())  # Milliseconds.
    metric = self.module.entities.Metric
    self._client.log_batch(
      self._run_id, metrics=[metric(k, v, now, step) for k, v in values.items()]
    )

  def close(self, outcome) -> None:
    self._client.set_terminated(self._run_id, _MLFLOW_OUTCOMES[outcome])
