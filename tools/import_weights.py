"""Imports other projects' weights as a SavedModel.

It reads PyTorch checkpoints of MoCo v1 and v2, VISSL, torchvision, lightly and
solo-learn, TensorFlow 2 checkpoints of google-research/simclr, and .npz or
.safetensors files with torchvision's names. It executes nothing in a file.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Builds the encoder from the file and writes it."""
  from tf_ssl.export import saved_model
  from tf_ssl.export import weights as weights_lib

  parsed = invocation.flags
  encoder, weights = weights_lib.read_encoder(parsed.weights)
  saved_model.export_encoder(
    encoder,
    None,
    parsed.output,
    provenance={"weights": weights},
    overwrite=parsed.overwrite,
  )
  print(f"Imported {parsed.weights} ({weights['kind']}) to {parsed.output}")
  for reason, names in weights["ignored"].items():
    print(f"  not used: {len(names)} arrays, {reason}")
  for line in weights["assumed"]:
    print(f"  assumed: {line}")
  for name, value in weights["differences_from_torchvision"].items():
    print(f"  different from torchvision's network: {name}={value}")


TOOL = cli.Tool("import_weights", __doc__, main, required=["weights", "output"])
TOOL.text_flag(
  "weights",
  "A checkpoint, such as moco_v2_800ep_pretrain.pth.tar or simclr/ckpt-100.",
)
TOOL.text_flag("output", "Output folder, such as imported/moco_v2.")
TOOL.switch("overwrite", "Replaces an existing --output.")

if __name__ == "__main__":
  TOOL.run()
