"""Pretrains an encoder on images without labels, as gin files say."""

from absl import flags

from . import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `training.pretrain.pretrain`; the library prints what came out."""
  from tf_ssl.training import pretrain

  invocation.configured(pretrain.pretrain)(
    model_dir=invocation.flags.model_dir,
    overwrite=invocation.flags.overwrite,
    operative_config=invocation.operative_config,
    command=invocation.command,
  )


TOOL = cli.Tool(
  "train",
  __doc__,
  main,
  config_folders=["pretrain", "video"],
  required=["model_dir"],
)
flags.DEFINE_string(
  "model_dir",
  None,
  "The folder that keeps the run (made if need be), such as runs/a.",
  flag_values=TOOL.flags,
)
flags.DEFINE_bool(
  "overwrite",
  False,
  "Replaces what model_dir holds, instead of going on with it.",
  flag_values=TOOL.flags,
)

if __name__ == "__main__":
  TOOL.run()
