"""Answers whether pretraining helped, with everything that could deceive."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import labeled_sets, protocol
from tf_ssl.evaluation.duplicates import search
from tf_ssl.evaluation.label_efficiency import leakage as leakage_lib
from tf_ssl.evaluation.label_efficiency import measure as measure_lib
from tf_ssl.evaluation.label_efficiency import pretraining as pretraining_lib
from tf_ssl.evaluation.label_efficiency import worth as worth_lib
from tf_ssl.ops import names, numbered_checkpoints, workdir

_ARGUMENT = "--output_dir"
_TEST_FOLDERS = ("test", "val", "held_out")
_NAMED = 5  # Classes that a sentence lists.
_HEADLINE = 0.1  # Share of the labels whose worth the sentences give.
_METHODS = (measure_lib.KNN, measure_lib.LINEAR, measure_lib.FINE_TUNED)


class Answer(NamedTuple):
  """The result.

  Attributes:
    measured: all accuracies.
    worths: {(model, method): what the model is worth at each number of labels}.
    comparisons: {method: paired tests}.
    leakage: near-duplicates of test images.
    dropped: number of copies among the test images that were left out.
    minutes: {model: minutes of pretraining}, where the run tells.
    sources: {"training" or "test": description of the images}.
    sentences: the answer in plain words.
  """

  measured: measure_lib.Measured
  worths: dict[tuple[str, str], list[worth_lib.Worth]]
  comparisons: dict[str, list[worth_lib.Comparison]]
  leakage: leakage_lib.Leakage
  dropped: int
  minutes: dict[str, float]
  sources: dict[str, str]
  sentences: list[str]


def split(
  labeled: str | None,
  test: str | None = None,
  *,
  test_fraction: float = 0.2,
  seed: int = 0,
) -> labeled_sets.LabeledSets:
  """Opens labeled images, and divides them where they are one set.

  Args:
    labeled: class folders, a manifest or another labeled source; a folder with
      `train` and one of `test`, `val` and `held_out` holds both sets; None is
      an error.
    test: labeled test images of the same classes; None to look for a folder, or
      to hold out a part of each class.
    test_fraction: fraction of each class to hold out then.
    seed: seed of that choice.

  Raises:
    UsageError: the images or their labels cannot be used.
  """
  errors.require(
    labeled,
    "--labeled=... is missing: labeled images, such as class folders; no"
    " --model is a run whose training images could be used",
  )
  train = os.path.join(labeled, "train")
  named_by = ("--labeled", "--test_images")
  if test is None and os.path.isdir(train):
    found = [os.path.join(labeled, name) for name in _TEST_FOLDERS]
    test = next(filter(os.path.isdir, found), None)
    if test is not None:
      labeled = train
      named_by = ("--labeled/train", f"--labeled/{os.path.basename(test)}")
  records = open_images.open_images(labeled, labeled=True, named_by="--labeled")
  if test is not None:
    other = open_images.open_images(test, labeled=True, named_by=named_by[1])
    return labeled_sets.match(records, other, named_by=named_by)
  errors.require(
    0 < test_fraction < 1,
    f"test_fraction={test_fraction}: expected a fraction between 0 and 1",
  )
  held = records_lib.keep_labels(records.labels, test_fraction, seed=seed) >= 0
  spent = np.setdiff1d(records.labels[held], records.labels[~held])
  errors.require(
    not len(spent),
    f"--labeled ({records.root}) has {len(spent)} classes without an image left"
    f" to train on once {test_fraction:g} of each class is held out as test:"
    f" {_classes(records, spent)}; expected at least 2 images of each class;"
    " add images, remove these classes, lower --test_fraction, or give"
    " --test_images",
  )
  return labeled_sets.match(
    records_lib.take(records, np.flatnonzero(~held)),
    records_lib.take(records, np.flatnonzero(held)),
    named_by=("--labeled", "--labeled"),
  )


def did_it_help(
  subjects: Sequence[protocol.Subject],
  sets: labeled_sets.LabeledSets,
  output_dir: str,
  *,
  settings: measure_lib.Settings | None = None,
  pretraining: pretraining_lib.Pretraining = pretraining_lib.UNKNOWN,
  drop_duplicates: bool = False,
  distance: int = search.DISTANCE,
  duplicates_model: protocol.Subject | None = None,
  checkpoints: Mapping[str, Sequence[protocol.Subject]] | None = None,
  say: Callable[[str], None] = lambda line: None,
) -> Answer:
  """Checks for leakage, then measures random weights and all models.

  Args:
    subjects: models with different names.
    sets: labeled training and test images.
    output_dir: folder to write; an interrupted call can be repeated.
    settings: what is measured; None for the defaults.
    pretraining: images of pretraining, to compare the test images with.
    drop_duplicates: whether test images that are copies of others, as in
      `leakage.Leakage.copies`, are left out.
    distance: largest Hamming distance of near-duplicates.
    duplicates_model: encoder whose features confirm them; None for gradients of
      small pictures.
    checkpoints: {name of a model: its checkpoints}, which are measured frozen.
    say: takes a line for each finding.

  Raises:
    UsageError: a model, the images or a setting cannot be used.
  """
  settings = settings or measure_lib.Settings()
  given = [s.name for s in subjects]
  errors.require(
    given and len(set(given)) == len(given) and measure_lib.RANDOM not in given,
    f"--model: got the names {given}; expected different names, not"
    f" {measure_lib.RANDOM!r}; give NAME=PATH",
  )
  search.check_distance(distance)
  for subject in subjects:  # Loads the models before hours of measuring.
    _ = subject.frozen
  with workdir.writable(output_dir, _ARGUMENT):
    os.makedirs(output_dir, exist_ok=True)
  leakage = leakage_lib.find(
    sets.train,
    sets.test,
    pretraining.images,
    distance=distance,
    model=duplicates_model and duplicates_model.frozen,
    image_size=settings.image_size,
  )
  for line in (*leakage.text(), *pretraining.not_checked):
    say(line)
  dropped, left_out = 0, ""
  if drop_duplicates and len(leakage.copies):
    dropped = len(leakage.copies)
    say(f"{dropped} test images that are copies of others are left out")
    sets, left_out = _without_copies(sets, leakage.copies)
    if left_out:
      say(left_out)
  earlier = [s for each in (checkpoints or {}).values() for s in each]
  measured = measure_lib.measure(
    [*subjects, *earlier],
    sets,
    settings,
    output_dir,
    frozen_only=[s.name for s in earlier],
    say=say,
  )
  worths = _worths(measured)
  comparisons = {
    method: worth_lib.compare(
      measured.labels,
      {c.model: c.percent for c in measured.curves if c.method == method},
      _pairs(measured, method, given),
    )
    for method in _METHODS
  }
  answer = Answer(
    measured,
    worths,
    {method: found for method, found in comparisons.items() if found},
    leakage,
    dropped,
    {s.name: m for s in subjects if (m := _minutes(s.path)) is not None},
    {
      "training": f"{sets.train.num_images} images of {sets.train.root}",
      "test": f"{sets.test.num_images} images of {sets.test.root}",
    },
    [],
  )
  lines = [*_sentences(answer, given), left_out, *pretraining.not_checked]
  return answer._replace(
    sentences=[names.printable(line) for line in lines if line]
  )


def checkpoints(
  subjects: Sequence[protocol.Subject],
  open_subject: Callable[[str], protocol.Subject],
  *,
  most: int = 4,
) -> dict[str, list[protocol.Subject]]:
  """Earlier checkpoints of the models that are runs, the oldest first.

  Args:
    subjects: models; only those whose path is the folder of a run have any.
    open_subject: function from NAME=PATH to a model.
    most: largest number of checkpoints of a run.

  Returns:
    {name of a model: its checkpoints}.
  """
  found = {}
  for subject in subjects:
    folder = os.path.join(subject.path, "checkpoints")
    paths = numbered_checkpoints.found(folder) if os.path.isdir(folder) else []
    found[subject.name] = [
      open_subject(
        f"{subject.name} at step {numbered_checkpoints.number(path)}={path}"
      )
      for path in reversed(paths[1 : most + 1])
    ]
  return found


def _without_copies(
  sets: labeled_sets.LabeledSets, copies: np.ndarray
) -> tuple[labeled_sets.LabeledSets, str]:
  """Leaves copies out, and classes without another test image.

  Returns:
    The rest, and a sentence about these classes; "" if there are none.
  """
  train, test = sets.train, leakage_lib.without(sets.test, copies)
  gone = np.setdiff1d(train.labels, test.labels)
  if not len(gone):
    return labeled_sets.match(train, test), ""
  train = records_lib.take(train, np.flatnonzero(~np.isin(train.labels, gone)))
  return labeled_sets.match(train, test), (
    f"{len(gone)} of {len(sets.class_names)} classes were left out of training"
    " and test, because all their test images are copies of other images:"
    f" {_classes(sets.train, gone)}."
  )


def _classes(records: records_lib.ImageRecords, labels: np.ndarray) -> str:
  """The names of classes, or their numbers where they have none."""
  named = records.class_names
  return names.listed(
    (named[i] if named else str(i) for i in labels.tolist()), _NAMED
  )


def _worths(measured) -> dict[tuple[str, str], list[worth_lib.Worth]]:
  found = {}
  for curve in measured.curves:
    baseline = measured.curve(measure_lib.RANDOM, curve.method)
    if curve.model == measure_lib.RANDOM or baseline is None:
      continue
    found[curve.model, curve.method] = worth_lib.worth(
      measured.labels, baseline.percent, curve.percent
    )
  return found


def _pairs(measured, method, given) -> list[tuple[str, str]]:
  """Every given model against random weights, and against each other."""
  known = [n for n in given if measured.curve(n, method) is not None]
  pairs = []
  if measured.curve(measure_lib.RANDOM, method) is not None:
    pairs = [(name, measure_lib.RANDOM) for name in known]
  return pairs + [
    (one, other) for i, one in enumerate(known) for other in known[i + 1 :]
  ]


def _minutes(path: str) -> float | None:
  """Minutes of pretraining of the run that a path belongs to."""
  for folder in (path, os.path.dirname(os.path.abspath(path))):
    if not os.path.isdir(folder):  # A file, or a name such as "pixels".
      continue
    record = workdir.read_json(os.path.join(folder, "run.json"))
    if isinstance(record, dict) and "wall_seconds" in record:
      return record["wall_seconds"] / 60
  return None


def _sentences(answer: Answer, given) -> list[str]:
  measured = answer.measured
  place = int(np.argmin(np.abs(np.log(np.array(measured.shares) / _HEADLINE))))
  lines = []
  for (name, method), found in answer.worths.items():
    if name not in given:
      continue
    text = worth_lib.sentence(name, found[place], total=measured.labels[-1])
    minutes = answer.minutes.get(name)
    spent = (
      "" if minutes is None else f", for {minutes:.0f} minutes of training"
    )
    lines.append(f"{method}: {text}{spent}.")
  for method, comparisons in answer.comparisons.items():
    for each in comparisons:
      if each.labels == measured.labels[place]:
        lines.append(f"{method}: {worth_lib.verdict(each)}.")
  affected = len(answer.leakage.copies)
  total = answer.leakage.records[leakage_lib.WITHIN].num_images
  if answer.dropped:
    lines.append(
      f"{answer.dropped} of {total} test images were left out: copies of other"
      " images."
    )
  elif affected:
    lines.append(
      f"{affected} of {total} test images are copies of other images and were"
      " counted all the same; --drop_duplicates leaves them out."
    )
  return lines
