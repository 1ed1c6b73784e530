"""Makes the batches of trainings elsewhere: a tf.data service on this machine.

It runs what trainings send it, so let only those reach its ports whom you would
let run programs.
"""

import sys

from ._cli import cli


def main(invocation: cli.Invocation) -> None:
  """Runs `input_pipeline.data_service_host.serve`."""
  from tf_ssl.input_pipeline import data_service_host

  flags = invocation.flags
  data_service_host.serve(
    port=flags.port,
    workers=flags.workers,
    host=flags.host or "localhost",
    dispatcher=flags.dispatcher,
    say=lambda line: print(line, file=sys.stderr, flush=True),
  )


TOOL = cli.Tool("data_service", __doc__, main)
TOOL.number_flag("port", 5050, "Where the dispatcher listens.")
TOOL.number_flag("workers", 1, "How many processes make batches here.")
TOOL.text_flag(
  "host", "By which name or address others reach this machine: localhost."
)
TOOL.text_flag(
  "dispatcher",
  "host:port of the dispatcher on another machine, to work for it instead of"
  " starting one here.",
)

if __name__ == "__main__":
  TOOL.run()
