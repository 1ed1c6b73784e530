"""What several tests of benchmarks need."""

import pytest


@pytest.fixture
def write(tmp_path):
  """Function write(name, text) -> path of a file of trials."""

  def written(name: str, text: str) -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)

  return written
