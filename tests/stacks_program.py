"""Reads the runs of both sets of packages and writes what it computes.

A program of its own, because each Python imports one TensorFlow:
python -m tests.stacks_program --output=FILE.npz RUN [RUN ...]
"""

import argparse
import pathlib

import numpy as np

import tf_ssl


def main():
  """Writes features of each run and invariance scores of fixed features."""
  parser = argparse.ArgumentParser()
  parser.add_argument("--output", required=True)
  parser.add_argument("runs", nargs="+", type=pathlib.Path)
  given = parser.parse_args()
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, size=[8, 16, 16, 3], dtype=np.uint8)
  found = {}
  for run in given.runs:
    for kind, path in {"run": run, "model": run / "saved_model"}.items():
      model = tf_ssl.load_model(path, image_size=16)
      found[f"{kind} {run.name}"] = model.features(images)
  features = np.repeat(rng.normal(size=[40, 64]), 5, axis=0)
  features += 0.5 * rng.normal(size=features.shape)
  sets = np.repeat(np.arange(40), 5)
  for variant in ("code", "formula"):
    scores = tf_ssl.representation_invariance_score(
      features.astype(np.float32), sets, sets // 10, variant=variant
    ).scores
    found[f"scores {variant}"] = np.array([scores[k] for k in sorted(scores)])
  np.savez(given.output, **found)


if __name__ == "__main__":
  main()
