"""Signatures and docstrings of the project, read without importing it."""

import ast
import functools
import pathlib
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):")
_ENTRY = re.compile(r"  ([\w*][\w*, ]*):\s+(.+)")


class Parameter(NamedTuple):
  """A parameter of a function, or a field of a class.

  Attributes:
    name: name, with stars for *args and **kwargs.
    annotation: type as the source has it; "" for none.
    default: default as the source has it; None if the parameter is required.
    text: description in the docstring; "" for none.
    keyword_only: whether it can only be given by name.
  """

  name: str
  annotation: str
  default: str | None
  text: str
  keyword_only: bool = False


class Definition(NamedTuple):
  """A function or class.

  Attributes:
    module: name of the module that defines it.
    node: syntax tree.
  """

  module: str
  node: ast.FunctionDef | ast.ClassDef

  @property
  def is_class(self) -> bool:
    """Whether it is a class."""
    return isinstance(self.node, ast.ClassDef)

  @property
  def docstring(self) -> str:
    """Text of the docstring; of a class, with that of its __init__."""
    texts = [ast.get_docstring(self.node) or ""]
    if self.is_class and (init := _method(self.node, "__init__")):
      texts.append(ast.get_docstring(init) or "")
    return "\n\n".join(filter(None, texts))

  @property
  def purpose(self) -> str:
    """The docstring up to its first section or example."""
    lines = (ast.get_docstring(self.node) or "").splitlines()
    stops = [
      i
      for i, line in enumerate(lines)
      if _SECTION.fullmatch(line) or line.startswith(">>>")
    ]
    return "\n".join(lines[: stops[0] if stops else None]).strip()

  def parameters(self) -> list[Parameter]:
    """Parameters of the function, or those that make an object."""
    texts = entries(self.docstring)
    if not self.is_class:
      return list(_of_function(self.node, texts))
    if init := _method(self.node, "__init__"):
      return list(_of_function(init, texts))[1:]
    fields: dict[str, Parameter] = {}
    for base in self.node.bases:
      if found := _resolve(self.module, ast.unparse(base)):
        fields |= {each.name: each for each in found.parameters()}
    if _has_fields(self.node):
      for each in _fields(self.node, texts):
        fields[each.name] = each
    return list(fields.values())

  def methods(self) -> Iterator["Definition"]:
    """Public methods and properties."""
    for node in self.node.body:
      if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
        yield Definition(self.module, node)

  @property
  def is_property(self) -> bool:
    """Whether it is a property of a class."""
    return any(
      ast.unparse(each).endswith("property")
      for each in self.node.decorator_list
    )

  def signature(self) -> str:
    """Parameters with types and defaults, and the type of what returns."""
    init = _method(self.node, "__init__") if self.is_class else self.node
    if init is None:
      words = [_written(each) for each in self.parameters()]
      return f"({', '.join(['*', *words] if words else [])})"
    arguments = ast.parse("def f(): pass").body[0].args
    for name in arguments._fields:
      setattr(arguments, name, getattr(init.args, name))
    for names in (arguments.posonlyargs, arguments.args):
      if names and names[0].arg in ("self", "cls"):
        del names[0]
    returns = "" if self.is_class or init.returns is None else init.returns
    arrow = f" -> {ast.unparse(returns)}" if returns else ""
    return f"({ast.unparse(arguments)}){arrow}"


def find(name: str) -> Definition | None:
  """Finds a function or class.

  Args:
    name: full name, such as "tf_ssl.training.settings.Pretraining".

  Returns:
    The definition; None if it is not one of this project.
  """
  module, _, last = name.rpartition(".")
  tree = _tree(module)
  for node in tree.body if tree else ():
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == last:
      return Definition(module, node)
  return None


def entries(docstring: str) -> dict[str, str]:
  """Returns the descriptions in "Args" and "Attributes", by name."""
  found: dict[str, str] = {}
  inside, names = False, []
  for line in docstring.splitlines():
    if line and not line.startswith(" "):
      inside, names = bool(re.fullmatch(r"(Args|Attributes):", line)), []
    elif inside and (match := _ENTRY.fullmatch(line)):
      names = [name.strip() for name in match[1].split(",")]
      found |= dict.fromkeys(names, match[2])
    elif inside and line.strip():
      found |= {name: f"{found[name]} {line.strip()}" for name in names}
  return found


def purpose_of(module: str) -> str:
  """Returns the first line of a module's docstring."""
  text = ast.get_docstring(_tree(module)) or ""
  return text.partition("\n\n")[0].replace("\n", " ")


def written(node: ast.expr) -> str:
  """Returns an expression as source code."""
  return ast.unparse(node)


def literal(module: str, name: str) -> object:
  """Returns the value of a constant of a module, made of literals."""
  for node in _tree(module).body:
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
      return ast.literal_eval(node.value)
  raise LookupError(f"{module} has no {name}")


@functools.cache
def _tree(module: str) -> ast.Module | None:
  path = ROOT.joinpath(*module.split("."))
  for file in (path.with_suffix(".py"), path / "__init__.py"):
    if file.is_file():
      return ast.parse(file.read_text(encoding="utf-8"), str(file))
  return None


@functools.cache
def _imports(module: str) -> Mapping[str, str]:
  """Full names of what a module imports, by the names that it gives them."""
  names = {}
  for node in ast.walk(_tree(module)):
    if isinstance(node, ast.Import):
      names |= {each.asname or each.name: each.name for each in node.names}
    elif isinstance(node, ast.ImportFrom) and not node.level:
      names |= {
        each.asname or each.name: f"{node.module}.{each.name}"
        for each in node.names
      }
  return names


def _resolve(module: str, name: str) -> Definition | None:
  first, _, rest = name.partition(".")
  if not rest:
    return find(f"{module}.{name}")
  return find(f"{_imports(module).get(first, first)}.{rest}")


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
  for each in node.body:
    if isinstance(each, ast.FunctionDef) and each.name == name:
      return each
  return None


def _has_fields(node: ast.ClassDef) -> bool:
  decorators = [ast.unparse(each) for each in node.decorator_list]
  bases = [ast.unparse(each) for each in node.bases]
  return "NamedTuple" in bases or any("dataclass" in d for d in decorators)


def _fields(
  node: ast.ClassDef, texts: Mapping[str, str]
) -> Iterator[Parameter]:
  for each in node.body:
    if isinstance(each, ast.AnnAssign) and not ast.unparse(
      each.annotation
    ).startswith("ClassVar"):
      name = ast.unparse(each.target)
      default = each.value and _default(each.value)
      text = texts.get(name, "")
      yield Parameter(name, ast.unparse(each.annotation), default, text, True)


def _default(value: ast.expr) -> str:
  """Default of a field; of dataclasses.field, what its factory makes."""
  text = ast.unparse(value)
  factory = re.fullmatch(r"dataclasses\.field\(default_factory=(.*)\)", text)
  return f"{factory[1]}()" if factory else text


def _of_function(
  node: ast.FunctionDef, texts: Mapping[str, str]
) -> Iterator[Parameter]:
  given = node.args
  usual = [*given.posonlyargs, *given.args]
  missing: Sequence[None] = [None] * (len(usual) - len(given.defaults))
  for group, defaults, keyword_only in (
    (usual, [*missing, *given.defaults], False),
    (given.kwonlyargs, given.kw_defaults, True),
  ):
    for each, default in zip(group, defaults, strict=True):
      yield Parameter(
        each.arg,
        ast.unparse(each.annotation) if each.annotation else "",
        ast.unparse(default) if default else None,
        texts.get(each.arg, ""),
        keyword_only,
      )


def _written(parameter: Parameter) -> str:
  name, annotation, default, _, _ = parameter
  typed = f"{name}: {annotation}" if annotation else name
  return typed if default is None else f"{typed} = {default}"


def dedented(text: str) -> str:
  """Returns text without the indent that all its lines share."""
  return textwrap.dedent(text).strip()


def unwrapped(text: str) -> str:
  """Returns text with the lines of each paragraph joined."""
  paragraphs = re.split(r"\n\s*\n", textwrap.dedent(text).strip())
  return "\n\n".join(" ".join(each.split()) for each in paragraphs)
