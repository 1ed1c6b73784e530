"""Reports read as measurements, and files that are none."""

import json
import math
import sys

import numpy as np
import pytest

from tests.comparison import reports_reference as reference
from tf_ssl import errors
from tf_ssl.reporting import schema


@pytest.fixture(name="files")
def fixture_files(tmp_path):
  """Writes one report as text or JSON and returns its path in a list."""

  def write(content):
    path = tmp_path / "some.json"
    path.write_text(
      content if isinstance(content, str) else json.dumps(content)
    )
    return [str(path)]

  return write


def _read(files, content):
  return schema.read(files(content)[0])


def _without(name):
  report = reference.report()
  del report[name]
  return report


@pytest.mark.parametrize(
  ("content", "message"),
  [
    ("{", "is not JSON"),
    ("[" * 100_000, "is not JSON"),
    ("[1]", "list"),
    ("{}", "'settings'"),
    (_without("results"), "'results'"),
    (reference.report(format=2), "format 2; .* format 1"),
    (reference.report(results={"a": "b"}), "'a' is 'b'"),
    (reference.report(results=3), "'results' is 3"),
    (reference.report(model={"name": "a"}), "'digest'"),
    (reference.report(details={"intervals_95": {"a": 3}}), "is not a report"),
    (
      reference.report(details={"intervals_95": {"a": [1, 2]}}),
      "is not a report",
    ),
    ({"scores": [], "models": [], "settings": {}, "sets": []}, "no scores"),
    ({"scores": 3, "models": [], "settings": {}, "sets": []}, "not iterable"),
  ],
)
def test_damaged_reports_are_refused(files, content, message):
  [path] = files(content)
  with pytest.raises(errors.UsageError, match=message) as failed:
    schema.read(path)
  assert path in str(failed.value)


def test_reports_of_evaluation_can_be_read(tmp_path):
  from tf_ssl.evaluation import protocol, report

  outcome = protocol.Outcome(
    protocol="knn",
    title="Nearest neighbors",
    settings={"k": (20, 200), "image_size": np.int64(32), "seed": 3},
    data={"test": {"count": 7, "sha256": "fedc"}},
    results={"top1_percent": 43.416, "loss": math.nan},
  )
  subject = protocol.Subject("mine=pixels")
  report.write(outcome, subject, "typed", str(tmp_path))
  [measured] = schema.read(str(tmp_path))
  assert measured.model == "mine"
  assert measured.digest == subject.frozen.description.digest
  assert measured.settings == {"k": [20, 200], "image_size": 32}
  assert measured.seeds == {"seed": 3}
  assert measured.data["test.sha256"] == "fedc"
  assert measured.results == {"top1_percent": 43.416, "loss": None}


def test_seeds_are_split_from_settings_and_paths_from_data(files):
  content = reference.report(
    settings={
      "k": 20,
      "grid": {"C": [1, 2], "split_seed": 4, "empty": {}},
      "seeds": [0, 1],
      "seedling": 7,
    },
    data={
      "train": {"count": 12, "sha256": "0" * 64, "root": "/a", "file": "b"}
    },
    skipped={"a.jpg": "empty file", "b.jpg": "truncated"},
    provenance={"content": {"run": {"seed": 9}}},
  )
  [measured] = _read(files, content)
  assert measured.settings == {
    "k": 20,
    "grid.C": [1, 2],
    "grid.empty": {},
    "seedling": 7,
  }
  assert measured.seeds == {
    "grid.split_seed": 4,
    "seeds": [0, 1],
    "training": 9,
  }
  assert measured.data == {
    "train.count": 12,
    "train.sha256": "0" * 64,
    "skipped": 2,
  }
  assert measured.software == {"python": "3.11.7", "commit": "c0ffee"}
  assert measured.read_as == {
    "layer": "features",
    "preprocessing": "0..255",
    "image_size": None,
    "width": 512,
  }


@pytest.mark.parametrize(
  ("provenance", "seeds"),
  [
    (None, {}),
    ("text", {}),
    ({"content": None}, {}),
    ({"content": {"seed": 5}}, {"training": 5}),
    ({"content": {"run": {}, "seed": 5}}, {}),
  ],
)
def test_the_seed_of_training_is_in_the_provenance(files, provenance, seeds):
  content = reference.report(settings={}, provenance=provenance)
  [measured] = _read(files, content)
  assert measured.seeds == seeds


def test_intervals_without_ends_are_left_out(files):
  intervals = {"a": [5, 4, 6], "b": [5, None, None]}
  content = reference.report(details={"intervals_95": intervals})
  [measured] = _read(files, content)
  assert measured.intervals == {"a": (4.0, 6.0)}


def test_nan_and_infinity_are_read_as_no_number(files):
  text = json.dumps(reference.report(results={"a": math.nan, "b": math.inf}))
  assert "NaN" in text
  [measured] = _read(files, text)
  assert measured.results == {"a": None, "b": None}


def _invariance():
  rows = [
    {
      "model": model,
      "invariance": "object_size",
      "k": k,
      "score": score,
      "images": 90,
      "sets": 9,
      "classes": 3,
      "variant": "code",
      "image_size": 64,
      "dataset_sha256": "d" * 64,
    }
    for model, k, score in (("a", 10, 50.0), ("b", 10, 60.0), ("a", 25, 40.0))
  ]
  return {
    "settings": {"firing_fraction": None, "seed": 3},
    "models": [reference.report(name, name * 3)["model"] for name in "ab"],
    "sets": [{"invariance": "object_size", "cropped": True}],
    "scores": rows,
  }


def test_an_invariance_is_one_protocol_of_each_model(files):
  one, other = _read(files, _invariance())
  assert (one.model, other.model) == ("a", "b")
  assert (one.digest, other.digest) == ("aaa", "bbb")
  assert one.protocol == other.protocol == "object size invariance"
  assert one.results == {"top10_percent": 50.0, "top25_percent": 40.0}
  assert other.results == {"top10_percent": 60.0}
  assert one.seeds == {"seed": 3}
  assert one.settings["image_size"] == 64
  assert one.data["sets.cropped"] is True and one.data["sets.images"] == 90


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (lambda c: c["models"].pop(), "'b'"),
    (lambda c: c["sets"].clear(), "'object_size'"),
    (lambda c: c["scores"][0].pop("variant"), "'variant'"),
    (lambda c: c["scores"][0].update(score="high"), "'high'"),
    (lambda c: c.update(format=7), "format 7"),
  ],
)
def test_a_damaged_measurement_of_invariances_is_refused(
  files, change, message
):
  content = _invariance()
  change(content)
  with pytest.raises(errors.UsageError, match=message):
    _read(files, content)


def test_the_file_of_a_folder_is_found_and_its_absence_named(tmp_path):
  for name in ("nowhere", "."):
    with pytest.raises(errors.UsageError, match="report.json"):
      schema.read(str(tmp_path / name))
  (tmp_path / "invariance.json").write_text(json.dumps(_invariance()))
  assert [one.model for one in schema.read(str(tmp_path))] == ["a", "b"]
  (tmp_path / "report.json").write_text(json.dumps(reference.report("c")))
  [measured] = schema.read(str(tmp_path))
  assert measured.model == "c"
  assert measured.path == str(tmp_path / "report.json")


def test_names_of_a_foreign_report_are_printable(tmp_path):
  content = {
    "protocol": "\ud800",
    "model": {"name": "\udcff", "digest": "d"},
    "settings": {},
    "data": {},
    "versions": {},
    "results": {"top1\x1b": 1.0, "top2": float("nan")},
  }
  (tmp_path / "report.json").write_text(json.dumps(content))
  (found,) = schema.read(str(tmp_path))
  assert (found.protocol, found.model) == (r"\ud800", r"\xff")
  assert found.results == {r"top1\x1b": 1.0, "top2": None}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
