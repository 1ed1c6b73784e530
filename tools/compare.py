"""Puts reports of several models, protocols and seeds into one table.

report.json of tools.evaluate and invariance.json of tools.measure_invariance.
Numbers of different protocols are listed, and never ranked against each other.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Reads the reports and writes page, table and picture."""
  from tf_ssl.comparison import report

  flags = invocation.flags
  page = report.write(
    flags.report, flags.output_dir, command=invocation.command, say=print
  )
  print(f"comparison: {page}")


TOOL = cli.Tool("compare", __doc__, main, required=["report", "output_dir"])
TOOL.repeated_flag(
  "report",
  "A report.json or invariance.json, or the folder of one; may be repeated. "
  "Models of one name, measured alike, are averaged over their seeds.",
)
TOOL.text_flag("output_dir", "The folder to write, such as compared/a.")

if __name__ == "__main__":
  TOOL.run()
