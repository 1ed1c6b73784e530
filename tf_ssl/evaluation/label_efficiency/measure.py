"""Accuracy against the number of labels, frozen and fine-tuned."""

import dataclasses
import functools
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_ssl import errors
from tf_ssl.datasets import records as records_lib
from tf_ssl.evaluation import (
  fine_tune_loop,
  labeled_sets,
  protocol,
  seeds,
)
from tf_ssl.evaluation.fine_tuning import fine_tuning, label_subsets
from tf_ssl.evaluation.knn import classifier
from tf_ssl.evaluation.label_efficiency import random_weights
from tf_ssl.evaluation.linear import logistic
from tf_ssl.features import store
from tf_ssl.input_pipeline import numbered_images
from tf_ssl.input_pipeline import skipped as skipped_lib

KNN, LINEAR, FINE_TUNED = "kNN", "linear probe", "fine-tuned"
RANDOM = random_weights.RANDOM
_HELD_OUT = 0.25  # Of each class, to choose the penalty of the probe.
_LEAST = 4  # Labels of each class from which some are held out.
_PENALTY = 1e-2  # Inverse penalty with fewer labels than that.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """What is measured.

  Attributes:
    shares: shares of the labels, each balanced over the classes.
    seeds: seeds of the subsets, of random weights and of fine-tuning.
    image_size: side of the images, pixels.
    batch_size: number of images of a batch.
    k: number of neighbors of kNN; fewer if there are fewer labels.
    temperature: temperature of the votes of kNN.
    inverse_penalties: grid of the linear probe, scikit-learn's C.
    fine_tunes: whether models are fine-tuned, too.
    sgd: learning rates of fine-tuning.
    epochs: passes over the images of a share in fine-tuning.
    min_steps: smallest number of steps of fine-tuning.
    max_skipped_fraction: largest share of unreadable images, 0..1.
  """

  shares: Sequence[float] = (0.01, 0.05, 0.1, 0.25, 1.0)
  seeds: Sequence[int] = (0, 1, 2, 3, 4)
  image_size: int = 224
  batch_size: int = 64
  k: int = 20
  temperature: float = 0.1
  inverse_penalties: Sequence[float] = (1e-4, 1e-2, 1.0)
  fine_tunes: bool = True
  sgd: fine_tune_loop.Sgd = dataclasses.field(
    default_factory=lambda: fine_tune_loop.Sgd(
      head_learning_rate=0.1, encoder_learning_rate=0.01
    )
  )
  epochs: float = 30.0
  min_steps: int = 300
  max_skipped_fraction: float = 0.05

  def __post_init__(self):
    """Checks the settings before any image is read."""
    seeds.check(self.seeds)
    protocol.check_numbers("shares", "--shares", self.shares)
    errors.require(
      max(self.shares) <= 1,
      f"shares={tuple(self.shares)}: expected at most 1, all labels; change"
      " --shares",
    )


class Curve(NamedTuple):
  """Accuracies of one model by one method.

  Attributes:
    model: name of the model.
    method: `KNN`, `LINEAR` or `FINE_TUNED`.
    percent: [S, L] float64, top-1 accuracies for each seed and number of
      labels, 0..100.
    seconds: time that they took, without the extraction of features; None if
      an earlier version measured them and did not keep it.
  """

  model: str
  method: str
  percent: np.ndarray
  seconds: float | None


class Measured(NamedTuple):
  """All accuracies.

  Attributes:
    labels: [L] numbers of labels, ascending.
    shares: [L] shares of all labels.
    curves: curves of all models, those of `RANDOM` first.
    notes: sentences that a reader should know.
  """

  labels: list[int]
  shares: list[float]
  curves: list[Curve]
  notes: list[str]

  def curve(self, model: str, method: str) -> Curve | None:
    """The curve of a model; None if it was not measured."""
    return next(
      (c for c in self.curves if (c.model, c.method) == (model, method)), None
    )


def measure(
  subjects: Sequence[protocol.Subject],
  sets: labeled_sets.LabeledSets,
  settings: Settings,
  output_dir: str,
  *,
  frozen_only: Sequence[str] = (),
  say: Callable[[str], None] = lambda line: None,
) -> Measured:
  """Measures random weights and all models; an interrupted call resumes.

  Random weights are those of the first model whose network can be drawn by a
  seed; if there is none, of a ResNet-18, which is not fine-tuned. A model that
  cannot be fine-tuned has a note instead.

  Args:
    subjects: models with different names.
    sets: matched training and test images.
    settings: what is measured.
    output_dir: folder below which features and results are kept.
    frozen_only: names of models that are not fine-tuned, such as checkpoints.
    say: takes a line for each finished curve.

  Raises:
    UsageError: a model or the images cannot be used.
  """
  notes: list[str] = []
  num_classes = len(sets.class_names)
  chosen = _subsets(sets.train, settings, num_classes, notes)
  runner = _Runner(settings, sets, chosen, output_dir, say)
  tuned = [s for s in subjects if s.name not in frozen_only]
  random = random_weights.choose(tuned)
  notes.append(random.note)
  drawn = [
    functools.partial(random.features, seed, runner.extracted)
    for seed in settings.seeds
  ]
  curves = [runner.frozen(RANDOM, drawn, random.key())]
  for subject in subjects:
    folder = os.path.join(output_dir, _folder(subject.name))
    features = [runner.features(subject, folder)] * len(settings.seeds)
    key = protocol.model_key(subject.frozen.description)
    curves.append(runner.frozen(subject.name, features, key))
  curves = [curve for pair in curves for curve in pair]
  if settings.fine_tunes:
    curves += _fine_tuned(runner, tuned, random.subject, notes, say)
  shares = list(chosen)
  return Measured(
    [len(chosen[share][0]) for share in shares], shares, curves, notes
  )


def _fine_tuned(runner, subjects, drawn, notes, say) -> list[Curve]:
  """Curves of fine-tuning, as far as models and random weights have them.

  Args:
    runner: what measures the models.
    subjects: models.
    drawn: the one of them whose network is trained from random weights, too;
      None if there is none.
    notes: sentences, to which this adds what is missing, and why.
    say: takes these, too.
  """
  curves, missing = [], []
  if drawn is None:
    missing.append(
      f"{RANDOM} are not fine-tuned: no given model has a network whose weights"
      " can be drawn"
    )
  for subject in sorted(subjects, key=lambda each: each is not drawn):
    try:
      curves += runner.fine_tuned(subject, from_scratch=subject is drawn)
    except errors.UsageError as error:
      also = f" and {RANDOM} are" if subject is drawn else " is"
      missing.append(f"{subject.name}{also} not fine-tuned: {error}")
  for note in missing:
    say(note)
  notes += missing
  return curves


def _folder(name: str) -> str:
  """A folder for a model: its name, with a hash if separators are replaced."""
  plain = "".join(c if c.isalnum() else "-" for c in name)
  if plain != name:  # "a.b" and "a-b" have folders of their own.
    plain += f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
  return f"model-{plain}"


def _subsets(
  train: records_lib.ImageRecords,
  settings: Settings,
  num_classes: int,
  notes: list[str],
) -> dict[float, list[np.ndarray]]:
  """{share: images of each seed}, by share; equal numbers only once."""
  found: dict[float, list[np.ndarray]] = {}
  known: dict[int, float] = {}
  total = train.num_images
  for share in sorted(settings.shares):
    images = [
      label_subsets.balanced(
        train.labels, share, num_classes=num_classes, seed=seed
      )
      for seed in settings.seeds
    ]
    number = len(images[0])
    if number in known:
      notes.append(
        f"{100 * share:g} % of {total} labels are no more than"
        f" {100 * known[number]:g} %, one of each of {num_classes} classes;"
        " only the latter is measured"
      )
      continue
    if share * total < num_classes:
      notes.append(
        f"{100 * share:g} % of {total} labels are fewer than the {num_classes}"
        f" classes: one of each is taken, {100 * number / total:.1f} %"
      )
    known[number] = share
    found[share] = images
  return found


class _Runner:
  """Measures models on the same subsets."""

  def __init__(self, settings, sets, chosen, output_dir, say):
    self._settings: Settings = settings
    self._sets: labeled_sets.LabeledSets = sets
    self._chosen: Mapping[float, list[np.ndarray]] = chosen
    self._output_dir = output_dir
    self._say = say

  def features(
    self, subject: protocol.Subject, folder: str
  ) -> dict[str, labeled_sets.Features]:
    """Features of both sets by the frozen model."""
    found = {}
    for role in ("train", "test"):
      records = getattr(self._sets, role)
      stored = store.extract(
        [subject.frozen],
        records,
        os.path.join(folder, "features", role),
        image_size=self._settings.image_size,
        framing="middle",
        batch_size=self._settings.batch_size,
        max_skipped_fraction=self._settings.max_skipped_fraction,
      )
      found[role] = labeled_sets.Features(
        stored.by_model[subject.frozen.name],
        records.labels[stored.index].astype(np.int64),
        np.asarray(stored.index),
        stored.skipped,
      )
    return found

  def extracted(self, encode: Callable) -> dict[str, labeled_sets.Features]:
    """Features of both sets by a function of images; kept nowhere."""
    found = {}
    for role in ("train", "test"):
      records = getattr(self._sets, role)
      values, index = [], []
      skipped = skipped_lib.SkippedFiles(
        None, records.num_images, self._settings.max_skipped_fraction
      )
      with skipped.explained():
        for batch in numbered_images.numbered_images(
          records,
          image_size=self._settings.image_size,
          batch_size=self._settings.batch_size,
          skipped=skipped,
        ):
          values.append(np.asarray(encode(batch.image), np.float32))
          index.append(batch.index.numpy())
      index = np.concatenate(index)
      found[role] = labeled_sets.Features(
        np.concatenate(values),
        records.labels[index].astype(np.int64),
        index,
        {},
      )
    return found

  def frozen(
    self, name: str, features: Sequence, key: Mapping[str, Any]
  ) -> list[Curve]:
    """Accuracies of kNN and of a linear probe.

    Args:
      name: name of the model.
      features: features for each seed, or functions that return them.
      key: what identifies the model.
    """
    settings = self._settings
    data = self._sets.data()
    key = {
      "model": key,
      "data": {role: facts["labels_sha256"] for role, facts in data.items()},
      "images": {role: facts["sha256"] for role, facts in data.items()},
      "shares": list(self._chosen),
      "image_size": settings.image_size,
      "k": settings.k,
      "temperature": settings.temperature,
      "inverse_penalties": list(settings.inverse_penalties),
    }
    folder = os.path.join(self._output_dir, _folder(name), "frozen")
    with seeds.open_results(folder, key, self._say) as kept:
      results = [
        kept.result(
          f"seed-{seed}",
          lambda _, place=place, of_seed=of_seed: self._of_seed(
            of_seed() if callable(of_seed) else of_seed, place
          ),
        )
        for place, (seed, of_seed) in enumerate(
          zip(settings.seeds, features, strict=True)
        )
      ]
    curves = []
    for method in (KNN, LINEAR):
      percent = np.array([result[method] for result in results])
      seconds = sum(result[f"{method} seconds"] for result in results)
      curves.append(Curve(name, method, percent, seconds))
      self._say(
        f"{name}, {method}: {_line(percent.mean(0))} % with"
        f" {_line([len(i[0]) for i in self._chosen.values()], '{:g}')} labels"
      )
    return curves

  def _of_seed(self, features, place: int) -> dict[str, Any]:
    """Accuracies of one seed for all shares; JSON values."""
    found = {KNN: [], LINEAR: [], f"{KNN} seconds": 0, f"{LINEAR} seconds": 0}
    train = features["train"]
    for images in self._chosen.values():
      rows = np.flatnonzero(np.isin(train.index, images[place]))
      errors.require(
        len(rows),
        f"none of the {len(images[place])} chosen training images can be read;"
        " repair or remove them",
      )
      for method, measure_one in ((KNN, self._knn), (LINEAR, self._linear)):
        began = time.monotonic()
        found[method].append(100 * measure_one(features, rows))
        found[f"{method} seconds"] += time.monotonic() - began
    return found

  def _knn(self, features, rows) -> float:
    train, test = features["train"], features["test"]
    return classifier.knn_accuracy(
      np.asarray(train.values)[rows],
      train.labels[rows],
      test.values,
      test.labels,
      k=min(self._settings.k, len(rows)),
      temperature=self._settings.temperature,
    )

  def _linear(self, features, rows) -> float:
    train, test = features["train"], features["test"]
    values, labels = np.asarray(train.values)[rows], train.labels[rows]
    fit = functools.partial(
      logistic.fit, values, labels, num_classes=len(self._sets.class_names)
    )
    penalty = _PENALTY
    if np.bincount(labels).min() >= _LEAST:
      out = records_lib.keep_labels(labels, _HELD_OUT, seed=0) >= 0
      accuracies = {
        one.inverse_penalty: one.predict(values[out], labels[out]).accuracy()
        for one in fit(
          np.flatnonzero(~out),
          inverse_penalties=sorted(self._settings.inverse_penalties),
        )
      }
      penalty = max(accuracies, key=accuracies.get)
    [best] = fit(np.arange(len(rows)), inverse_penalties=[penalty])
    return best.predict(test.values, test.labels).accuracy()

  def fine_tuned(
    self, subject: protocol.Subject, *, from_scratch: bool
  ) -> list[Curve]:
    """Accuracies of fine-tuning, those from random weights first."""
    settings = self._settings
    outcome = fine_tuning.FineTuning(
      train=self._sets.train,
      test=self._sets.test,
      sgd=settings.sgd,
      label_shares=tuple(self._chosen),
      seeds=settings.seeds,
      from_scratch=from_scratch,
      image_size=settings.image_size,
      batch_size=settings.batch_size,
      epochs=settings.epochs,
      min_steps=settings.min_steps,
      max_skipped_fraction=settings.max_skipped_fraction,
    ).run(
      subject,
      output_dir=os.path.join(self._output_dir, _folder(subject.name)),
      say=self._say,
    )
    starts = {"scratch": RANDOM} if from_scratch else {}
    starts["pretrained"] = subject.name
    by_cell = {
      (run["start"], run["seed"], run["share"]): run
      for run in outcome.details["runs"]
    }
    curves = []
    for start, name in starts.items():
      runs = [
        [by_cell[start, seed, share] for share in self._chosen]
        for seed in settings.seeds
      ]
      percent = np.array([[run["top1"] for run in row] for row in runs])
      seconds = [run["seconds"] for row in runs for run in row]
      total = None if None in seconds else sum(seconds)
      curves.append(Curve(name, FINE_TUNED, percent, total))
    return curves


def _line(values, form: str = "{:.1f}") -> str:
  return ", ".join(map(form.format, values))
