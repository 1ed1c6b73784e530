"""Compares reports of several models, protocols and seeds in one table.

Reads report.json of tools.evaluate and invariance.json of
tools.measure_invariance. Numbers of different protocols are never ranked
against each other.
"""

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Reads the reports and writes page, table and chart."""
  from tf_ssl.comparison import page

  flags = invocation.flags
  path = page.write(
    flags.report, flags.output_dir, command=invocation.command, say=print
  )
  print(f"comparison: {path}")


TOOL = cli.Tool("compare", __doc__, main, required=["report", "output_dir"])
TOOL.repeated_flag(
  "report",
  "A report.json or invariance.json, or its folder; may be repeated. Reports "
  "of one model by one protocol are averaged over their seeds.",
)
TOOL.text_flag("output_dir", "Folder of the comparison, such as compared/a.")

if __name__ == "__main__":
  TOOL.run()
