"""Reports of tools.evaluate, and their comparison."""

from tf_ssl.comparison import compare

K20 = {"k": 20, "temperature": 0.07, "seed": 0}


def report(name="moco", digest="a", *, protocol="knn", settings=None, **other):
  """A report of tools.evaluate."""
  return {
    "protocol": protocol,
    "title": protocol,
    "model": {
      "name": name,
      "kind": "SavedModel",
      "layer": "features",
      "preprocessing": "0..255",
      "image_size": None,
      "width": 512,
      "digest": digest,
    },
    "results": {"top1_percent": 40.0},
    "settings": dict(K20 if settings is None else settings),
    "data": {
      "train": {"count": 12, "sha256": "0" * 64},
      "test": {"count": 7, "sha256": "1" * 64},
    },
    "skipped": {},
    "provenance": None,
    "versions": {"python": "3.11.7"},
    "git_commit": "c0ffee",
    "command": "",
    **other,
  }


def compared(paths):
  return compare.compare(compare.read(paths))


def runs(name, values, **other):
  """Reports of trainings with seeds 0, 1, ..."""
  return [
    report(
      name,
      f"{name}{seed}",
      results={"top1_percent": value},
      provenance={"file": "p", "content": {"run": {"seed": seed}}},
      **other,
    )
    for seed, value in enumerate(values)
  ]
