"""The precision of a run, where its settings leave the choice to tf_ssl."""

import dataclasses

from tf_ssl.ops import bfloat16, progress
from tf_ssl.training import run_directory
from tf_ssl.training import settings as settings_lib
from tf_ssl.training.distributed import cluster as cluster_lib
from tf_ssl.training.distributed import distribution

_BEFORE = "float32"  # Default of versions that did not record the precision.


def decided(
  settings: settings_lib.Pretraining, *, model_dir: str, overwrite: bool
) -> settings_lib.Pretraining:
  """Replaces precision "auto" by a Keras dtype policy, and prints it.

  A new run computes in bfloat16 if all its devices do so in hardware, else in
  float32. A run that resumes keeps its precision on any machine. All workers
  must call it, inside the scope of the strategy.

  Args:
    settings: settings of the run.
    model_dir: path of the run's folder, which may not exist yet.
    overwrite: whether an earlier run there is replaced.
  """
  if settings.precision != settings_lib.AUTO:
    return settings
  is_chief = cluster_lib.read().is_chief
  here = bfloat16.support()
  everywhere = not distribution.any_worker(not here.in_hardware)
  kept = None
  if is_chief and not overwrite:
    kept = _recorded(model_dir)
  # The other workers may not see the folder of the chief.
  kept = next(
    (
      policy
      for policy in settings_lib.POLICIES
      if distribution.any_worker(kept == policy)
    ),
    None,
  )
  chosen = kept or ("mixed_bfloat16" if everywhere else "float32")
  if is_chief:
    progress.write(_line(chosen, kept is not None, here, everywhere))
  return dataclasses.replace(settings, precision=chosen)


def recorded(
  settings: settings_lib.Pretraining, model_dir: str
) -> settings_lib.Pretraining:
  """Replaces precision "auto" by the precision of the run in `model_dir`."""
  if settings.precision != settings_lib.AUTO:
    return settings
  kept = _recorded(model_dir) or _BEFORE
  return dataclasses.replace(settings, precision=kept)


def _recorded(model_dir: str) -> str | None:
  """Precision of the run in a folder; None if there is none."""
  record = run_directory.RunDirectory(model_dir).read_record()
  return record.get("precision", _BEFORE) if record else None


def _line(chosen, kept, here, everywhere) -> str:
  where = here.reason
  if here.in_hardware and not everywhere:
    where = "a worker has no bfloat16 in hardware"
  if not kept:
    return f"Precision: {chosen}, because {where}."
  line = f"Precision: {chosen}, with which the run was started"
  if chosen == "mixed_bfloat16" and not everywhere:
    line += (
      f". Here it is emulated and much slower, because {where}: for"
      " float32, give another --model_dir and settings.Pretraining.precision ="
      ' "float32"'
    )
  return line + "."
