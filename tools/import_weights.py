"""Imports other projects' weights as a SavedModel.

It reads PyTorch checkpoints that have torchvision's ResNet under any prefix,
such as those of MoCo, DINO, Barlow Twins, VISSL, lightly and solo-learn,
TensorFlow 2 checkpoints of google-research/simclr, and .npz or .safetensors
files with torchvision's names. It executes nothing in a file.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Builds the encoder from the file and writes it."""
  from tf_ssl.export import saved_model
  from tf_ssl.export import weights as weights_lib
  from tf_ssl.ops import names

  parsed = invocation.flags
  encoder, weights = weights_lib.read_encoder(
    parsed.weights,
    prefix=parsed.prefix,
    stem_padding=parsed.stem_padding or None,
  )
  saved_model.export_encoder(
    encoder,
    None,
    parsed.output,
    provenance={"weights": weights},
    license=parsed.license,
    overwrite=parsed.overwrite,
  )
  print(f"Imported {parsed.weights} ({weights['kind']}) to {parsed.output}")
  if weights["prefix"]:
    print(f"  encoder: the arrays {names.escaped(weights['prefix'])}*")
  if weights["other_prefixes"]:
    others = names.listed(weights["other_prefixes"], 8)
    print(f"  other encoders, which --prefix can choose: {others}")
  for reason, unused in weights["ignored"].items():
    examples = names.listed(unused, 2)
    print(f"  not used: {len(unused)} arrays, {reason} ({examples})")
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
TOOL.text_flag(
  "prefix",
  "Prefix of the encoder's names, or a part of it such as student, if the file "
  "has several encoders.",
)
TOOL.number_flag(
  "stem_padding",
  0,
  "Padding of a 3x3 stem, px: 1, 2 or 3. 0: 2 for solo-learn, otherwise 1.",
)
TOOL.text_flag(
  "license",
  "License of the weights for the model card, such as apache-2.0; default: "
  "unknown.",
)
TOOL.switch("overwrite", "Replaces an existing --output.")

if __name__ == "__main__":
  TOOL.run()
