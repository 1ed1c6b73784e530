"""Exports the encoder of a pretraining run as a SavedModel.

The SavedModel runs and fine-tunes without tf_ssl: tf.saved_model.load(DIR), or
tensorflow_hub.KerasLayer(DIR, trainable=True).
"""

from tf_ssl import errors

from . import cli, gin_files


def main(invocation: cli.Invocation) -> None:
  """Rebuilds the run's method from its own config and writes the encoder."""
  from tf_ssl.export import provenance, saved_model
  from tf_ssl.training import assembly, run_directory, settings

  parsed = invocation.flags
  model_dir, checkpoint = assembly.locate_checkpoint(parsed.checkpoint)
  config = model_dir / run_directory.CONFIG_FILE
  if not config.is_file():
    raise errors.UsageError(
      f"--checkpoint={parsed.checkpoint}: the run {model_dir} has no "
      f"{run_directory.CONFIG_FILE}, which says how its encoder is built; copy "
      "the whole model_dir, or that file, beside the checkpoints"
    )
  gin_files.load([str(config)], [])
  run_settings = invocation.configured(settings.Pretraining)()
  method, _, _ = assembly.restore_method(run_settings, parsed.checkpoint)
  saved_model.export_encoder(
    method.encoder,
    method.projection_head,
    parsed.output,
    provenance=provenance.provenance(str(model_dir), checkpoint=checkpoint),
    overwrite=parsed.overwrite,
  )
  print(
    f"Exported {checkpoint} to {parsed.output}\n"
    "Features of images [B, H, W, 3], 0..255:\n"
    f"  encoder = tf.saved_model.load({parsed.output!r})\n"
    "  encoder.features(images)"
  )


TOOL = cli.Tool(
  "export_encoder", __doc__, main, required=["checkpoint", "output"]
)
TOOL.text_flag(
  "checkpoint",
  "A run's model_dir (its newest checkpoint), or one checkpoint in it, such as "
  "runs/a or runs/a/checkpoints/step-1000.",
)
TOOL.text_flag("output", "The folder to write, such as exported/a.")
TOOL.switch("overwrite", "Replaces what stands at --output.")

if __name__ == "__main__":
  TOOL.run()
