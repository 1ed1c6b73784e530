"""Checks the preprocessing of a model against what it remembers of training.

A model file rarely says how images are preprocessed, conventions are often
broken, and features of a wrong preprocessing look like features.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl.models import batch_norms, image_model, natural_noise
from tf_ssl.models import preprocessing as preprocessing_lib
from tf_ssl.models import reader as reader_lib

# Largest misfit of a right preprocessing, and how much larger that of the next
# must be. Calibrated on networks whose preprocessing is known, see
# gin_configs/invariance/README.md.
MAX_MISFIT = 0.3
MIN_RATIO = 2.0
# The same for the share of the class that predictions of photos leave open. A
# wrong scale makes predictions certain, too, but not of different classes.
_MAX_OPEN = 0.5
# Share of units that never change from which another preprocessing is sought.
_MANY_CONSTANT = 0.05
# Preprocessings whose results differ by less than this share of their standard
# deviation are one: -1..1 and (x-127)/128 differ by 1 %.
_SAME = 0.03
_NUM_IMAGES = 64
_SIZE = 128  # px; used where the model takes any size
_CHUNK = 16  # Images at once.


class Evidence(NamedTuple):
  """A number for each candidate preprocessing; the least is the best.

  Attributes:
    values: number by name of the candidate.
    what: description of the number, such as "misfit at the first batch norm".
    best: name of the candidate with the least number.
    same: names of the candidates that are practically equal to `best`, and its
      own.
    is_clear: whether `best` fits, and all others but `same` do not.
    replaces: whether a clear one replaces what the file states.
  """

  values: Mapping[str, float]
  what: str
  best: str
  same: tuple[str, ...]
  is_clear: bool
  replaces: bool = True

  def text(self, name: str) -> str:
    """The number of a candidate and that of the best other one."""
    others = [
      other
      for other in self.values
      if other != name and not {name, other} <= set(self.same)
    ]
    other = min(others, key=self.values.get)
    return (
      f"{self.what} {self.values[name]:.2g}, {other} {self.values[other]:.2g}"
    )


def checked(
  reader: reader_lib.Reader,
  *,
  name: str,
  preprocessing: str | None = None,
  image_size: int | None = None,
  photos: np.ndarray | None = None,
) -> reader_lib.Reader:
  """Verifies the preprocessing of a model, or finds it.

  What the file or a convention states gives way to a preprocessing that clearly
  fits better. The user's choice stays; a warning says so if another one fits.

  The first batch norm decides. A classifier without one is checked by its
  predictions of photos; those never replace a preprocessing. Without either,
  nothing is verified, and a warning counts the units that never change.

  Args:
    reader: the model as its file describes it.
    name: name of the model, for warnings.
    preprocessing: name in `preprocessing.BY_NAME` that the user chose, or None.
    image_size: side in px of the square that images are resized to, or None.
    photos: natural images [N, H, W, 3], 0..255; None for noise with their
      statistics.

  Returns:
    The model with `preprocessing_check`, and with the preprocessing that was
    found if `preprocessing` is None.
  """
  if reader.preprocessing_is_known:
    return reader
  size = reader.image_size or ((image_size or _SIZE),) * 2
  is_noise = photos is None
  if is_noise:
    photos = natural_noise.images(_NUM_IMAGES, size)
  candidates = dict(preprocessing_lib.BY_NAME)
  stated, source = preprocessing, "the chosen preprocessing"
  if preprocessing is None and reader.preprocessing is not None:
    stated, source = reader.preprocessing, reader.preprocessing_chosen
    if reader.preprocess is not None:
      candidates = {stated: reader.preprocess, **candidates}
  images = tf.image.resize(photos, size, antialias=True)
  problem = "the model has no batch norm with averages of its training"
  evidence = None
  try:
    norms = _batch_norms(reader)
    if norms is not None:
      evidence = _misfits(norms, candidates, images)
    elif reader.class_scores is not None and not is_noise:
      evidence = _open_classes(reader, candidates, images)
      if stated is None and not evidence.is_clear:
        problem += f"; {evidence.text(evidence.best)}"
        evidence = None
    if evidence is None and stated is not None:
      problem += _constant_units(reader, candidates, stated, images)
  except Exception as error:  # Of any library; a model may run nevertheless.
    problem, evidence = reader_lib.one_line(error), None
  if evidence is None:
    logging.warning(
      "model %r: preprocessing %s%s is not verified: %s; if it was trained "
      "with another one, the scores are wrong: give --preprocessing",
      name,
      stated or "of the file",
      f" ({source})" if stated else "",
      problem,
    )
    return reader._replace(preprocessing_check=f"not verified: {problem}")
  return _decided(
    reader, name, evidence, candidates, stated, source, by_user=preprocessing
  )


def _batch_norms(reader: reader_lib.Reader) -> batch_norms.BatchNorms | None:
  """The first batch-norm layers; None without any that were trained."""
  if reader.batch_norms is not None:
    found = reader.batch_norms()
  elif reader.is_numpy:
    found = None
  else:
    found = batch_norms.of_function(
      reader.run, batch_size=reader.batch_size, image_size=reader.image_size
    )
  if found is None or not batch_norms.are_trained(found.remembered):
    return None
  return found


def _misfits(
  norms: batch_norms.BatchNorms,
  candidates: Mapping[str, Callable[[tf.Tensor], tf.Tensor]],
  images: tf.Tensor,
) -> Evidence:
  prepared = _prepared(candidates, images)
  values = {
    name: batch_norms.misfit(norms, pixels) for name, pixels in prepared.items()
  }
  return _evidence(
    values, "misfit at the first batch norm", prepared, MAX_MISFIT
  )


def _open_classes(
  reader: reader_lib.Reader,
  candidates: Mapping[str, Callable[[tf.Tensor], tf.Tensor]],
  images: tf.Tensor,
) -> Evidence:
  """What a classifier's predictions say: photos are of different classes.

  For each candidate 1 - I / log n, with I the mutual information of image and
  predicted class, H(mean of p) - mean of H(p), and n the number of classes.
  """
  prepared = _prepared(candidates, images)
  values = {
    name: open_share(_run(reader.class_scores, reader, pixels))
    for name, pixels in prepared.items()
  }
  what = "share of the class that predictions of photos leave open"
  found = _evidence(values, what, prepared, _MAX_OPEN)
  return found._replace(replaces=False)


def open_share(scores: np.ndarray) -> float:
  """Share of the class that predictions leave open, as in `_open_classes`.

  Args:
    scores: logits or probabilities [N, n], n >= 2.

  Returns:
    The share, from 0 (certain, and evenly of all classes) to 1 (the prediction
    is the same for all images, or not finite).
  """
  scores = np.asarray(scores, np.float64)
  if not np.isfinite(scores).all():
    return 1.0
  sums = scores.sum(axis=1)
  if (scores >= 0).all() and np.allclose(sums, 1, atol=1e-2):
    classes = scores / sums[:, np.newaxis]
  else:
    classes = np.exp(scores - scores.max(axis=1, keepdims=True))
    classes /= classes.sum(axis=1, keepdims=True)
  information = _entropy(classes.mean(axis=0)) - _entropy(classes).mean()
  return float(1 - information / np.log(scores.shape[1]))


def _entropy(p: np.ndarray) -> np.ndarray:
  return -(p * np.log(np.maximum(p, np.finfo(p.dtype).tiny))).sum(axis=-1)


def _constant_units(
  reader: reader_lib.Reader,
  candidates: Mapping[str, Callable[[tf.Tensor], tf.Tensor]],
  stated: str,
  images: tf.Tensor,
) -> str:
  """A clause about units that never change; "" if there are few."""

  def share(name: str) -> float:
    pixels = candidates[name](images).numpy()
    features, _ = image_model.vectors(
      tf.constant(_run(reader.run, reader, pixels)),
      "the layer",
      channels_first=reader.channels_first,
    )
    return float(np.mean(np.ptp(features.numpy(), axis=0) == 0))

  with np.errstate(all="ignore"):  # A wrong preprocessing may overflow.
    found = share(stated)
    if found < _MANY_CONSTANT:
      return ""
    shares = {name: share(name) for name in candidates}
  best = min(shares, key=shares.get)
  text = f"; {100 * found:.0f} % of its units have one value for all images"
  if shares[best] > found / 2:
    return text
  return f"{text}, with {best} {100 * shares[best]:.0f} %"


def _run(
  function: Callable, reader: reader_lib.Reader, pixels: np.ndarray
) -> np.ndarray:
  """Output of a function of the model for images, without a last part batch."""
  step = reader.batch_size or min(_CHUNK, len(pixels))
  parts = [
    np.asarray(
      function(
        pixels[start : start + step]
        if reader.is_numpy
        else tf.constant(pixels[start : start + step])
      )
    )
    for start in range(0, len(pixels) - step + 1, step)
  ]
  return np.concatenate(parts)


def _prepared(
  candidates: Mapping[str, Callable[[tf.Tensor], tf.Tensor]], images: tf.Tensor
) -> dict[str, np.ndarray]:
  return {name: make(images).numpy() for name, make in candidates.items()}


def _evidence(
  values: Mapping[str, float],
  what: str,
  prepared: Mapping[str, np.ndarray],
  most: float,
) -> Evidence:
  """Compares candidates; `most` is the largest number of one that fits."""
  best = min(values, key=values.get)
  same = tuple(
    name
    for name, pixels in prepared.items()
    if np.sqrt(np.mean((pixels - prepared[best]) ** 2))
    <= _SAME * np.std(prepared[best])
  )
  others = min(value for name, value in values.items() if name not in same)
  is_clear = values[best] < most and others >= MIN_RATIO * values[best]
  return Evidence(values, what, best, same, is_clear)


def _decided(
  reader: reader_lib.Reader,
  name: str,
  evidence: Evidence,
  candidates: Mapping[str, Callable[[tf.Tensor], tf.Tensor]],
  stated: str | None,
  source: str,
  *,
  by_user: str | None,
) -> reader_lib.Reader:
  """The model with the preprocessing that follows from the evidence."""
  taken, warning = stated, ""
  if stated is None:
    taken = evidence.best
    reader = reader._replace(preprocessing_chosen="it fits best")
  elif evidence.is_clear and stated not in evidence.same:
    warning = f"preprocessing {stated} ({source}) does not fit"
    if by_user is None and evidence.replaces:
      taken = evidence.best
      warning += f"; {taken} is taken instead"
      reader = reader._replace(
        preprocessing_chosen=f"it fits; {stated} ({source}) does not"
      )
    else:
      warning += f"; {evidence.best} does"
  is_verified = evidence.is_clear and taken in evidence.same
  if not is_verified and not warning:
    warning = f"preprocessing {taken} is not verified"
  text = evidence.text(taken)
  if warning:
    logging.warning("model %r: %s (%s)", name, warning, text)
  return reader._replace(
    preprocessing=taken,
    preprocess=candidates[taken],
    preprocessing_check=f"{'' if is_verified else 'not '}verified: {text}",
  )
