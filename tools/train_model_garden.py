"""Runs Model Garden's trainer, with this project's ResNet as a backbone.

The flags after -- are those of Model Garden's trainer, such as
--experiment=tf_ssl_retinanet_coco --mode=train --model_dir=runs/retinanet
--config_file=exported/moco.ckpt/backbone.yaml; see docs/model_garden.md.
"""

from absl import flags

from tf_ssl import errors

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Passes the flags to `official.vision.train`."""
  from official.common import flags as garden_flags
  from official.vision import train

  from tf_ssl.encoders import model_garden_resnet

  model_garden_resnet.register_experiments()
  if "experiment" not in flags.FLAGS:
    garden_flags.define_flags()
  flags.mark_flags_as_required(["experiment", "mode", "model_dir"])
  try:
    flags.FLAGS(["train_model_garden", *invocation.rest])
  except flags.Error as error:
    raise errors.UsageError(f"after --: {error}") from None
  train.main([])


TOOL = cli.Tool("train_model_garden", __doc__, main, takes_rest=True)

if __name__ == "__main__":
  TOOL.run()
