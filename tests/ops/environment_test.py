"""Records of software and hardware."""

import importlib.metadata
import platform
import subprocess
import sys

import pytest

from tf_ssl.ops import environment


def test_versions_are_those_installed():
  found = environment.versions()
  assert found["python"] == platform.python_version()
  assert found["numpy"] == importlib.metadata.version("numpy")


def test_a_missing_package_is_skipped(monkeypatch):
  monkeypatch.setattr(environment, "PACKAGES", ("no-such-package", "numpy"))
  assert set(environment.versions()) == {"python", "numpy"}


def test_without_git_the_commit_is_unknown(monkeypatch):
  def fail(*arguments, **options):
    raise FileNotFoundError("git")

  monkeypatch.setattr(subprocess, "run", fail)
  assert environment.git_commit() is None


def test_hardware_has_cores_and_memory():
  found = environment.hardware()
  assert found["cores"] >= 1
  assert found["memory_bytes"] > 2**20
  assert found["processor"]


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
