"""Reference of METHODS 7, with scikit-learn, in one process."""

import warnings

import numpy as np
from sklearn import exceptions, model_selection, svm


def classifier(cost, max_iterations=2000):
  """The SVM of the VOC07 benchmark."""
  return svm.LinearSVC(
    C=cost,
    class_weight={1: 2, -1: 1},
    loss="squared_hinge",
    penalty="l2",
    tol=1e-4,
    max_iter=max_iterations,
    dual=True,
    random_state=0,
  )


def unit(features):
  """Rows of length 1, float64."""
  features = np.asarray(features, np.float64)
  return features / np.linalg.norm(features, axis=1, keepdims=True)


def linear_svm(train, train_targets, test, costs, *, ignored=False):
  """Cross-validated AP [C, costs], chosen costs [C] and test scores [M, C].

  Ignored training examples (-1) are negatives unless `ignored`.
  """
  train, test = unit(train), unit(test)
  validated, chosen, scores = [], [], []
  for column in train_targets.T:
    kept = column >= 0 if ignored else np.ones(len(column), bool)
    labels = np.where(column[kept] == 1, 1, -1)
    with warnings.catch_warnings():
      warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
      found = [
        model_selection.cross_val_score(
          classifier(cost),
          train[kept],
          labels,
          cv=3,
          scoring="average_precision",
        ).mean()
        for cost in costs
      ]
      best = costs[int(np.argmax(found))]
      fitted = classifier(best).fit(train[kept], labels)
    validated.append(found)
    chosen.append(best)
    scores.append(fitted.decision_function(test))
  return np.array(validated), np.array(chosen), np.array(scores).T
