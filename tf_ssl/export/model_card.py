"""Model card of an exported encoder: README.md for the Hugging Face Hub.

The front matter is YAML (modelcard.md of github.com/huggingface/hub-docs).
Whatever comes from a run is text on one line there and escaped Markdown below.
Paths are reduced to their last part, as a card is made to be published.
"""

import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from tf_ssl import errors
from tf_ssl.ops import names, operative_config, workdir
from tf_ssl.reporting import pages

CARD_FILE = "README.md"
PROVENANCE_FILE = "provenance.json"
LIBRARY = "tf-keras"
NO_LICENSE = "unknown"  # An identifier of the Hub.

_BEGIN = "<!-- tf_ssl invariances: written by measure_invariance -->"
_END = "<!-- end of tf_ssl invariances -->"
_SECTION = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
_INVARIANCE = re.compile(r"invariance_(.+)_top(\d+)")
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_TFDS = re.compile(r"tfds:([\w.-]+)")
# Metrics of training's monitors: name -> title, and key of the front matter.
_ACCURACIES = {
  "knn_accuracy": "kNN accuracy",
  "linear_accuracy": "linear probe accuracy",
}


class Invariance(NamedTuple):
  """One row of the table of invariances.

  Attributes:
    invariance: name, such as "viewpoint".
    k: number of units of the score.
    score: invariance score, percent.
    low: lower end of its interval; None without one.
    high: upper end of its interval; None without one.
    chance: chance level, percent; None if it was not measured.
    source: description of the images.
    layer: name of the layer, if it is one of several.
  """

  invariance: str
  k: int
  score: float
  low: float | None = None
  high: float | None = None
  chance: float | None = None
  source: str = ""
  layer: str = ""


def check_license(license: str | None) -> None:
  """Raises UsageError unless the license looks like one of the Hub's."""
  errors.require(
    license is None or _LICENSE.fullmatch(license),
    f"license={license!r}: expected an identifier of the Hugging Face Hub in "
    "small letters, such as apache-2.0, cc-by-4.0 or other",
  )


def card(
  provenance: Mapping[str, object], *, license: str | None = None
) -> str:
  """The card of a SavedModel as Markdown with front matter.

  It works for any provenance: what is missing or of an unexpected type is left
  out.

  Args:
    provenance: content of provenance.json.
    license: identifier of the license of the weights; None if it was not
      chosen.
  """
  facts = _facts(provenance)
  front = {
    "library_name": LIBRARY,
    "license": license or NO_LICENSE,
    "pipeline_tag": "image-feature-extraction",
    "tags": facts["tags"],
  }
  if facts["datasets"]:
    front["datasets"] = facts["datasets"]
  if facts["accuracies"]:
    front["metrics"] = ["accuracy"]
    front["model-index"] = [_index(facts)]
  return pages.render(
    "export/model_card.md.j2",
    front=yaml.safe_dump(front, sort_keys=False, width=10**6).strip(),
    has_license=license is not None,
    invariances=_section(_monitored(facts["metrics"]), _MONITORED),
    **facts,
  )


def add_invariances(folder: str, rows: Sequence[Invariance], about: str) -> str:
  """Writes invariances into the card of a SavedModel, replacing earlier ones.

  All else in the card stays as it is. A card that is missing is written.

  Args:
    folder: path of a SavedModel with a provenance.json.
    rows: rows of the table.
    about: sentences about the measurement.

  Returns:
    Path of the card.

  Raises:
    UsageError: the card cannot be read or written.
  """
  path = os.path.join(folder, CARD_FILE)
  try:
    with open(path, encoding="utf-8", newline="") as file:
      text = file.read()
  except FileNotFoundError:
    content = workdir.read_json(os.path.join(folder, PROVENANCE_FILE))
    text = card(content if isinstance(content, dict) else {})
  except (OSError, ValueError) as error:
    raise errors.UsageError(
      f"{path} cannot be read ({error}); repair or delete it"
    ) from error
  section = _section(rows, about)
  if _SECTION.search(text):
    text = _SECTION.sub(lambda _: section, text, count=1)
  else:
    text = f"{text.rstrip()}\n\n{section}\n"
  with workdir.writable(path, "the model"):
    workdir.write_text(path, text)
  return path


def _section(rows: Sequence[Invariance], about: str) -> str:
  """The table of invariances between marks; only the marks without rows."""
  if not rows:
    return f"{_BEGIN}\n{_END}"
  table = pages.render("export/invariances.md.j2", rows=rows, about=about)
  return f"{_BEGIN}\n{table}\n{_END}"


_MONITORED = "Measured during training, at the last step that did so."


def _monitored(metrics: Mapping[str, float]) -> list[Invariance]:
  """Rows of the scores that a monitor has measured during training."""
  return [
    Invariance(match[1].replace("_", " "), int(match[2]), value)
    for name, value in metrics.items()
    if (match := _INVARIANCE.fullmatch(name))
  ]


def _facts(provenance: Mapping[str, object]) -> dict[str, Any]:
  """Values of the template that come from provenance.json."""
  run = _mapping(provenance.get("run"))
  weights = _mapping(provenance.get("weights"))
  config = provenance.get("operative_config")
  bindings = operative_config.bindings(
    config if isinstance(config, str) else ""
  )
  method = _reference(bindings, "settings.Pretraining.method")
  method = method.removeprefix("build_").replace("_", "-")
  encoder = next(
    (
      _reference(bindings, name)
      for name in bindings
      if name.endswith(".encoder")
    ),
    "",
  )
  metrics = _metrics(provenance.get("metrics"))
  images = _source(bindings, "settings.Pretraining.images")
  data = _mapping(run.get("data"))
  table = {
    "method": method or None,
    "encoder": encoder or None,
    "images": images,
    "number of images": data.get("count"),
    "steps": run.get("step"),
    "batch size": _number(bindings, "settings.Pretraining.batch_size"),
    "view size, px": _number(bindings, "settings.Pretraining.image_size"),
    "seed": run.get("seed"),
    "precision": run.get("precision"),
    "weights": _file_name(weights.get("file")),
    "project of the weights": weights.get("kind"),
    "SHA-256 of the weights": weights.get("sha256"),
  }
  title = " ".join(filter(None, (method, encoder)))
  tags = ["tf_ssl", "image-feature-extraction", "saved-model"]
  if method and not method.startswith(("supervised", "hybrid")):
    tags.append("self-supervised-learning")
  tags += filter(None, (method, encoder))
  found = _TFDS.match(_literal_text(bindings, "settings.Pretraining.images"))
  return {
    "title": title or "Image encoder",
    "is_imported": bool(weights),
    "table": {
      name: value
      for name, value in table.items()
      if isinstance(value, (str, int, float)) and value != ""
    },
    "tags": tags,
    "datasets": [found[1]] if found else [],
    "metrics": metrics,
    "accuracies": {
      _accuracy(name, metrics): metrics[name]
      for name in _ACCURACIES
      if name in metrics
    },
    "tested_on": _source(bindings, "labeled.LabeledImages.test")
    or "held-out images",
    "same_object": metrics.get("same_object"),
    "width": _width(provenance),
    "functions": sorted(
      name
      for name in _mapping(provenance.get("signatures"))
      if name in ("features", "embedding", "endpoints")
    ),
  }


def _index(facts: Mapping[str, Any]) -> dict[str, Any]:
  """The entry of model-index: accuracies of frozen features."""
  tested_on = names.one_line(facts["tested_on"])
  return {
    "name": names.one_line(f"tf_ssl {facts['title']}"),
    "results": [
      {
        "task": {
          "type": "image-classification",
          "name": "Classification with frozen features",
        },
        "dataset": {
          "type": re.sub(r"[^\w.-]+", "-", tested_on).strip("-") or "images",
          "name": tested_on,
        },
        "metrics": [
          {"type": "accuracy", "name": name, "value": round(value, 6)}
          for name, value in facts["accuracies"].items()
        ],
      }
    ],
  }


def _accuracy(name: str, metrics: Mapping[str, float]) -> str:
  """Title of an accuracy, with the settings of a kNN."""
  title = _ACCURACIES[name]
  if name == "knn_accuracy" and {"knn_k", "knn_temperature"} <= set(metrics):
    title += f" (k={metrics['knn_k']:g}, T={metrics['knn_temperature']:g})"
  return title


def _metrics(found: object) -> dict[str, float]:
  """Finite last values of the metrics by name."""
  values = {
    name: _mapping(entry).get("value")
    for name, entry in _mapping(found).items()
  }
  return {
    str(name): float(value)
    for name, value in values.items()
    if isinstance(value, (int, float))
    and not isinstance(value, bool)
    and abs(value) < 1e300
    and math.isfinite(value)
  }


def _width(provenance: Mapping[str, object]) -> int | None:
  """Feature width of the signature `features`."""
  signature = _mapping(_mapping(provenance.get("signatures")).get("features"))
  shape = _mapping(signature.get("outputs")).get("features")
  width = shape[-1] if isinstance(shape, list) and shape else None
  return width if isinstance(width, int) else None


def _number(bindings: Mapping[str, str], name: str) -> float | None:
  value = operative_config.value(bindings, name)
  return value if isinstance(value, int | float) else None


def _literal_text(bindings: Mapping[str, str], name: str) -> str:
  """A value that is a string literal; "" for others."""
  value = operative_config.value(bindings, name)
  is_literal = value != operative_config.text(bindings, name)
  return value if isinstance(value, str) and is_literal else ""


def _reference(bindings: Mapping[str, str], name: str) -> str:
  """The function name of @scope/module.function(); "" for other values."""
  match = re.fullmatch(
    r"@[\w./]*?(\w+)(\(\))?", operative_config.text(bindings, name) or ""
  )
  return match[1] if match else ""


def _source(bindings: Mapping[str, str], name: str) -> str | None:
  """Images of a setting without their folder; None if unknown."""
  text = _literal_text(bindings, name)
  if text.startswith("tfds:"):
    return text
  return (
    _file_name(text) or _reference(bindings, name).replace("_", " ") or None
  )


def _file_name(path: object) -> str:
  if not isinstance(path, str):
    return ""
  return os.path.basename(path.rstrip("/"))


def _mapping(value: object) -> Mapping[str, Any]:
  """The value if it is a mapping, as it should be; otherwise an empty one."""
  return value if isinstance(value, Mapping) else {}
