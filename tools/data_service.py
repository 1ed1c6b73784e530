"""Runs a tf.data service, which makes batches for training on other machines.

It executes what training jobs send. Restrict access to its ports to people who
may run programs on this machine.
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
TOOL.number_flag("port", 5050, "Port of the dispatcher.")
TOOL.number_flag("workers", 1, "Number of processes that make batches here.")
TOOL.text_flag(
  "host", "Name or address of this machine for others; default: localhost."
)
TOOL.text_flag(
  "dispatcher",
  "host:port of a dispatcher on another machine; default: one is started here.",
)

if __name__ == "__main__":
  TOOL.run()
