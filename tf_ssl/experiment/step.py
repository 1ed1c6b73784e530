"""What all kinds of steps share."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

# Stands for the folder that a step writes.
OUTPUT = "{output}"
# In a command: the model that is looked at, its name and its seed.
MODEL, NAME, SEED = "{model}", "{name}", "{seed}"


class Request(NamedTuple):
  """What is to be run, before names of steps have become paths.

  Attributes:
    tool: of tools/, such as "train"; None where `words` is a whole command.
    words: arguments.
    config: the gin file, None for none.
    bindings: from gin names to values; a text that begins with @ names
      something configurable, as in a gin file.
  """

  tool: str | None
  words: tuple[str, ...] = ()
  config: str | None = None
  bindings: Mapping[str, Any] = {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
  """What all kinds of steps share.

  Attributes:
    title: for tables; the step's name by default.
    version: of what the kind makes: counted up whenever that changes, so that
      nothing made before is taken for it.
    product: what must lie in the output once the step is done, and is not to
      change afterwards; "." for all of it.
    scratch: folders of the output that help to go on after an interruption
      only, and are removed at the end.
    model_path: where in the output a model lies; None where it makes none.
    seeded: whether it is run for each seed.
    per_model: whether it is run for each of `models`.
    models: names of steps that make models; all of them where it is empty.
  """

  title: str | None = None
  version: ClassVar[int] = 1
  product: ClassVar[tuple[str, ...]] = (".",)
  scratch: ClassVar[tuple[str, ...]] = ()
  model_path: ClassVar[str | None] = None
  seeded: ClassVar[bool] = False
  per_model: ClassVar[bool] = False
  models: ClassVar[Sequence[str]] = ()

  def request(self, *, name: str, seed: int | None) -> Request:
    """What is to be run.

    Args:
      name: of the model that is looked at; "" for steps that look at none.
      seed: None for steps that have none.
    """
    raise NotImplementedError

  def measures(self, output: str) -> dict[str, float]:
    """The numbers that the output holds, by name; none by default.

    Raises:
      OSError, ValueError, KeyError: the output is not what was expected.
    """
    del output
    return {}
