"""Averages, ranks and refused reports of comparisons."""

import math
import sys

import numpy as np
import pytest

from tests.comparison import reports_reference as reference
from tf_ssl import errors
from tf_ssl.comparison import compare
from tf_ssl.comparison import page as page_lib


def test_reports_of_one_name_are_averaged_with_students_interval(files):
  found = reference.compared(files(*reference.runs("moco", [40.0, 42.0, 47.0])))
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
  found = reference.compared(files(reference.report()))
  number = found.protocols[0].numbers["top1_percent"]["moco"]
  assert number[1:] == (40.0, None, None, None)
  page = page_lib.markdown(found)
  assert "| knn | top1, % | 40.00 |" in page
  assert "single measurement" in page
  assert "Student's" not in page


def test_a_single_report_has_the_interval_over_its_seeds(files):
  details = {"intervals_95": {"top1_percent": [40, 38, 42]}}
  found = reference.compared(files(reference.report(details=details)))
  number = found.protocols[0].numbers["top1_percent"]["moco"]
  assert number[1:] == (40.0, 38.0, 42.0, None)
  page = page_lib.markdown(found)
  assert "| knn | top1, % | 40.00 (38.00..42.00) |" in page
  # With several reports, the interval is over the reports.
  reports = [reference.report(), reference.report(digest="b", details=details)]
  found = reference.compared(files(*reports))
  assert found.protocols[0].numbers["top1_percent"]["moco"].low == 40.0


def test_an_interval_without_ends_is_none(files):
  details = {"intervals_95": {"top1_percent": [40, None, None]}}
  found = reference.compared(files(reference.report(details=details)))
  assert found.protocols[0].numbers["top1_percent"]["moco"].low is None


def test_equal_models_share_a_rank(files):
  reports = [
    reference.report(
      name, name, results={"top1_percent": value, "loss": value, "x": 1}
    )
    for name, value in (("a", 1.0), ("b", 3.0), ("c", 3.0), ("d", 2.0))
  ]
  [protocol] = reference.compared(files(*reports)).protocols
  assert protocol.label == "knn"

  def ranks(result):
    return [number.rank for number in protocol.numbers[result].values()]

  assert ranks("top1_percent") == [4, 1, 1, 3]
  assert ranks("loss") == [1, 3, 3, 2]  # Less is better.
  assert ranks("x") == [None] * 4  # Unknown.


@pytest.mark.parametrize(
  ("change", "field", "values"),
  [
    ({"settings": reference.K20 | {"k": 200}}, "settings.k", [20, 200]),
    (
      {"settings": reference.K20 | {"grid": {"C": [1, 2]}}},
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
  found = reference.compared(
    files(reference.report("a", "a"), reference.report("b", "b", **change))
  )
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
  found = reference.compared(
    files(
      reference.report(),
      reference.report(settings=reference.K20 | {"seed": 1}),
      reference.report(
        settings=reference.K20 | {"seed": 2, "split_seeds": [1, 2]}, data=data
      ),
    )
  )
  [protocol] = found.protocols
  assert len(protocol.numbers["top1_percent"]["moco"].values) == 3
  assert found.differences == {}


def test_equal_numbers_of_other_types_are_the_same_setting(files):
  settings = {"k": 20.0, "temperature": 0.07, "seed": 0}
  found = reference.compared(
    files(reference.report("a"), reference.report("b", settings=settings))
  )
  assert len(found.protocols) == 1


def test_two_layers_of_one_model_are_two_models(files):
  other = reference.report(digest="b")
  other["model"]["layer"] = "C4"
  found = reference.compared(files(reference.report(), other))
  assert found.models == ["moco (layer features)", "moco (layer C4)"]


def test_a_result_that_was_not_finite_is_neither_averaged_nor_ranked(files):
  bad = reference.runs("b", [50.0, None])
  found = reference.compared(
    files(*reference.runs("a", [40.0]), *bad, *reference.runs("c", [30.0]))
  )
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
      "models": [reference.report(name)["model"]],
      "sets": [{"invariance": label, "cropped": False} for label in labels],
      "scores": rows,
    }

  found = reference.compared(
    files(invariance("a", 70.0), invariance("b", 75.0))
  )
  assert [p.label for p in found.protocols] == [
    "viewpoint invariance",
    "light color invariance",
  ]
  numbers = found.protocols[0].numbers
  assert [n.rank for n in numbers["top10_percent"].values()] == [2, 1]
  assert [n.mean for n in numbers["top25_percent"].values()] == [65.0, 70.0]
  found = reference.compared(
    files(invariance("a", 70.0), invariance("b", 75.0, 0.1))
  )
  assert found.differences["viewpoint invariance"] == {
    "settings.firing_fraction": [None, 0.1]
  }


def test_missing_and_repeated_reports_are_refused(files, tmp_path):
  with pytest.raises(errors.UsageError, match="nowhere"):
    compare.read([str(tmp_path / "nowhere")])
  with pytest.raises(errors.UsageError, match="report.json"):
    compare.read([str(tmp_path)])
  with pytest.raises(errors.UsageError, match="no report"):
    compare.read([])
  [path] = files(reference.report())
  with pytest.raises(errors.UsageError, match="twice"):
    compare.read([path, f"{tmp_path}/../{tmp_path.name}/{path[-12:]}"])
  other = files(reference.report(), reference.report())
  with pytest.raises(errors.UsageError, match="model 'moco'"):
    reference.compared(other)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
