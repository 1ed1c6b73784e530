"""Pretrains an encoder with the settings of gin files."""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `training.pretrain.pretrain` and prints a summary."""
  from tf_ssl.training import pretrain, settings, summary
  from tf_ssl.training.distributed import cluster, distribution

  distribution.split_cpu(invocation.flags.logical_devices)
  result = pretrain.pretrain(
    invocation.configured(settings.Pretraining)(),
    model_dir=invocation.flags.model_dir,
    overwrite=invocation.flags.overwrite,
    operative_config=invocation.operative_config,
    command=invocation.command,
  )
  if cluster.read().is_chief:
    print("\n".join(summary.lines(result)))


TOOL = cli.Tool(
  "train",
  __doc__,
  main,
  config_folders=["pretrain", "video"],
  required=["model_dir"],
)
TOOL.text_flag(
  "model_dir", "The folder of the run, such as runs/a; created if missing."
)
TOOL.switch("overwrite", "Replaces the run in model_dir instead of resuming.")
TOOL.number_flag(
  "logical_devices",
  1,
  "Number of devices to split the CPU into: several replicas without GPUs.",
)

if __name__ == "__main__":
  TOOL.run()
