"""The command `tf-ssl`, with the tools as subcommands: `tf-ssl train ...`."""

import difflib
import importlib
import pathlib
import sys

from ._cli import streams

_NOT_TOOLS = ("__init__", "__main__", "main")


def run() -> None:
  """Runs the tool named by the first argument, with the other arguments."""
  with streams.prepared("tf-ssl"):
    _run()


def _run() -> None:
  name, arguments = (*sys.argv[1:2], ""), sys.argv[2:]
  if name[0] in ("", "-h", "--help", "help"):
    print("Usage: tf-ssl COMMAND [--help] [flags]\n\nCommands:")
    for tool in names():
      purpose = _module(tool).TOOL.purpose.splitlines()[0]
      print(f"  {tool:20} {purpose}")
    sys.exit(0 if name[0] else 2)
  if name[0] not in names():
    close = difflib.get_close_matches(name[0], names(), n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    print(
      f"tf-ssl: no command {name[0]!r}{meant} (there are: "
      f"{', '.join(names())})",
      file=sys.stderr,
    )
    sys.exit(2)
  _module(name[0]).TOOL.run(arguments)


def names() -> list[str]:
  """Returns the names of the tools, which are the modules of this folder."""
  modules = pathlib.Path(__file__).parent.glob("*.py")
  return sorted(path.stem for path in modules if path.stem not in _NOT_TOOLS)


def _module(name: str):
  return importlib.import_module(f".{name}", __package__)


if __name__ == "__main__":
  run()
