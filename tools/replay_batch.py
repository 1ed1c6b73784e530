"""Replays the batch whose loss or gradient was not finite."""

from ._cli import cli, gin_files


def main(invocation: cli.Invocation) -> None:
  """Rebuilds the run's method and prints which tensors are not finite."""
  import pathlib

  from tf_ssl import errors
  from tf_ssl.training import (
    assembly,
    non_finite,
    precision,
    run_directory,
    settings,
  )

  directory = run_directory.RunDirectory(invocation.flags.model_dir)
  if not directory.non_finite.is_dir():
    raise errors.UsageError(
      f"--model_dir={invocation.flags.model_dir} has no {directory.non_finite}:"
      " all losses of that run were finite."
    )
  gin_files.load([str(directory.config)], [], of_run=True)
  run = precision.recorded(
    invocation.configured(settings.Pretraining)(), str(directory.path)
  )
  model = assembly.build_recorded_method(run, pathlib.Path(directory.path))
  assembly.compile_method(run, model)
  print("\n".join(non_finite.replay(model, directory.non_finite)))


TOOL = cli.Tool("replay_batch", __doc__, main, required=["model_dir"])
TOOL.text_flag(
  "model_dir", "The folder of the run that stopped, such as runs/a."
)

if __name__ == "__main__":
  TOOL.run()
