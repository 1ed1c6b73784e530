"""Gin's exceptions as one line, and defects that stay exceptions."""

import pathlib
import sys

import gin
import pytest

from tf_ssl import errors
from tools._cli import gin_errors


def _f(*, size, steps=3):
  return size, steps


@pytest.fixture(name="configurable", autouse=True, scope="module")
def fixture_configurable():
  # Not a decorator of _f: a file that runs itself is imported a second time.
  return gin.external_configurable(
    _f, "gin_errors_test_f", module="gin_errors_test"
  )


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()


def _parse(text, *, source="--gin_file=a.gin", path="a.gin", **settings):
  path = None if path is None else pathlib.Path(path)
  with gin_errors.explained(source, path=path, **settings):
    gin.parse_config(text)


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("\nx = = 3", r"^a.gin:2: .*\[in: x = = 3\]$"),
    (
      "\n\ngin_errors_test_f.stps = 3",
      "^a.gin:3: gin_errors_test_f has no parameter stps; did you mean steps?",
    ),
    ("\nimport nowhere_at_all", "^a.gin:2: No module named 'nowhere_at_all'"),
    (
      "from json import nowhere_at_all",
      "^a.gin:1: .*nowhere_at_all",
    ),
  ],
)
def test_a_mistake_is_told_with_its_place(text, message):
  with pytest.raises(errors.UsageError, match=message) as failed:
    _parse(text)
  assert "\n" not in str(failed.value)


def test_a_mistake_in_a_binding_is_told_with_the_flag():
  with pytest.raises(errors.UsageError, match="^--gin_bindings=x = = 3: "):
    _parse("x = = 3", source="--gin_bindings=x = = 3", path=None)


def test_a_text_without_quotes_is_told_how_to_quote_it():
  source = "--gin_bindings=IMAGES=photos/"
  with pytest.raises(errors.UsageError) as failed:
    _parse("IMAGES=photos/", source=source, path=None)
  assert str(failed.value).endswith("""--gin_bindings='IMAGES="photos/"'""")


def test_a_name_that_is_not_imported_suggests_one_that_is():
  text = "from __gin__ import dynamic_registration\nresnt.f.x = 3\n"
  with pytest.raises(errors.UsageError, match="resnt .*did you mean resnet?"):
    _parse(text, imported=["resnet", "knn"])


def _raise(error):
  raise error


@pytest.mark.parametrize(
  "error",
  [
    ValueError("of the library"),
    ImportError("No module named 'x'"),
    SyntaxError("of a module"),
    OSError("disk"),
    ZeroDivisionError("defect"),
  ],
)
def test_an_exception_of_the_library_passes_unchanged(error):
  with pytest.raises(type(error)) as failed:
    with gin_errors.explained("--gin_file=a.gin"):
      _raise(error)
  assert failed.value is error


def test_an_error_with_advice_passes_unchanged():
  error = errors.UsageError("change X")
  with pytest.raises(errors.UsageError) as failed:
    with gin_errors.explained("--gin_file=a.gin"):
      _raise(error)
  assert failed.value is error


def test_a_parameter_that_no_file_sets_is_named(configurable):
  call = gin_errors.with_missing_arguments_named(configurable, "f of m")
  assert call(size=4) == (4, 3)
  with pytest.raises(errors.UsageError, match="f of m needs 'size' of"):
    call()


def test_a_type_error_inside_the_function_passes_unchanged():
  def needs(*, size):
    return inner(size)

  def inner(size, more):
    return size, more

  call = gin_errors.with_missing_arguments_named(needs, "needs")
  with pytest.raises(TypeError, match="missing 1 required.*'more'"):
    call(size=3)
  with pytest.raises(TypeError, match="unexpected keyword argument 'x'"):
    call(x=3)


def test_only_a_close_name_is_suggested():
  names = ["learning_rate", "steps"]
  found = gin_errors.did_you_mean("learnig_rate", names)
  assert found == "; did you mean learning_rate?"
  assert gin_errors.did_you_mean("queue", names) == ""
  assert gin_errors.did_you_mean("queue", []) == ""


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
