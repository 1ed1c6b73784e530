"""Rows as CSV, values as JSON."""

import csv
import io
import json
import sys
from typing import NamedTuple

import numpy as np
import pytest

from tf_ssl.reporting import tables


class _Pair(NamedTuple):
  name: str
  values: np.ndarray


def test_csv_quotes_what_needs_it_and_leaves_none_empty():
  rows = [{"name": 'a "b", c', "value": 1.5}, {"name": "d\ne", "value": None}]
  text = tables.csv_text(rows)
  assert text.startswith('name,value\n"a ""b"", c",1.5\n')
  read = list(csv.DictReader(io.StringIO(text)))
  assert [row["name"] for row in read] == ['a "b", c', "d\ne"]
  assert read[1]["value"] == ""


def test_a_table_without_rows_has_its_header():
  assert tables.csv_text([], ["a", "b"]) == "a,b\n"


def test_json_values_are_lists_objects_and_null_for_what_is_not_finite():
  value = {"pair": _Pair("x", np.array([1.0, np.nan])), 3: (np.int64(2), True)}
  found = tables.json_value(value)
  assert json.loads(json.dumps(found, allow_nan=False)) == {
    "pair": {"name": "x", "values": [1.0, None]},
    "3": [2, True],
  }


def test_names_that_are_not_unicode_are_escaped():
  hostile = "\udcff \ud800 \x1b é"
  shown = r"\xff \ud800 \x1b é"
  text = tables.csv_text([{hostile: hostile}])
  assert text.encode() == f"{shown}\n{shown}\n".encode()
  assert json.loads(tables.json_text({hostile: [hostile]})) == {shown: [shown]}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
