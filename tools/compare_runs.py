"""Compares training runs: learning curves, speed, settings that differ.

    python -m tools.compare_runs runs/*

prints a table, and draws loss, kNN accuracy, images per second and data wait in
one HTML page. Runs may be unfinished or damaged; folders that are no runs are
named and left out.
"""

from ._cli import cli

_OUTPUT_DIR = "compared_runs"


def main(invocation: cli.Invocation) -> None:
  """Reads the runs, prints the table and writes the page."""
  from tf_ssl.comparison import runs_page

  page = runs_page.write(
    invocation.rest,
    invocation.flags.output_dir or _OUTPUT_DIR,
    command=invocation.command,
    say=print,
  )
  print(f"\ncomparison: {page}")


TOOL = cli.Tool("compare_runs", __doc__, main, takes_rest=True)
TOOL.text_flag("output_dir", f"Folder of the page; default {_OUTPUT_DIR}.")

if __name__ == "__main__":
  TOOL.run()
