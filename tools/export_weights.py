"""Exports an encoder's weights for PyTorch, NumPy, ONNX or Model Garden.

The suffix of --output selects the format: .pth or .pt for torchvision's
state_dict (needs PyTorch), .npz for the same names without PyTorch, .onnx for
the network, .ckpt for a folder with a checkpoint for Model Garden's trainers.
"""

import os

from ._cli import cli, gin_runs


def main(invocation: cli.Invocation) -> None:
  """Rebuilds the encoder and writes its weights."""
  from tf_ssl.export import model_garden_checkpoint, saved_model
  from tf_ssl.export import weights as weights_lib

  parsed = invocation.flags
  path = parsed.checkpoint
  if os.path.isfile(os.path.join(path, saved_model.MODEL_FILE)):
    encoder, _ = weights_lib.read_encoder(path)
  else:
    encoder = gin_runs.restore_encoder(path)
  write = weights_lib.write_encoder
  if os.path.splitext(os.path.normpath(parsed.output))[1] == ".ckpt":
    write = model_garden_checkpoint.write
  write(encoder, parsed.output, overwrite=parsed.overwrite)
  print(f"Exported the encoder of {path} to {parsed.output}")


TOOL = cli.Tool(
  "export_weights", __doc__, main, required=["checkpoint", "output"]
)
TOOL.text_flag(
  "checkpoint",
  "A run's model_dir (its newest checkpoint), one checkpoint in it, or a "
  "SavedModel of this project.",
)
TOOL.text_flag("output", "Output file, such as exported/moco.pth.")
TOOL.switch("overwrite", "Replaces an existing --output.")

if __name__ == "__main__":
  TOOL.run()
