"""Writes a training set: it goes on where it was stopped, and appears whole.

All is written to OUTPUT.partial first, some pictures at a time, each part noted
in a journal once it is there; in the end the folder takes its name.
"""

import contextlib
import csv
import fcntl
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import tqdm

from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import (
  files as training_set_files,
)
from tf_ssl.dataset_bias.training_sets import training_sets
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.ops import workdir

SUMMARY_FILE = "summary.json"
PICTURES_FILE = "pictures.csv"
CLASSES_FILE = "classes.txt"
_JOURNAL, _KEY, _LOCK = "journal.jsonl", "key.json", "lock"
_COLUMNS = "file,shard,class,source,xmin,ymin,xmax,ymax".split(",")
_NAMED = 10  # of what is skipped, on the terminal
_PART = 1000  # pictures; of a TFRecord file, too


def write(
  training_set: training_sets.TrainingSet,
  output_dir: str,
  *,
  form: str = "folder",
  overwrite: bool = False,
  max_skipped_fraction: float = 0.05,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
  """Writes the pictures, and beside them what they are.

  summary.json has counts, settings and what was left out; pictures.csv for each
  picture its file (or shard), class, source and box; classes.txt, beside
  TFRecords, the classes in the order of their labels. `open_images` reads the
  folder.

  Args:
    training_set: what to write.
    output_dir: the folder, which must not be there, unless it is empty or holds
      this very set.
    form: "folder": one file a picture; "tfrecord": 1,000 pictures a file.
    overwrite: whether to replace whatever is at `output_dir`.
    max_skipped_fraction: the share of pictures above which those that cannot be
      read are an error.
    command: for the summary.
    say: told what happens.

  Returns:
    The summary.

  Raises:
    UsageError: `form` is unknown, something else is at `output_dir`, it cannot
      be written, another process writes it, or too many images are unreadable.
  """
  if form not in training_set_files.FORMATS:
    raise errors.UsageError(
      f"format={form!r}: expected {' or '.join(training_set_files.FORMATS)}; "
      "change --format"
    )
  key = json.loads(json.dumps({**training_set.key, "format": form}))
  place = pathlib.Path(output_dir).expanduser().absolute()
  try:
    if not overwrite:
      known = _summary(place)
      if known is not None and known.get("key") == key:
        say(f"{place} is done already")
        return known
      if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise errors.UsageError(
          f"the output {place} holds something else; choose another "
          "--output_dir, or replace it with --overwrite"
        )
    partial = place.with_name(f"{place.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with _locked(partial):
      journal = _open(partial, key, say)
      summary = _fill(
        partial, training_set, journal, form, max_skipped_fraction
      )
      summary.update(key=key, command=command)
      workdir.write_text(
        partial / SUMMARY_FILE, json.dumps(summary, indent=2) + "\n"
      )
      for name in (_JOURNAL, _KEY):
        (partial / name).unlink()
      if place.exists():
        shutil.rmtree(place) if place.is_dir() else place.unlink()
      os.rename(partial, place)
      (place / _LOCK).unlink()
      _tell(summary, say)
  except OSError as error:
    raise errors.UsageError(
      f"cannot write {place}: {error.strerror or error}; choose an --output_dir"
      " on a disk with room that you may write to"
    ) from error
  return summary


def _tell(summary: dict[str, Any], say: Callable[[str], None]) -> None:
  for reason, count in summary["left_out"].items():
    say(f"left out, {count}: {reason}")
  skipped = summary["skipped"]
  for name, reason in list(skipped["reasons"].items())[:_NAMED]:
    say(f"skipped {name}: {reason}")
  say(f"{summary['pictures']} pictures, {skipped['count']} skipped")


def _summary(place: pathlib.Path) -> dict[str, Any] | None:
  try:
    found = json.loads((place / SUMMARY_FILE).read_text(encoding="utf-8"))
  except (OSError, ValueError):
    return None
  return found if isinstance(found, dict) else None


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
  with open(folder / _LOCK, "w") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise errors.UsageError(
        f"another process is writing {folder}; wait for it, or choose another "
        "--output_dir"
      ) from None
    yield


def _open(partial: pathlib.Path, key, say) -> dict[int, dict[str, Any]]:
  """What the journal has of this set; anything else is removed."""
  try:
    known = json.loads((partial / _KEY).read_text(encoding="utf-8"))
  except (OSError, ValueError):
    known = None
  if known != key:
    for path in partial.iterdir():
      if path.name != _LOCK:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    workdir.write_text(partial / _KEY, json.dumps(key))
    return {}
  for path in partial.iterdir():
    if workdir.is_temporary(path):  # Of a run that was killed.
      path.unlink()
  journal = {}
  if (partial / _JOURNAL).exists():
    for line in (partial / _JOURNAL).read_text(encoding="utf-8").splitlines():
      with contextlib.suppress(ValueError):  # The last may be half a line.
        part = json.loads(line)
        journal[part["part"]] = part
  say(f"going on with {partial}: {len(journal)} parts are done")
  return journal


def _fill(
  partial: pathlib.Path,
  training_set: training_sets.TrainingSet,
  journal: dict[int, dict[str, Any]],
  form: str,
  max_skipped_fraction: float,
) -> dict[str, Any]:
  """Writes the parts that are missing, then the tables."""
  count = training_set.records.num_images
  skipped = skipped_lib.SkippedFiles(None, count, max_skipped_fraction)
  starts = range(0, count, _PART)
  rows: list[list] = []
  with tqdm.tqdm(total=count, desc="Writing", unit="picture") as bar:
    for number, start in enumerate(starts):
      stop = min(start + _PART, count)
      if number not in journal:
        made = training_set_files.pictures(training_set, start, stop)
        where = ""
        if form == "folder":
          written = training_set_files.write_folder(partial, made)
        else:
          where = f"pictures-{number:05d}-of-{len(starts):05d}.tfrecord"
          written = training_set_files.write_shard(
            partial / where, training_set, made
          )
        part = {"part": number, "rows": [], "skipped": []}
        for picture in written:
          if picture.problem:
            part["skipped"].append([picture.name, picture.problem])
            skipped.add(picture.name, picture.problem)
          else:
            part["rows"].append([picture.row, picture.name, where])
          bar.update()
        with open(partial / _JOURNAL, "a", encoding="utf-8") as file:
          file.write(json.dumps(part) + "\n")
        journal[number] = part
      else:
        for name, problem in journal[number]["skipped"]:
          skipped.add(name, problem)
        bar.update(stop - start)
      rows.extend(journal[number]["rows"])
  _write_tables(partial, training_set, rows)
  return {
    "source": training_set.source,
    "pictures": len(rows),
    "classes": list(training_set.records.class_names),
    "left_out": training_set.left_out,
    "skipped": {"count": skipped.count, "reasons": skipped.reasons},
  }


def _write_tables(
  partial: pathlib.Path,
  training_set: training_sets.TrainingSet,
  rows: list[list],
) -> None:
  records = training_set.records
  with workdir.replacing_file(partial / PICTURES_FILE) as path:
    with open(
      path, "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
      writer = csv.writer(file, lineterminator="\n")
      writer.writerow(_COLUMNS)
      for row, name, shard in rows:
        label = -1 if records.labels is None else records.labels[row]
        box = [-1] * 4 if records.boxes is None else records.boxes[row].tolist()
        writer.writerow(
          [
            name,
            shard,
            records.class_names[label] if label >= 0 else "",
            records.name(row),
            *(box if box[0] >= 0 else [""] * 4),
          ]
        )
  if any(shard for _, _, shard in rows) and records.class_names:
    text = "".join(f"{name}\n" for name in records.class_names)
    workdir.write_text(partial / CLASSES_FILE, text)
