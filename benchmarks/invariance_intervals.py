"""Coverage of three kinds of intervals of invariance scores.

    python -m benchmarks.invariance_intervals

Draws sets of images repeatedly from units with an effect of class, set and
image. For three kinds of intervals from the same resampled scores, it prints
the share that covers the average score of the same number of sets and, in
parentheses, the score of very many sets. `intervals.intervals` computes the
centered kind.
"""

import argparse

import numpy as np

from tf_ssl.invariance import firing, intervals
from tf_ssl.invariance import score as score_lib

CLASSES, UNITS, IMAGES, K = 4, 60, 8, 5


def main() -> None:
  """Measures and prints one line per setting."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--repetitions", type=int, default=250)
  parser.add_argument("--resamples", type=int, default=400)
  arguments = parser.parse_args()
  for variant in firing.VARIANTS:
    for effect in (1.0, 0.3):
      for num_sets in (5, 10, 30):
        _measure(variant, effect, num_sets, arguments)


def _measure(
  variant: str, effect: float, num_sets: int, arguments: argparse.Namespace
) -> None:
  rng = np.random.default_rng(num_sets)
  centers = effect * np.random.default_rng(5).normal(size=(CLASSES, UNITS))
  limit = _score(rng, centers, 1000, variant).scores[K]
  scores, low, high, middle = [], [], [], []
  for seed in range(arguments.repetitions):
    score = _score(rng, centers, num_sets, variant)
    drawn = intervals.replicates(
      score, resamples=arguments.resamples, seed=seed
    )[K]
    scores.append(score.scores[K])
    low.append(np.quantile(drawn, 0.025))
    high.append(np.quantile(drawn, 0.975))
    middle.append(drawn.mean())
  scores, low, high, middle = map(np.array, (scores, low, high, middle))
  average = scores.mean()
  kinds = {
    "percentile": (low, high),
    "basic": (2 * scores - high, 2 * scores - low),
    "centered": (scores + low - middle, scores + high - middle),
  }
  print(
    f"{variant:7} effect of class {effect:g}, {num_sets:2} sets per class:"
    f" average {average:.1f}, very many sets {limit:.1f}, bias"
    f" {np.mean(middle - scores):.1f}; "
    + ", ".join(
      f"{name} {np.mean((a <= average) & (average <= b)):.2f}"
      f" ({np.mean((a <= limit) & (limit <= b)):.2f})"
      for name, (a, b) in kinds.items()
    ),
    flush=True,
  )


def _score(
  rng: np.random.Generator, centers: np.ndarray, num_sets: int, variant: str
) -> score_lib.InvarianceScore:
  of_set = rng.normal(size=(CLASSES, num_sets, 1, UNITS))
  features = centers[:, np.newaxis, np.newaxis] + of_set
  features = features + rng.normal(size=(CLASSES, num_sets, IMAGES, UNITS))
  sets = np.repeat(np.arange(CLASSES * num_sets), IMAGES)
  return score_lib.representation_invariance_score(
    features.reshape(-1, UNITS).astype(np.float32),
    sets,
    sets // num_sets,
    top_k=(K,),
    variant=variant,
    firing_fraction=0.1,
  )


if __name__ == "__main__":
  main()
