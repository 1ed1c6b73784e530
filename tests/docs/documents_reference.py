"""The documents of the project, and the commands in them."""

import pathlib
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^|\n\n)((?:    .+\n?)+)")
_INLINE = re.compile(r"`((?:\w+=\S+ )?(?:python -m|tf-ssl) [^`]+)`")
_FILE = re.compile(
  r"`([\w./]+\.(?:py|gin))`:\n\n```(?:python|gin)\n(.*?)```", re.DOTALL
)

# First words of commands.
PROGRAMS = (
  "python",
  "tf-ssl",
  "make",
  "pip",
  "source",
  "tensorboard",
  "bazel",
  "git",
  "docker",
  ".ci/run",
  ".venv/bin/python",
  "release/try_distributions",
)


class Command(NamedTuple):
  """A command of a document.

  Attributes:
    document: path of the document.
    words: words as a shell splits them.
    is_whole: whether a reader can copy it: it stands in a block, without "...".
  """

  document: pathlib.Path
  words: tuple[str, ...]
  is_whole: bool

  def __str__(self) -> str:
    return f"{self.document.name}: {shlex.join(self.words)}"


def paths(repository: pathlib.Path) -> list[pathlib.Path]:
  """Returns the documents with commands: Markdown, and gin files."""
  found = [
    *repository.glob("*.md"),
    *(repository / "docs").rglob("*.md"),
    *(repository / "gin_configs").rglob("README.md"),
    *(repository / "gin_configs").rglob("*.gin"),
    *(repository / "benchmarks").glob("*.md"),
  ]
  return sorted(p for p in found if p.name != "CHANGELOG.md")


def commands(path: pathlib.Path) -> list[Command]:
  """Returns the commands in the blocks and the text of a document."""
  text = path.read_text(encoding="utf-8")
  if path.suffix == ".gin":
    lines = re.findall(r"^#(?: (.*))?$", text, re.MULTILINE)
    text = "\n".join(line and f"  {line}" for line in lines)
  return [
    Command(path, tuple(words), in_block and "..." not in " ".join(words))
    for words, in_block in _commands(text)
  ]


def files(path: pathlib.Path) -> dict[str, str]:
  """Returns the files that a document shows, by the names it gives them."""
  return dict(_FILE.findall(path.read_text(encoding="utf-8")))


def number_of_words(text: str) -> int:
  """Returns the number of words that a reader of Markdown reads."""
  text = re.sub(r"<!--.*?-->|```{toctree}.*?```", "", text, flags=re.DOTALL)
  text = re.sub(r"\]\([^)]*\)", "]", text)
  return len(re.findall(r"\w[\w.'/=-]*", text))


def _commands(text: str) -> Iterator[tuple[list[str], bool]]:
  """Yields the words of each command, and whether it stands in a block."""
  rest = _FENCED.sub("\n", text)
  inline = [line.replace("\n", " ") for line in _INLINE.findall(rest)]
  shown = [block for _, kind, block in _FENCED.findall(text) if kind == "bash"]
  blocks = [(block, True) for block in [*shown, *_INDENTED.findall(rest)]]
  for block, in_block in [*blocks, *((line, False) for line in inline)]:
    for words in map(_split, _lines(block)):
      # An indented block may be Python, YAML or gin.
      if words and (block in shown or words[0] in PROGRAMS):
        yield words, in_block


def _lines(block: str) -> list[str]:
  return re.sub(r"\\\n", " ", block).splitlines()


def _split(line: str) -> list[str]:
  """Words of a line; empty for one that is no command."""
  try:
    words = shlex.split(line, comments=True)
  except ValueError:  # A quote without an end: Python or a log.
    return []
  while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
    del words[0]
  return words
