"""Averages, ranks and refused reports of comparisons."""

import csv
import io
import json
import math
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.comparison import chart, compare
from tf_ssl.comparison import page as page_lib
from tf_ssl.reporting import schema

_K20 = {"k": 20, "temperature": 0.07, "seed": 0}


def _report(name="moco", digest="a", *, protocol="knn", settings=None, **other):
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
    "settings": dict(_K20 if settings is None else settings),
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


@pytest.fixture(name="files")
def fixture_files(tmp_path):
  """Writes reports into files of their own and returns the paths."""

  def write(*reports):
    paths = []
    for report in reports:
      path = tmp_path / f"report{len(list(tmp_path.iterdir()))}.json"
      text = report if isinstance(report, str) else json.dumps(report)
      path.write_text(text)
      paths.append(str(path))
    return paths

  return write


def _compared(paths):
  return compare.compare(compare.read(paths))


def _runs(name, values, **other):
  """Reports of trainings with seeds 0, 1, ..."""
  return [
    _report(
      name,
      f"{name}{seed}",
      results={"top1_percent": value},
      provenance={"file": "p", "content": {"run": {"seed": seed}}},
      **other,
    )
    for seed, value in enumerate(values)
  ]


def test_reports_of_one_name_are_averaged_with_students_interval(files):
  found = _compared(files(*_runs("moco", [40.0, 42.0, 47.0])))
  number = found.protocols[0].numbers["top1_percent"]["moco"]
  assert number.values == [40.0, 42.0, 47.0]
  assert number.mean == 43.0
  # Deviation sqrt(26 / 2), t with 2 degrees of freedom at 97.5 %: 4.30265.
  reach = 4.30265 * math.sqrt(13) / math.sqrt(3)
  np.testing.assert_allclose(
    [number.low, number.high], [43 - reach, 43 + reach], rtol=1e-5
  )
  assert number.rank is None  # There is no other model.
  page = page_lib.markdown(found)
  assert "| knn | top1, % | 43.00 (34.04..51.96, n = 3) |" in page
  assert "Nothing is ranked" in page


def test_a_single_report_has_no_interval(files):
  found = _compared(files(_report()))
  number = found.protocols[0].numbers["top1_percent"]["moco"]
  assert number[1:] == (40.0, None, None, None)
  page = page_lib.markdown(found)
  assert "| knn | top1, % | 40.00 |" in page
  assert "single measurement" in page
  assert "Student's" not in page


def test_a_single_report_has_the_interval_over_its_seeds(files):
  details = {"intervals_95": {"top1_percent": [40, 38, 42]}}
  found = _compared(files(_report(details=details)))
  number = found.protocols[0].numbers["top1_percent"]["moco"]
  assert number[1:] == (40.0, 38.0, 42.0, None)
  page = page_lib.markdown(found)
  assert "| knn | top1, % | 40.00 (38.00..42.00) |" in page
  # With several reports, the interval is over the reports.
  reports = [_report(), _report(digest="b", details=details)]
  found = _compared(files(*reports))
  assert found.protocols[0].numbers["top1_percent"]["moco"].low == 40.0


def test_an_interval_without_ends_is_none(files):
  details = {"intervals_95": {"top1_percent": [40, None, None]}}
  found = _compared(files(_report(details=details)))
  assert found.protocols[0].numbers["top1_percent"]["moco"].low is None


def test_equal_models_share_a_rank(files):
  reports = [
    _report(name, name, results={"top1_percent": value, "loss": value, "x": 1})
    for name, value in (("a", 1.0), ("b", 3.0), ("c", 3.0), ("d", 2.0))
  ]
  [protocol] = _compared(files(*reports)).protocols
  assert protocol.label == "knn"

  def ranks(result):
    return [number.rank for number in protocol.numbers[result].values()]

  assert ranks("top1_percent") == [4, 1, 1, 3]
  assert ranks("loss") == [1, 3, 3, 2]  # Less is better.
  assert ranks("x") == [None] * 4  # Unknown.


@pytest.mark.parametrize(
  ("change", "field", "values"),
  [
    ({"settings": _K20 | {"k": 200}}, "settings.k", [20, 200]),
    (
      {"settings": _K20 | {"grid": {"C": [1, 2]}}},
      "settings.grid.C",
      [None, [1, 2]],
    ),
    (
      {"data": {"train": {"count": 12, "sha256": "0" * 64}}},
      "data.test.sha256",
      ["1" * 64, None],
    ),
    ({"skipped": {"a.jpg": "empty file"}}, "data.skipped", [0, 1]),
  ],
)
def test_numbers_of_different_protocols_are_not_ranked(
  files, change, field, values
):
  found = _compared(files(_report("a", "a"), _report("b", "b", **change)))
  assert [p.label for p in found.protocols] == ["knn A", "knn B"]
  assert found.differences["knn"][field] == values
  for protocol in found.protocols:
    for number in protocol.numbers["top1_percent"].values():
      assert number.rank is None
  [line] = page_lib.difference_lines(found)
  assert line.startswith(
    "not ranked against each other: knn A, B, which differ"
  )
  assert f"{field}: " in line
  page = page_lib.markdown(found)
  assert "**" not in page.partition("## Protocols")[0]
  assert "knn: A, B are different" in page


def test_seeds_and_paths_make_no_other_protocol(files):
  data = {
    "train": {"count": 12, "sha256": "0" * 64, "root": "/elsewhere"},
    "test": {"count": 7, "sha256": "1" * 64},
  }
  found = _compared(
    files(
      _report(),
      _report(settings=_K20 | {"seed": 1}),
      _report(settings=_K20 | {"seed": 2, "split_seeds": [1, 2]}, data=data),
    )
  )
  [protocol] = found.protocols
  assert len(protocol.numbers["top1_percent"]["moco"].values) == 3
  assert found.differences == {}


def test_equal_numbers_of_other_types_are_the_same_setting(files):
  settings = {"k": 20.0, "temperature": 0.07, "seed": 0}
  found = _compared(files(_report("a"), _report("b", settings=settings)))
  assert len(found.protocols) == 1


def test_two_layers_of_one_model_are_two_models(files):
  other = _report(digest="b")
  other["model"]["layer"] = "C4"
  found = _compared(files(_report(), other))
  assert found.models == ["moco (layer features)", "moco (layer C4)"]


def test_a_result_that_was_not_finite_is_neither_averaged_nor_ranked(files):
  bad = _runs("b", [50.0, None])
  found = _compared(files(*_runs("a", [40.0]), *bad, *_runs("c", [30.0])))
  numbers = found.protocols[0].numbers["top1_percent"]
  assert numbers["b"][1:] == (None, None, None, None)
  assert [numbers[name].rank for name in "ac"] == [1, 2]
  assert "not finite" in page_lib.markdown(found)


def test_each_invariance_is_a_protocol(files):
  def invariance(name, viewpoint, fraction=None):
    rows = [
      {
        "model": name,
        "invariance": label,
        "k": k,
        "score": score,
        "images": 90,
        "sets": 9,
        "classes": 3,
        "variant": "code",
        "image_size": 64,
        "dataset_sha256": label * 8,
      }
      for label, k, score in [
        ("viewpoint", 10, viewpoint),
        ("viewpoint", 25, viewpoint - 5),
        ("light_color", 10, 50.0),
      ]
    ]
    labels = ("viewpoint", "light_color")
    return {
      "settings": {"firing_fraction": fraction, "seed": 0, "resamples": 9},
      "models": [_report(name)["model"]],
      "sets": [{"invariance": label, "cropped": False} for label in labels],
      "scores": rows,
    }

  found = _compared(files(invariance("a", 70.0), invariance("b", 75.0)))
  assert [p.label for p in found.protocols] == [
    "viewpoint invariance",
    "light color invariance",
  ]
  numbers = found.protocols[0].numbers
  assert [n.rank for n in numbers["top10_percent"].values()] == [2, 1]
  assert [n.mean for n in numbers["top25_percent"].values()] == [65.0, 70.0]
  found = _compared(files(invariance("a", 70.0), invariance("b", 75.0, 0.1)))
  assert found.differences["viewpoint invariance"] == {
    "settings.firing_fraction": [None, 0.1]
  }


def _without(name):
  report = _report()
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
    (_report(format=2), "format 2; .* format 1"),
    (_report(results={"a": "b"}), "'a' is 'b'"),
    (_report(results=3), "'results' is 3"),
    (_report(model={"name": "a"}), "'digest'"),
    (_report(details={"intervals_95": {"a": 3}}), "is not a report"),
    (_report(details={"intervals_95": {"a": [1, 2]}}), "is not a report"),
    ({"scores": [], "models": [], "settings": {}, "sets": []}, "no scores"),
    ({"scores": 3, "models": [], "settings": {}, "sets": []}, "not iterable"),
  ],
)
def test_damaged_reports_are_refused(files, content, message):
  [path] = files(content)
  with pytest.raises(errors.UsageError, match=message) as failed:
    compare.read([path])
  assert path in str(failed.value)


def test_missing_and_repeated_reports_are_refused(files, tmp_path):
  with pytest.raises(errors.UsageError, match="nowhere"):
    compare.read([str(tmp_path / "nowhere")])
  with pytest.raises(errors.UsageError, match="report.json"):
    compare.read([str(tmp_path)])
  with pytest.raises(errors.UsageError, match="no report"):
    compare.read([])
  [path] = files(_report())
  with pytest.raises(errors.UsageError, match="twice"):
    compare.read([path, f"{tmp_path}/../{tmp_path.name}/{path[-12:]}"])
  other = files(_report(), _report())
  with pytest.raises(errors.UsageError, match="model 'moco'"):
    _compared(other)


def test_page_table_and_chart_are_written(files, tmp_path):
  paths = files(
    *_runs("a|b", [40.0, 42.0]),
    *_runs("c", [30.0, 31.0]),
    _report("c", protocol="linear", results={"top1_percent": 60.0}),
  )
  said = []
  out = tmp_path / "new" / "out"
  page = page_lib.write(paths, str(out), command="typed", say=said.append)
  text = (out / "comparison.md").read_text()
  assert page == str(out / "comparison.md")
  lines = text.splitlines()
  assert lines[0] == "# Comparison of 5 reports"
  assert lines[2] == r"| protocol | result | a\|b | c |"
  assert lines[4].startswith(
    "| knn | top1, % | **41.00** (28.29..53.71, n = 2)"
  )
  assert lines[5] == "| linear | top1, % |  | 60.00 |"
  assert "    typed" in lines
  with open(out / "comparison.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert [(row["protocol"], row["model"], row["rank"]) for row in rows] == [
    ("knn", "a|b", "1"),
    ("knn", "c", "2"),
    ("linear", "c", ""),
  ]
  assert rows[0]["values"] == "40.0 42.0"
  assert rows[0]["seeds"] == "seed=0 training=0; seed=0 training=1"
  assert rows[0]["reports"] == "; ".join(paths[:2])
  assert (out / "comparison.png").read_bytes().startswith(b"\x89PNG")
  assert said == []
  (tmp_path / "taken").write_text("")
  with pytest.raises(errors.UsageError, match="taken"):
    page_lib.write(paths, str(tmp_path / "taken"))


def test_the_chart_has_a_color_for_each_model(files):
  reports = files(*_runs("a", [1.0, 3.0]), *_runs("b", [5.0]))
  figure = chart.draw(_compared(reports))
  [axes] = figure.axes
  assert axes.get_title() == "knn"
  assert [label.get_text() for label in axes.get_yticklabels()] == ["top1, %"]
  [legend] = figure.legends
  assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
  colors = [line.get_color() for line in legend.get_lines()]
  dots = {
    line.get_color(): line.get_xdata()[0]
    for line in axes.lines
    if line.get_marker() == "o"
  }
  assert dots == {colors[0]: 2.0, colors[1]: 5.0}
  [interval] = [line for line in axes.lines if line.get_marker() == "None"]
  assert interval.get_color() == colors[0]
  reach = (
    12.7062  # t with 1 degree of freedom times deviation sqrt(2) / sqrt(2).
  )
  np.testing.assert_allclose(interval.get_xdata(), [2 - reach, 2 + reach], 1e-4)


def test_equal_differences_of_protocols_are_listed_once(files):
  reports = [
    _report("a", "a", protocol=protocol, settings={"k": k})
    for protocol in ("x", "y")
    for k in (1, 2)
  ]
  [line] = page_lib.difference_lines(_compared(files(*reports)))
  assert line.endswith("x, y A, B, which differ in settings.k: 1 / 2")


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


def test_the_table_has_a_row_for_each_number(files):
  found = _compared(files(*_runs("a", [1.0]), *_runs("b", [2.0])))
  rows = list(csv.reader(io.StringIO(page_lib.table(found))))
  assert rows[1][:8] == ["knn", "top1_percent", "a", "1.0", "", "", "1", "2"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
