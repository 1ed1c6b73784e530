"""Checks of bindings against annotations, macro by macro."""

import sys
from collections.abc import Callable, Sequence

import pytest

from tf_ssl import errors
from tools._cli import gin_checks, gin_statements


def _function(
  *,
  number: int = 1,
  rate: float = 0.1,
  text: str = "",
  flag: bool = False,
  maybe: str | None = None,
  pair: tuple[int, ...] = (),
  names: Sequence[str] = (),
  either: int | Sequence[int] = 1,
  anything=None,
  call: Callable[[], int] | None = None,
):
  del number, rate, text, flag, maybe, pair, names, either, anything, call


class _Class:
  def __init__(self, size: int):
    self.size = size


def _line(argument, value, *, target=_function, selector="f", scope=""):
  return gin_statements.Binding(scope, selector, argument, value, target)


def _set(name, value):
  return gin_statements.Binding("", name, "", value)


_MACRO = gin_statements.Macro
_REFERENCE = gin_statements.Reference("g", True)
_REQUIRED = _MACRO(gin_statements.REQUIRED)


@pytest.mark.parametrize(
  ("argument", "value"),
  [
    ("number", 3),
    ("rate", 3),
    ("rate", 0.5),
    ("text", "a"),
    ("flag", True),
    ("maybe", None),
    ("maybe", "a"),
    ("pair", (1, 2)),
    ("pair", [1]),
    ("names", ["a", "b"]),
    ("either", 3),
    ("either", [3, 4]),
    ("anything", [1, "a", None]),
    ("call", 3),  # Not checked: the library does.
    ("number", _REFERENCE),
    ("names", ["a", _REFERENCE]),
    ("unknown", 3),
  ],
)
def test_a_value_that_fits_its_annotation_passes(argument, value):
  gin_checks.check([_line(argument, value)])


@pytest.mark.parametrize(
  ("argument", "value", "expected"),
  [
    ("number", 3.0, "int"),
    ("number", True, "int"),
    ("number", None, "int"),
    ("rate", "0.5", "float"),
    ("rate", False, "float"),
    ("text", 3, "str"),
    ("flag", 1, "bool"),
    ("maybe", 3, r"str \| None"),
    ("pair", 3, r"tuple\[int"),
    ("pair", (1, 2.5), r"tuple\[int"),
    ("names", "abc", "Sequence"),
    ("either", "3", r"int \| "),
  ],
)
def test_a_value_that_does_not_fit_is_named_with_what_is_expected(
  argument, value, expected
):
  given = str(value).replace("(", r"\(").replace(")", r"\)")
  with pytest.raises(errors.UsageError, match=expected) as failed:
    gin_checks.check([_line(argument, value)])
  assert f"f.{argument}={value!r}: " in str(failed.value)
  assert given.strip("\\") and "--gin_bindings=" in str(failed.value)


def test_the_parameters_of_a_class_are_those_of_its_constructor():
  gin_checks.check([_line("size", 3, target=_Class)])
  with pytest.raises(errors.UsageError, match="f.size='3': expected int"):
    gin_checks.check([_line("size", "3", target=_Class)])


def test_a_wrong_macro_is_named_with_the_parameter_that_takes_it():
  lines = [
    _line("number", _MACRO("STEPS")),
    _set("STEPS", _MACRO("LONG")),
    _set("LONG", "many"),
  ]
  with pytest.raises(
    errors.UsageError, match=r"LONG='many': expected int \(f.number\)"
  ):
    gin_checks.check(lines)
  gin_checks.check([*lines[:2], _set("LONG", 7)])


def test_a_later_line_replaces_an_earlier_one():
  gin_checks.check([_line("number", "wrong"), _line("number", 3)])
  gin_checks.check(
    [_line("number", _MACRO("N")), _set("N", "wrong"), _set("N", 4)]
  )
  with pytest.raises(errors.UsageError, match="'wrong'"):
    gin_checks.check([_line("number", 3), _line("number", "wrong")])
  # In another scope it is another parameter.
  with pytest.raises(errors.UsageError, match="'wrong'"):
    gin_checks.check([_line("number", "wrong"), _line("number", 3, scope="a")])


@pytest.mark.parametrize(
  ("lines", "message"),
  [
    ([_line("number", _REQUIRED)], r"f.number must be set: .*f.number=\.\.\.'"),
    ([_line("maybe", _REQUIRED)], r'f.maybe must be set: .*="\.\.\."'),
    ([_line("text", _MACRO("NAME"))], 'NAME must be set: .*NAME="'),
    (
      [_line("text", _MACRO("NAME")), _set("NAME", _REQUIRED)],
      'NAME must be set: .*NAME="',
    ),
  ],
)
def test_a_value_that_must_be_set_is_named_with_an_example(lines, message):
  with pytest.raises(errors.UsageError, match=message):
    gin_checks.check(lines)


def test_a_macro_that_nothing_uses_is_refused_except_in_an_earlier_run():
  lines = [_line("number", [_MACRO("STEPS")]), _set("STEPS", 1)]
  gin_checks.check(lines)
  lines.append(_set("STEP", 2))
  with pytest.raises(errors.UsageError, match="STEP .*did you mean STEPS?"):
    gin_checks.check(lines)
  gin_checks.check(lines, of_run=True)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
