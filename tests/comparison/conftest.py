"""Fixtures of the comparison tests."""

import json

import pytest


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
