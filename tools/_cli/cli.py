"""The command line of every tool: flags, gin files, folders, exit codes.

A tool is a module of `tools` that makes one `Tool`. It runs as
`python -m tools.NAME`, as `tf-ssl NAME` where the package is installed, and as
`bazel run //tools:NAME`.
"""

import os
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gin
from absl import flags

from tf_ssl import errors
from tf_ssl.ops import names, workdir

from . import gin_errors, gin_files, quiet, streams


class Invocation(NamedTuple):
  """One call of a tool.

  Attributes:
    flags: parsed flags; their values are attributes.
    command: command that the user typed, quoted for a shell.
    rest: words after `--`, for a tool that takes them.
  """

  flags: flags.FlagValues
  command: str
  rest: Sequence[str] = ()

  def configured(self, function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `function` with its parameters bound by the gin files."""
    return gin_files.configured(function)

  def numbers(
    self, name: str, kind: Callable[[str], Any], default: str
  ) -> tuple[Any, ...]:
    """Returns the numbers of a text flag with commas between.

    Args:
      name: name of the flag.
      kind: int or float.
      default: text to use if the user gives none.

    Raises:
      UsageError: a word is no such number.
    """
    text = self.flags[name].value or default
    try:
      return tuple(map(kind, text.split(",")))
    except ValueError:
      raise errors.UsageError(
        f"--{name}={text}: expected numbers with commas between, such as"
        f" {default}"
      ) from None

  def operative_config(self) -> str:
    """Returns all parameters used so far, as the text of a gin file."""
    return gin.operative_config_str()


class Tool:
  """A command line: flags, and the function that gets them.

  Attributes:
    flags: absl flags of this tool.
  """

  def __init__(
    self,
    name: str,
    purpose: str,
    main: Callable[[Invocation], None],
    *,
    config_folders: Sequence[str] = (),
    default_config: str | None = None,
    quick_config: str | None = None,
    required: Sequence[str] = (),
    takes_rest: bool = False,
    takes_files: bool = False,
  ):
    """Initializes the tool.

    Args:
      name: name of its module and subcommand.
      purpose: help text; its first line is in the list of subcommands.
      main: function that does the work. It may raise
        `tf_ssl.errors.UsageError`.
      config_folders: folders of gin_configs/ with configs for this tool. With
        any, the tool takes --gin_file, --gin_bindings and --list.
      default_config: path of the gin file to read if the user gives none; None
        if one is required.
      quick_config: path of the gin file to read with --quick, a flag that the
        tool has then.
      required: names of the required flags.
      takes_rest: whether words may follow `--`.
      takes_files: whether words without -- are gin files.
    """
    self.name = name
    self.purpose = purpose
    self.flags = flags.FlagValues()
    self._main = main
    self._config_folders = config_folders
    self._default_config = default_config
    self._quick_config = quick_config
    self._required = required
    self._takes_rest = takes_rest
    self._takes_files = takes_files
    self._exclusive: list[tuple[Sequence[str], str]] = []
    self.switch("help", "Prints this text.")
    if config_folders:
      self.switch("list", "Prints the configs of this project for the tool.")
      self.repeated_flag(
        "gin_file",
        "Path of a gin config, or one that --list prints. May be repeated.",
      )
      self.repeated_flag(
        "gin_bindings",
        "Setting that overrides the files, such as STEPS=100 or "
        "'IMAGES=\"photos/\"'. May be repeated.",
      )
    if quick_config:
      self.switch("quick", f"Reads {quick_config}, for a first look.")

  def text_flag(self, name: str, help_text: str) -> None:
    """Adds --name=TEXT, None by default."""
    flags.DEFINE_string(name, None, help_text, flag_values=self.flags)

  def repeated_flag(self, name: str, help_text: str) -> None:
    """Adds --name=TEXT that may be repeated: a list, empty by default."""
    flags.DEFINE_multi_string(name, [], help_text, flag_values=self.flags)

  def model_flag(self, *, repeated: bool) -> None:
    """Adds --model, one or several models of any kind."""
    add = self.repeated_flag if repeated else self.text_flag
    often = "; may be repeated" if repeated else ""
    add(
      "model",
      f"NAME=PATH of a model{often}. PATH is a SavedModel's folder, a run of "
      "tools.train, a .keras, .h5 or .onnx file, keras.applications:ResNet50, "
      "random:resnet50 (untrained), pixels (raw pixels as features), or a model"
      " of PyTorch: torchscript:FILE.pt, torch_export:FILE.pt2, "
      "torchvision:NAME[:FILE], timm:NAME[:FILE] or hf:FOLDER. SavedModels and "
      "files of TorchScript and torch.export are programs, which can read and "
      "write files: use only those from people you trust.",
    )
    self.text_flag(
      "torch_python",
      "Path of a Python with PyTorch, for its models; default "
      "$TF_SSL_TORCH_PYTHON, or the Python of this command.",
    )

  def pictures_flags(self) -> None:
    """Adds the flags of measurements on the user's own pictures."""
    self.text_flag(
      "images",
      "Folder of your own pictures (at any depth), CSV manifest or TFRecords: "
      "sets are each picture with its altered versions; no labels are needed.",
    )
    self.text_flag(
      "alterations",
      "Alterations of --images, such as rotation,scale,blur; default all.",
    )
    self.number_flag(
      "pictures", 1000, "Largest number of pictures of --images; random ones."
    )

  def exclusive(self, *names: str, reason: str) -> None:
    """Refuses more than one of some flags, which all do what `reason` says."""
    self._exclusive.append((names, reason))

  def number_flag(self, name: str, default: float, help_text: str) -> None:
    """Adds --name=NUMBER, an int if the default is one."""
    define = (
      flags.DEFINE_integer if isinstance(default, int) else flags.DEFINE_float
    )
    define(name, default, help_text, flag_values=self.flags)

  def switch(self, name: str, help_text: str) -> None:
    """Adds --name, False by default."""
    flags.DEFINE_bool(name, False, help_text, flag_values=self.flags)

  def run(self, arguments: Sequence[str] | None = None) -> None:
    """Runs the tool and ends the process.

    Exit code 0: done (an interrupted training has saved its state); 2: bad
    input, explained in one line on standard error; 75: another worker of the
    run was lost, and the same command resumes; 130: Ctrl-C before the start of
    the work; 141: the reader of the output has left, as in `| head`; 1: any
    other exception, with its traceback.

    Args:
      arguments: words of the command line after the program; None for those of
        this process.
    """
    try:
      with streams.prepared(self.name):
        self._run(sys.argv[1:] if arguments is None else arguments)
    except Exception as exception:
      if not workdir.is_full(exception):
        raise
      path = getattr(exception, "filename", None) or "the output"
      problem = workdir.unwritable(path, "the output", exception)
      print(f"{self.name}: {_one_line(problem)}", file=sys.stderr)
      sys.exit(2)

  def _run(self, arguments: Sequence[str]) -> None:
    try:
      self.call(arguments)
    except KeyboardInterrupt:
      sys.stdout.flush()
      sys.stderr.flush()
      os._exit(130)  # At once: remaining threads may never end.
    except errors.UsageError as exception:
      if streams.reader_left(exception):
        raise
      print(f"{self.name}: {_one_line(exception)}", file=sys.stderr)
      sys.exit(2)
    except errors.WorkerLostError as exception:
      message = f"{self.name}: {_one_line(exception)}"
      print(message, file=sys.stderr, flush=True)
      # At once: TensorFlow's shutdown would wait for the lost worker.
      os._exit(errors.WorkerLostError.exit_code)

  def call(self, arguments: Sequence[str]) -> None:
    """Runs the tool; bad input raises `tf_ssl.errors.UsageError`."""
    # Bazel starts a program in its own tree, but the user's paths are relative
    # to the user's working directory.
    try:
      os.chdir(os.environ.get("BUILD_WORKING_DIRECTORY") or os.getcwd())
    except OSError as error:
      raise errors.UsageError(
        f"the working directory cannot be used ({error.strerror}); change to"
        " another"
      ) from error
    parsed, rest = self._parse(arguments)
    if parsed.help:
      self._print_help()
      return
    if self._config_folders and parsed.list:
      gin_files.print_list(self._config_folders)
      return
    self._check_required(parsed)
    for together, reason in self._exclusive:
      given = [f"--{name}" for name in together if parsed[name].value]
      errors.require(
        len(given) < 2,
        f"{' and '.join(given)} {'both' if len(given) == 2 else 'all'}"
        f" {reason}; give one of them",
      )
    quiet.import_tensorflow()
    if self._config_folders:
      files = parsed.gin_file or [self._default_config]
      if self._quick_config and parsed.quick:
        errors.require(
          not parsed.gin_file,
          "--quick and --gin_file both choose a config; give one of them",
        )
        files = [self._quick_config]
      gin_files.load(files, parsed.gin_bindings)
    self._main(Invocation(parsed, _command(self.name, arguments), rest))

  def _parse(
    self, arguments: Sequence[str]
  ) -> tuple[flags.FlagValues, Sequence[str]]:
    self.flags.unparse_flags()
    try:
      words = ["--help" if word == "-h" else word for word in arguments]
      rest = self.flags([self.name, *words])[1:]
    except flags.UnrecognizedFlagError as exception:
      name = exception.flagname
      raise errors.UsageError(
        f"unknown flag --{name}{gin_errors.did_you_mean(name, self.flags)} "
        "(--help prints the flags)"
      ) from None
    except flags.Error as exception:
      raise errors.UsageError(
        f"{exception} (--help prints the flags)"
      ) from None
    if self._takes_files:
      self.flags.gin_file = [*self.flags.gin_file, *rest]
      rest = []
    if rest and not self._takes_rest:
      raise errors.UsageError(
        f"unexpected argument {rest[0]!r}: every argument is --name=value "
        "(--help prints the flags); a value with spaces needs quotes"
      )
    if self._config_folders:
      # Bazel passes an empty one if the user gives the flag after `--`.
      self.flags.gin_file = [name for name in self.flags.gin_file if name]
    return self.flags, rest

  def _check_required(self, parsed: flags.FlagValues) -> None:
    needs_config = self._config_folders and self._default_config is None
    if needs_config and not parsed.gin_file:
      flag = "FILE.gin" if self._takes_files else "--gin_file=FILE"
      raise errors.UsageError(f"{flag} is missing; --list prints the files")
    for name in self._required:
      if parsed[name].value in (None, []):
        raise errors.UsageError(
          f"--{name}=... is missing: {_help_of(parsed[name])}"
        )
    if self._config_folders:
      for name in parsed.gin_file:
        gin_files.find(name)

  def _print_help(self) -> None:
    print(f"{self.purpose.strip()}\n")
    for name in sorted(self.flags):
      if name not in ("flagfile", "undefok"):
        print(f"  --{name}")
        text = textwrap.fill(_help_of(self.flags[name]))
        print(textwrap.indent(text, "      "))


def _help_of(flag: flags.Flag) -> str:
  """The help text, without absl's own line about repeated flags."""
  return flag.help.split(";\n")[0]


def _command(name: str, arguments: Sequence[str]) -> str:
  program = sys.argv[0]
  if "BUILD_WORKSPACE_DIRECTORY" in os.environ:
    words = f"bazel run //tools:{name} --"
  elif os.path.basename(program) == "tf-ssl":
    words = f"tf-ssl {name}"
  else:
    python = sys.executable
    if sys.prefix == os.environ.get("VIRTUAL_ENV"):
      python = "python"
    elif python.startswith(os.getcwd() + os.sep):
      python = os.path.relpath(python)
    words = f"{shlex.quote(python)} -m tools.{name}"
  return " ".join([words, *(_quoted(word) for word in arguments if word)])


def _quoted(argument: str) -> str:
  """Quotes only the value of --name=value."""
  flag = re.match(r"(--\w+=)(.+)", argument, re.DOTALL)
  name, value = flag.groups() if flag else ("", argument)
  if "\\" not in names.escaped(value.replace("\\", "/")):
    return name + shlex.quote(value)
  # Line breaks and bytes that are not UTF-8: Bash reads the same escapes.
  escaped = names.escaped(value).replace("'", r"\'")
  return f"{name}$'{escaped}'"


def _one_line(exception: Exception) -> str:
  # Gin adds lines about the functions that an error has passed.
  message = re.split(r"\n  In call to configurable ", str(exception))[0]
  return names.one_line(message)
