"""Reads a Dockerfile: its stages, instructions and values of variables."""

import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_KNOWN = frozenset(
  "ARG CMD COPY ENTRYPOINT ENV FROM LABEL RUN USER WORKDIR".split()
)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


class Instruction(NamedTuple):
  """One instruction of a Dockerfile.

  Attributes:
    line: number of its first line.
    name: name in capitals, such as RUN.
    value: text after the name, with continued lines joined.
  """

  line: int
  name: str
  value: str

  def words(self) -> list[str]:
    """The words of ["the", "JSON form"].

    Raises:
      ValueError: the value has another form.
    """
    words = json.loads(self.value)
    if not isinstance(words, list) or not all(
      isinstance(word, str) for word in words
    ):
      raise ValueError(f"line {self.line}: expected a JSON list of words")
    return words

  def pairs(self, variables: Mapping[str, str]) -> dict[str, str]:
    """The NAME=VALUE pairs of ENV or LABEL.

    Args:
      variables: values of the variables that the pairs may refer to.
    """
    return {
      name: expanded(value.strip('"'), variables)
      for name, value in _PAIR.findall(self.value)
    }


class Stage(NamedTuple):
  """What follows one FROM.

  Attributes:
    base: name of the image that the stage starts from.
    name: name of the stage; its number where it has none.
    instructions: instructions after FROM.
  """

  base: str
  name: str
  instructions: Sequence[Instruction]


def instructions(text: str) -> list[Instruction]:
  """All instructions of a Dockerfile.

  Args:
    text: content of the Dockerfile.

  Raises:
    ValueError: there is an instruction that this module does not know.
  """
  found, parts, first = [], [], 0
  for number, line in enumerate(text.splitlines(), 1):
    if line.lstrip().startswith("#") or not (parts or line.strip()):
      continue
    first = first if parts else number
    parts.append(line.removesuffix("\\"))
    if line.endswith("\\"):
      continue
    name, _, value = "\n".join(parts).strip().partition(" ")
    parts = []
    if name not in _KNOWN or value.lstrip().startswith("<<"):
      raise ValueError(f"line {first}: {name} is not supported here")
    joined = " ".join(part.strip() for part in value.splitlines())
    found.append(Instruction(first, name, joined))
  return found


def stages(
  path: pathlib.Path, arguments: Mapping[str, str]
) -> tuple[list[Stage], dict[str, str]]:
  """The stages of a Dockerfile.

  Args:
    path: path of the Dockerfile.
    arguments: values of build arguments (--build-arg).

  Returns:
    The stages, and the values of the arguments before the first.
  """
  found, values = [], {}
  for each in instructions(path.read_text(encoding="utf-8")):
    if each.name == "FROM":
      base, *rest = each.value.split()
      name = rest[1] if len(rest) == 2 else str(len(found))
      found.append(Stage(expanded(base, values), name, []))
    elif found:
      found[-1].instructions.append(each)
    else:
      name, default = argument(each)
      values[name] = arguments.get(name, default)
  return found, values


def argument(instruction: Instruction) -> tuple[str, str]:
  """Name and default of an ARG."""
  name, _, default = instruction.value.partition("=")
  return name, default.strip('"')


def expanded(text: str, variables: Mapping[str, str]) -> str:
  """Text with the values of $NAME and ${NAME}; unknown ones are empty."""
  return _VARIABLE.sub(lambda m: variables.get(m[1] or m[2], ""), text)
