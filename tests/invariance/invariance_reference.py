"""Slow references of the invariance score.

`code_scores` follows the authors' published program step by step, with two full
sorts. `formula_invariance` follows the paper's definition, image by image.
"""

import numpy as np


def code_scores(features, sets, classes=None, *, top_k=(10, 25)):
  """Steps 1-6 of the program: {K: percent}."""
  sets = np.asarray(sets)
  classes = sets if classes is None else np.asarray(classes)
  names = np.unique(classes)
  percent = min((1.0 - 1.0 / len(names)) * 100, 95)
  num_images, num_units = features.shape
  place = int((num_images * percent) // 100)

  high = np.sort(features, axis=0)[place]
  low = np.sort(features, axis=0)[::-1][place]
  global_rate = np.mean(features >= high, axis=0)

  local = np.zeros([len(names), num_units])
  number = np.zeros([len(names), num_units])
  for one in np.unique(sets):
    images = features[sets == one]
    if len(images) < 3:
      continue
    row = list(names).index(classes[sets == one][0])
    for unit in range(num_units):
      count = max(
        sum(images[:, unit] > high[unit]), sum(images[:, unit] < low[unit])
      )
      if count > 0:
        local[row, unit] += count / len(images)
        number[row, unit] += 1
  local = local / (number + 1e-20)

  scores = {}
  for k in top_k:
    means = []
    for row in range(len(names)):
      best = sorted(local[row] / global_rate, reverse=True)[:k]
      total = 0.0
      for value in best:
        total += value
      means.append(total / k)
    scores[k] = np.mean(means) * (100 - percent)
  return scores


def formula_invariance(values, sets, classes, fraction):
  """I_y of one unit in percent of the largest: {class: percent}."""
  values, sets, classes = map(np.asarray, (values, sets, classes))
  best = {}
  for sign in (1, -1):
    response = sign * values
    # The lowest threshold that no more than the fraction of images exceed.
    threshold = min(
      t for t in response if np.mean(response > t) <= fraction + 1e-12
    )
    for one in np.unique(classes):
      local = [
        np.mean(response[sets == z] > threshold)
        for z in np.unique(sets[classes == one])
        if np.sum(sets == z) >= 3
      ]
      if local:
        percent = 100 * np.mean(local)  # L / G of at most 1 / G
        best[one] = max(best.get(one, 0.0), percent)
  return best
