"""Tests of the pages that are made from the sources."""

import dataclasses
import inspect
import re
import sys

import pytest

import tf_ssl
from docs._generate import api, commands, configuration, pages, sources
from tf_ssl.evaluation.knn import knn
from tf_ssl.methods import moco
from tf_ssl.training import settings
from tools import main


def _pages(repository):
  return sorted((repository / "docs").rglob("*.md"))


@pytest.mark.parametrize("name", main.names())
def test_the_command_reference_has_every_flag_of_a_tool(name):
  _, section = commands.page().split(f"## {name}\n")
  section = section.split("\n## ")[0]
  flags = set(commands.tool(name).flags) - {"help", "flagfile", "undefok"}
  assert set(re.findall(r"^`--(\w+)`$", section, re.MULTILINE)) == flags


@pytest.mark.parametrize("cls", [settings.Pretraining, knn.Knn])
def test_fields_are_those_of_the_dataclass(cls):
  found = sources.find(f"{cls.__module__}.{cls.__name__}").parameters()
  fields = dataclasses.fields(cls)
  assert [each.name for each in found] == [field.name for field in fields]
  for each, field in zip(found, fields, strict=True):
    required = field.default is field.default_factory is dataclasses.MISSING
    assert (each.default is None) == required, each.name
    assert each.text, each.name


@pytest.mark.parametrize("function", [moco.build_moco, moco.MoCo])
def test_parameters_are_those_of_the_signature(function):
  name = f"{function.__module__}.{function.__name__}"
  expected = inspect.signature(function).parameters
  found = sources.find(name).parameters()
  assert [each.name for each in found] == list(expected)
  for each in found:
    default = expected[each.name].default
    assert (each.default is None) == (default is inspect.Parameter.empty)


def test_every_parameter_that_gin_files_may_bind_is_on_one_page(repository):
  found = []
  for path in _pages(repository):
    for words in re.findall(
      r"<!-- generate settings (.*) -->", path.read_text()
    ):
      text = configuration.settings_page(words.split())
      found += re.findall(r"^`from (.*)`$", text, re.MULTILINE)
  expected = [name.rpartition(".")[0] for name in configuration.bindable()]
  assert sorted(found) == sorted(expected)


def test_every_gin_file_is_on_one_page(repository):
  found = []
  for path in _pages(repository):
    for folder in re.findall(
      r"<!-- generate gin_files (.*) -->", path.read_text()
    ):
      text = configuration.files_page(folder)
      found += re.findall(r"^## (\S+\.gin)$", text, re.MULTILINE)
  configs = repository / "gin_configs"
  assert sorted(found) == sorted(
    path.relative_to(configs).as_posix() for path in configs.rglob("*.gin")
  )


def test_a_macro_has_the_value_of_the_last_file_and_a_meaning(tmp_path):
  (tmp_path / "a.gin").write_text(
    'include "gin_configs/pretrain/moco_v2_folder.gin"\nSTEPS = 7\n'
  )
  found = {each.name: each for each in configuration.macros(tmp_path / "a.gin")}
  assert found["STEPS"].value == "7"
  assert found["STEPS"].text == "number of optimizer steps"
  assert found["IMAGES"].value == "required"
  assert "CSV manifest" in found["IMAGES"].text


def test_the_api_reference_has_every_public_name():
  assert set(api.public_names()) == set(tf_ssl.__all__)
  text = api.page(lambda docstring, kind: docstring)
  for name in tf_ssl.__all__:
    assert re.search(rf"^\.\. py:\w+:: tf_ssl\.{name}\(", text, re.MULTILINE)
  assert ".. py:class:: tf_ssl.api.encoders.ExtractedFeatures(" in text
  assert ".. py:property:: features" in text


def test_links_of_an_included_file_lead_to_its_pages(repository):
  page = repository / "docs" / "results" / "pretraining.md"
  text = pages.filled(page.read_text(), page)
  assert "](../own_monitor.md)" in text
  assert "](miniatures.md)" in text  # RESULTS.md


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
