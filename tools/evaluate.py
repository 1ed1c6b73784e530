"""Evaluates a model with a downstream protocol and writes a report.

The gin file names the protocol (kNN, a linear probe, ...) and the images. The
report, report.json and report.md, includes all settings. The same command
resumes an interrupted evaluation.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs the protocol that the gin files bind."""
  from tf_ssl.evaluation import evaluate, protocol

  from ._cli import gin_runs

  flags = invocation.flags
  settings = invocation.configured(evaluate.Evaluation)()
  subject = protocol.Subject(
    flags.model,
    layer=flags.layer,
    preprocessing=flags.preprocessing,
    restore_run=gin_runs.restore_encoder,
    torch_python=flags.torch_python,
  )
  found = evaluate.evaluate(
    settings,
    subject,
    flags.output_dir,
    command=invocation.command,
    say=print,
  )
  print(f"report: {found.page}")


TOOL = cli.Tool(
  "evaluate",
  __doc__,
  main,
  config_folders=["evaluate"],
  required=["model", "output_dir"],
)
TOOL.model_flag(repeated=False)
TOOL.text_flag("output_dir", "Output folder, such as evaluated/a-knn.")
TOOL.text_flag(
  "layer", "Layer of the model to read; by default chosen from its structure."
)
TOOL.text_flag(
  "preprocessing",
  "Pixel values that the model expects: 0..255, 0..1, -1..1, imagenet, caffe.",
)

if __name__ == "__main__":
  TOOL.run()
