"""Measures a model by a downstream protocol and writes the report."""

import dataclasses
import os
from collections.abc import Callable
from typing import NamedTuple

from tf_ssl import errors
from tf_ssl.evaluation import protocol as protocol_lib
from tf_ssl.evaluation import report, sanity
from tf_ssl.ops import workdir


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
  """Settings of an evaluation, which a gin file binds.

  Attributes:
    protocol: protocol with its settings, such as `knn.Knn`.
  """

  protocol: protocol_lib.DownstreamProtocol

  def __post_init__(self):
    """Checks that `protocol` is an object with a method `run`."""
    is_class = isinstance(self.protocol, type)
    if is_class or not callable(getattr(self.protocol, "run", None)):
      name = getattr(self.protocol, "__name__", repr(self.protocol))
      raise errors.UsageError(
        f"evaluate.Evaluation.protocol is {name}; expected a protocol with its "
        "settings, such as @knn.Knn() with parentheses"
      )


class Evaluated(NamedTuple):
  """A measurement and its report.

  Attributes:
    outcome: results of the protocol.
    page: path of the report's page.
  """

  outcome: protocol_lib.Outcome
  page: str


def evaluate(
  settings: Evaluation,
  subject: protocol_lib.Subject,
  output_dir: str,
  *,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> Evaluated:
  """Measures a model by a protocol and writes the report.

  Args:
    settings: protocol with its settings.
    subject: model to evaluate, loaded before any image is read.
    output_dir: path of the folder to write; created if missing. The same call
      resumes an interrupted one.
    command: command line for the report.
    say: prints one line about the model and one for each result.

  Returns:
    The outcome and the path of the page.

  Raises:
    UsageError: the model or the images cannot be used, or the folder cannot be
      written.
  """
  say(subject.frozen.description.text())
  with workdir.writable(output_dir, "--output_dir"):
    os.makedirs(output_dir, exist_ok=True)
  outcome = settings.protocol.run(subject, output_dir=output_dir, say=say)
  notes = sanity.of_outcome(outcome.results, outcome.data)
  outcome = outcome._replace(
    notes=[*outcome.notes, *sanity.warned(outcome.protocol, notes)]
  )
  page = report.write(outcome, subject, command, output_dir)
  for name, value in outcome.results.items():
    say(f"{subject.name}: {report.result_line(name, value)}")
  return Evaluated(outcome, page)
