"""Writes a training set to disk: pictures in class folders, or TFRecords.

Everything goes to OUTPUT.partial first, part by part, and a journal lists the
finished parts; an interrupted call resumes after the last one. At the end the
folder gets its final name.
"""

import contextlib
import csv
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_ssl import errors
from tf_ssl.dataset_bias.training_sets import training_sets
from tf_ssl.input_pipeline import decoding, loading
from tf_ssl.input_pipeline import skipped as skipped_lib
from tf_ssl.models import feature_extractor
from tf_ssl.ops import home, jpeg, names, progress, workdir

FORMATS = ("folder", "tfrecord")
SUMMARY_FILE = "summary.json"
PICTURES_FILE = "pictures.csv"
CLASSES_FILE = "classes.txt"
_JOURNAL, _KEY = "journal.jsonl", "key.json"
_ARGUMENT = "--output_dir"
_COLUMNS = "file,shard,class,source,xmin,ymin,xmax,ymax".split(",")
_NAMED = 10  # Names of skipped pictures on the terminal.
_PART = 1000  # Pictures per part and per TFRecord file.
_ENDINGS = {
  b"\xff\xd8\xff": ".jpg",
  b"\x89PNG": ".png",
  b"BM": ".bmp",
  b"GIF8": ".gif",
  b"RIFF": ".webp",
  b"II*\0": ".tif",
  b"MM\0*": ".tif",
  b"P": ".pnm",
}


class Picture(NamedTuple):
  """One picture of a set, ready to write.

  Attributes:
    row: row of the set.
    name: name of its file, relative to the set's folder.
    encoded: content of its file.
    problem: why there is no picture; empty if there is one.
  """

  row: int
  name: str
  encoded: bytes
  problem: str = ""


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
  """Writes the pictures and their descriptions.

  summary.json has counts, settings and everything left out; pictures.csv has
  the file (or shard), class, source and box of each picture; classes.txt, for
  TFRecords, has the classes in the order of their labels. `open_images` reads
  the folder.

  Args:
    training_set: the pictures to write.
    output_dir: folder to create; it may exist if it is empty or already holds
      this set.
    form: "folder" for one file per picture, "tfrecord" for 1,000 pictures per
      file.
    overwrite: whether to replace anything at `output_dir`.
    max_skipped_fraction: largest share of unreadable pictures, 0..1.
    command: command line for the summary.
    say: takes messages, line by line.

  Returns:
    The summary.

  Raises:
    UsageError: `form` is unknown, something else is at `output_dir`, it cannot
      be written, another process writes it, or too many pictures are
      unreadable.
  """
  errors.require(
    form in FORMATS,
    f"format={form!r}: expected {' or '.join(FORMATS)}; change --format",
  )
  key = {**training_set.key, "format": form}
  return into(
    output_dir,
    key,
    lambda partial, resumed: _fill(
      partial,
      training_set,
      _read_journal(partial, say) if resumed else {},
      form,
      max_skipped_fraction,
    ),
    scratch=[_JOURNAL],
    overwrite=overwrite,
    command=command,
    say=say,
  )


def into(
  output_dir: str,
  key: Mapping[str, Any],
  fill: Callable[[pathlib.Path, bool], dict[str, Any]],
  *,
  scratch: Sequence[str] = (),
  overwrite: bool = False,
  command: str = "",
  say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
  """Fills OUTPUT.partial, which gets its final name when it is complete.

  Args:
    output_dir: folder to create; it may exist if it is empty or already holds
      what the key identifies.
    key: JSON values that identify the content.
    fill: function that writes the content into a folder and returns the
      summary; told whether an interrupted call has begun to.
    scratch: names of files that serve only to resume.
    overwrite: whether to replace anything at `output_dir`.
    command: command line for the summary.
    say: function that takes messages, line by line.

  Returns:
    The summary, as it is in summary.json.

  Raises:
    UsageError: something else is at `output_dir`, it cannot be written, or
      another process writes it.
  """
  key = json.loads(json.dumps(key))
  place = home.expand(output_dir, _ARGUMENT).absolute()
  with workdir.writable(place, _ARGUMENT):
    if not overwrite:
      known = _summary(place)
      if known is not None and known.get("key") == key:
        say(f"{place} is already complete")
        return known
      if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise errors.UsageError(
          f"the output {place} holds something else; choose another "
          f"{_ARGUMENT}, or replace it with --overwrite"
        )
    partial = place.with_name(f"{place.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    with workdir.locked(partial, _ARGUMENT):
      resumed = workdir.open_keyed(
        partial, key, _ARGUMENT, key_file=_KEY, on_change="replace", say=say
      )
      workdir.remove_temporaries(partial)
      summary = fill(partial, resumed)
      summary.update(key=key, command=command)
      workdir.write_json(partial / SUMMARY_FILE, summary)
      for name in (*scratch, _KEY, workdir.LOCK_FILE):
        (partial / name).unlink(missing_ok=True)
      if place.exists():
        shutil.rmtree(place) if place.is_dir() else place.unlink()
      os.rename(partial, place)
  _tell(summary, say)
  return summary


def pictures(
  training_set: training_sets.TrainingSet, start: int, stop: int
) -> Iterator[Picture]:
  """Makes the pictures of the rows start..stop-1, in their order."""
  groups: list[list[int]] = []
  records = training_set.records
  for row in range(start, stop):
    # The boxes of an image are adjacent, so it is decoded once.
    if (
      groups
      and records.shards is None
      and records.files[groups[-1][0]] == records.files[row]
    ):
      groups[-1].append(row)
    else:
      groups.append([row])
  for made in feature_extractor.map_ahead(
    lambda rows: _make(training_set, rows), groups
  ):
    yield from made


def write_folder(
  root: pathlib.Path, made: Iterator[Picture]
) -> Iterator[Picture]:
  """Writes each picture to its file, then yields it."""
  for picture in made:
    if not picture.problem:
      path = root / picture.name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(picture.encoded)
    yield picture


def write_shard(
  path: pathlib.Path,
  training_set: training_sets.TrainingSet,
  made: Iterator[Picture],
) -> Iterator[Picture]:
  """Writes pictures into one TFRecord file, which replaces `path` at the end.

  The features are those that `datasets.tfrecords` reads, `image/encoded` and,
  for a known class, `image/class/label`, plus `image/class/text` and
  `image/filename`.
  """
  with workdir.replacing_file(path) as temporary:
    with tf.io.TFRecordWriter(str(temporary)) as writer:
      for picture in made:
        if not picture.problem:
          example = _example(training_set, picture)
          writer.write(example.SerializeToString(deterministic=True))
        yield picture


def _tell(summary: dict[str, Any], say: Callable[[str], None]) -> None:
  for reason, count in summary["left_out"].items():
    say(f"excluded {count}: {reason}")
  skipped = summary["skipped"]
  for name, reason in list(skipped["reasons"].items())[:_NAMED]:
    say(f"skipped {name}: {reason}")
  say(f"{summary['pictures']} pictures, {skipped['count']} skipped")


def _summary(place: pathlib.Path) -> dict[str, Any] | None:
  try:
    found = workdir.read_json(place / SUMMARY_FILE)
  except OSError:  # `place` is a file.
    return None
  return found if isinstance(found, dict) else None


def _read_journal(partial: pathlib.Path, say) -> dict[int, dict[str, Any]]:
  """The finished parts of an interrupted call."""
  journal = {}
  if (partial / _JOURNAL).exists():
    for line in (partial / _JOURNAL).read_bytes().splitlines():
      # A kill may cut the last line.
      with contextlib.suppress(ValueError, TypeError, KeyError):
        part = json.loads(line)
        journal[part["part"]] = part
  say(f"resuming {partial}: {len(journal)} parts are done")
  return journal


def _fill(
  partial: pathlib.Path,
  training_set: training_sets.TrainingSet,
  journal: dict[int, dict[str, Any]],
  form: str,
  max_skipped_fraction: float,
) -> dict[str, Any]:
  """Writes the missing parts, then the tables."""
  count = training_set.records.num_images
  skipped = skipped_lib.SkippedFiles(None, count, max_skipped_fraction)
  starts = range(0, count, _PART)
  rows: list[list] = []
  with progress.bar("Writing", total=count, unit="picture") as bar:
    for number, start in enumerate(starts):
      stop = min(start + _PART, count)
      if number not in journal:
        made = pictures(training_set, start, stop)
        shard = ""
        if form == "folder":
          written = write_folder(partial, made)
        else:
          shard = f"pictures-{number:05d}-of-{len(starts):05d}.tfrecord"
          written = write_shard(partial / shard, training_set, made)
        part = {"part": number, "rows": [], "skipped": []}
        for picture in written:
          if picture.problem:
            part["skipped"].append([picture.name, picture.problem])
            skipped.add(picture.name, picture.problem)
          else:
            part["rows"].append([picture.row, picture.name, shard])
          bar.update()
        with open(partial / _JOURNAL, "a", encoding="utf-8") as file:
          # The leading newline ends a line that a killed process left cut.
          file.write("\n" + json.dumps(part) + "\n")
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
    "left_out": training_set.excluded,
    "skipped": {
      "count": skipped.count,
      "reasons": {
        names.escaped(name): reason for name, reason in skipped.reasons.items()
      },
    },
  }


def _write_tables(
  partial: pathlib.Path,
  training_set: training_sets.TrainingSet,
  rows: list[list],
) -> None:
  records = training_set.records
  with (
    workdir.replacing_file(partial / PICTURES_FILE) as path,
    open(path, "w", newline="", encoding="utf-8") as file,
  ):
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row, name, shard in rows:
      label = -1 if records.labels is None else records.labels[row]
      class_name = records.class_names[label] if label >= 0 else ""
      box = _box(records, row)
      corners = [""] * 4 if box is None else box.tolist()
      source = names.escaped(records.name(row))
      writer.writerow([name, shard, class_name, source, *corners])
  if any(shard for _, _, shard in rows) and records.class_names:
    text = "".join(f"{name}\n" for name in records.class_names)
    workdir.write_text(partial / CLASSES_FILE, text)


def _make(
  training_set: training_sets.TrainingSet, rows: Sequence[int]
) -> list[Picture]:
  """The pictures of rows that come from one image."""
  records = training_set.records
  try:
    encoded = loading.read_encoded(records, rows[0])
    pixels = decoding.decode_bytes(encoded)
  except Exception:  # Readers raise various errors on damaged files.
    reason = skipped_lib.why_unusable(records, rows[0], None)
    problem = reason or "could not be read at that moment"
    return [_missing(training_set, row, problem) for row in rows]
  endings = (e for magic, e in _ENDINGS.items() if encoded.startswith(magic))
  ending = next(endings, ".png")
  made = []
  for row in rows:
    name, box = training_set.names[row], _box(records, row)
    if box is None:
      made.append(Picture(row, name + ending, encoded))
      continue
    xmin, ymin, xmax, ymax = box.tolist()
    region = pixels[ymin:ymax, xmin:xmax]
    if min(region.shape[:2]) < 2:
      problem = skipped_lib.why_unusable(records, row, box)
      made.append(_missing(training_set, row, problem or "no pixel"))
    else:
      made.append(Picture(row, f"{name}.jpg", jpeg.encode(region)))
  return made


def _box(records, row: int):
  """[4] int32, the box to cut out of a record's image; None for all of it."""
  if records.boxes is None or records.boxes[row][0] < 0:
    return None
  return records.boxes[row]


def _missing(training_set, row: int, problem: str) -> Picture:
  name = f"{training_set.names[row]} of {training_set.records.name(row)}"
  return Picture(row, name, b"", problem)


def _example(
  training_set: training_sets.TrainingSet, picture: Picture
) -> tf.train.Example:
  labels = training_set.records.labels
  label = -1 if labels is None else int(labels[picture.row])
  example = tf.train.Example()
  features = example.features.feature
  features["image/encoded"].bytes_list.value.append(picture.encoded)
  name = os.fsencode(picture.name)
  features["image/filename"].bytes_list.value.append(name)
  if label >= 0:
    text = os.fsencode(training_set.records.class_names[label])
    features["image/class/label"].int64_list.value.append(label)
    features["image/class/text"].bytes_list.value.append(text)
  return example
