"""Pretrains an encoder on images without labels, as gin files say."""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `training.pretrain.pretrain` and prints what came out."""
  from tf_ssl.training import closing, pretrain, settings
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
    print("\n".join(closing.lines(result)))


TOOL = cli.Tool(
  "train",
  __doc__,
  main,
  config_folders=["pretrain", "video"],
  required=["model_dir"],
)
TOOL.text_flag(
  "model_dir",
  "The folder that keeps the run (made if need be), such as runs/a.",
)
TOOL.switch(
  "overwrite", "Replaces what model_dir holds, instead of going on with it."
)

TOOL.number_flag(
  "logical_devices",
  1,
  "Divides the CPU into so many devices, to see several replicas without GPUs.",
)

if __name__ == "__main__":
  TOOL.run()
