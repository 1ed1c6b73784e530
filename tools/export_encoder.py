"""Exports the encoder of a pretraining run as a SavedModel.

The SavedModel runs and can be fine-tuned without tf_ssl, by
tf.saved_model.load(DIR) or tensorflow_hub.KerasLayer(DIR, trainable=True).
"""

from ._cli import cli, gin_runs


def main(invocation: cli.Invocation) -> None:
  """Builds the method from the run's configuration and writes the encoder."""
  from tf_ssl.export import provenance, saved_model

  parsed = invocation.flags
  method, model_dir, checkpoint = gin_runs.restore(parsed.checkpoint)
  saved_model.export_encoder(
    method.encoder,
    method.projection_head,
    parsed.output,
    provenance=provenance.provenance(str(model_dir), checkpoint=checkpoint),
    license=parsed.license,
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
TOOL.text_flag("output", "Output folder, such as exported/a.")
TOOL.text_flag(
  "license",
  "License of the weights for the model card, such as apache-2.0; default: "
  "unknown.",
)
TOOL.switch("overwrite", "Replaces an existing --output.")

if __name__ == "__main__":
  TOOL.run()
