"""Checks the preprocessing of a model against what it remembers of training.

A model file rarely says how images are preprocessed, conventions are often
broken, and features of a wrong preprocessing look like features.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from tf_ssl.models import batch_norms, natural_noise
from tf_ssl.models import preprocessing as preprocessing_lib
from tf_ssl.models import reader as reader_lib

# Largest misfit of a right preprocessing, and how much larger that of the next
# must be. Calibrated on networks whose preprocessing is known, see
# gin_configs/invariance/README.md.
MAX_MISFIT = 0.3
MIN_RATIO = 2.0
# Preprocessings whose results differ by less than this share of their standard
# deviation are one: -1..1 and (x-127)/128 differ by 1 %.
_SAME = 0.03
_NUM_IMAGES = 64
_SIZE = 128  # px; used where the model takes any size


class Evidence(NamedTuple):
  """A number for each candidate preprocessing; the least is the best.

  Attributes:
    values: number by name of the candidate.
    what: description of the number, such as "misfit at the first batch norm".
    best: name of the candidate with the least number.
    same: names of the candidates that are practically equal to `best`, and its
      own.
    is_clear: whether `best` fits, and all others but `same` do not.
  """

  values: Mapping[str, float]
  what: str
  best: str
  same: tuple[str, ...]
  is_clear: bool

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
  if photos is None:
    photos = natural_noise.images(_NUM_IMAGES, size)
  candidates = dict(preprocessing_lib.BY_NAME)
  stated, source = preprocessing, "the chosen preprocessing"
  if preprocessing is None and reader.preprocessing is not None:
    stated, source = reader.preprocessing, reader.preprocessing_chosen
    if reader.preprocess is not None:
      candidates = {stated: reader.preprocess, **candidates}
  try:
    norms = _batch_norms(reader)
    problem = "the model has no batch norm with averages of its training"
    evidence = norms and _misfits(
      norms, candidates, tf.image.resize(photos, size)
    )
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
  prepared = {name: make(images).numpy() for name, make in candidates.items()}
  values = {
    name: batch_norms.misfit(norms, pixels) for name, pixels in prepared.items()
  }
  best = min(values, key=values.get)
  same = tuple(
    name
    for name, pixels in prepared.items()
    if np.sqrt(np.mean((pixels - prepared[best]) ** 2))
    <= _SAME * np.std(prepared[best])
  )
  others = min(value for name, value in values.items() if name not in same)
  return Evidence(
    values,
    "misfit at the first batch norm",
    best,
    same,
    values[best] < MAX_MISFIT and others >= MIN_RATIO * values[best],
  )


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
    if by_user is None:
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
