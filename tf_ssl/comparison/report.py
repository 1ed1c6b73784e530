"""Reports in, one comparison out: a page, a table and a picture."""

import os
from collections.abc import Callable, Sequence

from tf_ssl import errors
from tf_ssl.comparison import chart
from tf_ssl.comparison import compare as comparison_lib
from tf_ssl.comparison import page as comparison_page
from tf_ssl.ops import workdir

PAGE_FILE = "comparison.md"
TABLE_FILE = "comparison.csv"
CHART_FILE = "comparison.png"


def write(
  paths: Sequence[str],
  output_dir: str,
  *,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> str:
  """Compares reports.

  Args:
    paths: of report.json and invariance.json, or their folders.
    output_dir: made if it is not there; an older comparison is replaced.
    command: for the page.
    say: gets a line for each group of protocols that are not the same.

  Returns:
    The path of the page.

  Raises:
    UsageError: as `comparison.read` and `comparison.compare`; or the folder
      cannot be written.
  """
  found = comparison_lib.compare(comparison_lib.read(paths))
  page = comparison_page.markdown(found, chart=CHART_FILE, command=command)
  picture = chart.draw(found)
  try:
    os.makedirs(output_dir, exist_ok=True)
    with workdir.replacing_file(os.path.join(output_dir, CHART_FILE)) as path:
      path.write_bytes(picture)
    table = comparison_page.table(found)
    workdir.write_text(os.path.join(output_dir, TABLE_FILE), table)
    path = os.path.join(output_dir, PAGE_FILE)
    workdir.write_text(path, page)
  except OSError as error:
    raise errors.UsageError(
      f"the comparison cannot be written to {output_dir}: "
      f"{error.strerror or error}; choose a folder that you may write to"
    ) from error
  for line in comparison_page.difference_lines(found):
    say(line)
  return path
