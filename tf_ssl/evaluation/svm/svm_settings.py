"""How a linear SVM is trained."""

import dataclasses
from collections.abc import Sequence

from sklearn import svm

from tf_ssl import errors

COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SvmSettings:
  """How an SVM is trained (METHODS 7; the values of VISSL's VOC07 benchmark).

  Squared hinge loss, l2 penalty, dual form, features of unit length.

  Attributes:
    costs: the values of C to choose from, each > 0.
    positive_weight: weight of an example of the class; others weigh 1.
    tolerance: liblinear's stopping criterion.
    max_iterations: liblinear's, after which it stops without it.
    seed: of liblinear's order of examples.
  """

  costs: Sequence[float] = COSTS
  positive_weight: float = 2.0
  tolerance: float = 1e-4
  max_iterations: int = 2000
  seed: int = 0

  def __post_init__(self):
    """Refuses what no SVM can be trained with."""
    costs = set(self.costs)
    if not costs or min(costs) <= 0 or len(costs) != len(self.costs):
      raise errors.UsageError(
        f"costs are {self.costs}; expected different numbers above 0, such as "
        "(0.1, 1.0, 10.0)"
      )
    if not self.positive_weight > 0 or not self.tolerance > 0:
      raise errors.UsageError(
        f"positive_weight is {self.positive_weight} and tolerance "
        f"{self.tolerance}; expected numbers above 0"
      )
    if self.max_iterations < 1:
      raise errors.UsageError(
        f"max_iterations is {self.max_iterations}; expected at least 1"
      )

  def classifier(self, cost: float) -> svm.LinearSVC:
    """The SVM for one cost, not yet fitted; labels are 1 and -1."""
    return svm.LinearSVC(
      C=cost,
      penalty="l2",
      loss="squared_hinge",
      dual=True,
      tol=self.tolerance,
      max_iter=self.max_iterations,
      class_weight={1: self.positive_weight, -1: 1.0},
      random_state=self.seed,
    )

  def report(self) -> dict:
    """All that the fits depend on, JSON values."""
    return {
      "features": "of unit length (l2)",
      "classifier": "linear SVM (scikit-learn's LinearSVC, dual)",
      "loss": "squared hinge",
      "penalty": "l2",
      "costs": list(self.costs),
      "class_weights": {"present": self.positive_weight, "absent": 1.0},
      "tolerance": self.tolerance,
      "max_iterations": self.max_iterations,
      "seed": self.seed,
    }
