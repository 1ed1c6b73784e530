"""Runs a downstream protocol on a model: what a gin file of evaluate/ binds."""

import dataclasses
import os
from collections.abc import Callable

from tf_ssl import errors
from tf_ssl.evaluation import protocol as protocol_lib
from tf_ssl.evaluation import protocol_page, protocol_report


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
  """What to measure.

  Attributes:
    protocol: such as `knn.Knn`, with its settings.
  """

  protocol: protocol_lib.DownstreamProtocol

  def __post_init__(self):
    """Refuses what is no protocol."""
    is_class = isinstance(self.protocol, type)
    if is_class or not callable(getattr(self.protocol, "run", None)):
      name = getattr(self.protocol, "__name__", repr(self.protocol))
      raise errors.UsageError(
        f"evaluate.Evaluation.protocol is {name}; expected a protocol with its "
        "settings, such as @knn.Knn() with the brackets"
      )


def evaluate(
  settings: Evaluation,
  subject: protocol_lib.Subject,
  output_dir: str,
  *,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> str:
  """Measures a model by a protocol and writes the report.

  Args:
    settings: the protocol.
    subject: the model; it is loaded before any image is read.
    output_dir: made if it is not there. The same call goes on where it was
      stopped.
    command: for the report.
    say: gets one line about the model and one about each result.

  Returns:
    The path of the page.

  Raises:
    UsageError: a model or images that cannot be used, a folder that cannot be
      written.
  """
  say(subject.frozen.description.text())
  try:
    os.makedirs(output_dir, exist_ok=True)
  except OSError as error:
    raise errors.UsageError(
      f"output_dir {output_dir}: {error.strerror or error}; choose a folder "
      "that you may write to"
    ) from error
  outcome = settings.protocol.run(subject, output_dir=output_dir, say=say)
  page = protocol_report.write(outcome, subject, command, output_dir)
  for name, value in outcome.results.items():
    say(f"{subject.name}: {protocol_page.result_line(name, value)}")
  return page
