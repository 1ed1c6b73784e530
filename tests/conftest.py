"""Fixtures and settings of all tests."""

import contextlib
import os
import pathlib
import resource
import sys

import pytest

from tf_ssl.ops import compat

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # As tools._cli.quiet.

# Resolved, because Bazel runs the tests through links.
_REPOSITORY = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
  """Path of the checkout."""
  return _REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> pathlib.Path:
  """Folder of real images and videos, read-only, not part of the project.

  Without it a test is skipped, or fails if TF_SSL_REQUIRE_SHARED_DATA=1 (CI).
  TF_SSL_SHARED_DATA names another folder.
  """
  default = _REPOSITORY.parent / "shared" / "data"
  folder = pathlib.Path(os.environ.get("TF_SSL_SHARED_DATA", default))
  if not folder.is_dir():
    if os.environ.get("TF_SSL_REQUIRE_SHARED_DATA") == "1":
      pytest.fail(f"real data are required, but {folder} is missing")
    pytest.skip(f"needs real data in {folder}")
  return folder


@pytest.fixture
def full_disk():
  """Function full_disk(size): files cannot grow beyond `size` bytes in a body.

  Writing fails there as on a full disk, with another error number.
  """

  @contextlib.contextmanager
  def limited(size: int):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
      yield
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, limits)

  return limited


@pytest.fixture(autouse=True)
def _precision():
  """Resets the global precision, which Model Garden's trainers set."""
  yield
  if compat.KERAS in sys.modules:
    policies = sys.modules[compat.KERAS].mixed_precision
    if policies.global_policy().name != "float32":
      policies.set_global_policy("float32")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
  """Makes captured output valid UTF-8, for transfer between processes."""
  report = yield
  report.sections = [
    (title, text.encode("utf-8", "backslashreplace").decode("utf-8"))
    for title, text in report.sections
  ]
  return report
