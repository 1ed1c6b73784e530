"""benchmarks.run_all with scripts that stand in for the benchmarks."""

import json
import os
import pathlib
import re
import sys
import time

import pytest

from benchmarks import machine, ratios, run_all, suite, suite_page
from tf_ssl import errors

_HERE = {
  "processor": "a processor",
  "cores": 2,
  "memory_bytes": 8 * 2**30,
  "accelerators": [],
  "versions": {"python": "3.11.7"},
  "commit": "abc",
}
_SCRIPTS = {
  "good": """
from benchmarks import ratios
print(ratios.keep("speed over the other's", 1.5, at_least=1.4))
ratios.keep("memory", 0.07, unit="%", at_most=0.05)
ratios.keep("growth", 1234.5, unit="images/s")
""",
  "half": """
from benchmarks import ratios
ratios.keep("first part", 2.0, at_least=1)
raise SystemExit("the | second part is broken")
""",
  "missing_a_goal": """
import sys
from benchmarks import ratios
ratios.keep("wait", 0.2, unit="%", at_most=0.1)
sys.exit(3)
""",
  "silent": "",
}


@pytest.fixture(name="folder")
def fixture_folder(tmp_path, monkeypatch):
  """An empty folder; the scripts above are the benchmarks."""
  calls = tmp_path / "calls"
  calls.mkdir()

  def command(benchmark, data):
    del data
    script = f"open({str(calls / benchmark.name)!r}, 'a').write('x')\n"
    return ["-c", script + _SCRIPTS[benchmark.name]]

  monkeypatch.setattr(suite.Benchmark, "command", command)
  monkeypatch.setattr(
    suite,
    "BENCHMARKS",
    tuple(
      suite.Benchmark(name, (name,), missed=3 if "goal" in name else 0)
      for name in _SCRIPTS
    ),
  )
  monkeypatch.setattr(
    machine, "description", lambda: json.loads(json.dumps(_HERE))
  )
  return tmp_path


def _run(folder, *more):
  run_all.main(
    [f"--output_dir={folder / 'out'}", f"--page={folder / 'page.md'}", *more]
  )
  return (folder / "page.md").read_text()


def _calls(folder):
  return {path.name: path.read_text() for path in (folder / "calls").iterdir()}


def test_each_ratio_stands_beside_its_goal(folder):
  text = _run(folder)
  for row in (
    "| `good` | speed over the other's | 1.500 | at least 1.4 | met |",
    "| `good` | memory | 7.0 % | at most 5 % | **missed** |",
    "| `good` | growth | 1,234 images/s | – |  |",
    "| `half` | first part | 2.000 | at least 1 | met |",
    "| `half` | exit code 1: the \\| second part is broken | – | – | not"
    " measured |",
    "| `missing_a_goal` | wait | 20.0 % | at most 10 % | **missed** |",
    "| `silent` | it has measured nothing | – | – | not measured |",
  ):
    assert row in text.splitlines(), row
  assert "**2 of 4 goals are met.**" in text
  assert "a processor, 2 cores" in text and "python 3.11.7" in text
  assert "exit code 3" not in text


def test_a_second_call_runs_what_has_no_result(folder, capsys):
  _run(folder, "--only=good")
  assert _calls(folder) == {"good": "x"}
  first = _run(folder)
  assert _calls(folder) == dict.fromkeys(_SCRIPTS, "x")
  assert "Without a result: half, silent." in capsys.readouterr().out
  _run(folder)
  again = {"half": "xx", "silent": "xx"}
  assert _calls(folder) == {**dict.fromkeys(_SCRIPTS, "x"), **again}
  number = len([line for line in first.splitlines() if line[:3] == "| `"])
  text = (folder / "page.md").read_text()
  assert (
    len([line for line in text.splitlines() if line[:3] == "| `"]) == number
  )


def test_the_page_is_written_again_without_running(folder):
  text = _run(folder)
  before = _calls(folder)
  (folder / "page.md").unlink()
  assert _run(folder, "--page_only") == text
  assert _calls(folder) == before


def test_results_of_another_machine_or_version_are_not_mixed(
  folder, monkeypatch
):
  _run(folder, "--only=good")
  other = {**_HERE, "commit": "abc-dirty"}
  monkeypatch.setattr(machine, "description", lambda: dict(other))
  _run(folder, "--only=good")  # The page has made the checkout dirty.
  other["processor"] = "another"
  other["commit"] = "abd"
  with pytest.raises(errors.UsageError, match="processor and commit"):
    _run(folder)


def test_what_takes_too_long_is_stopped(folder, monkeypatch):
  monkeypatch.setitem(_SCRIPTS, "silent", "import time; time.sleep(60)")
  text = _run(folder, "--only=silent", "--minutes=0.01")
  assert "| `silent` | stopped after 0.01 minutes | – |" in text


_ENDLESS = """
import pathlib, sys, time
while True:
  pathlib.Path(sys.argv[1]).touch()
  time.sleep(0.05)
"""


def test_processes_that_a_benchmark_leaves_behind_are_ended(
  folder, monkeypatch
):
  alive = folder / "alive"
  monkeypatch.setitem(
    _SCRIPTS,
    "silent",
    f"import pathlib, subprocess, sys, time\n"
    f"words = [sys.executable, '-c', {_ENDLESS!r}, {str(alive)!r}]\n"
    "subprocess.Popen(words)\n"
    "while not pathlib.Path(words[-1]).exists(): time.sleep(0.05)\n",
  )
  _run(folder, "--only=silent")
  alive.unlink()
  time.sleep(0.5)
  assert not alive.exists()


def test_what_a_benchmark_needs_is_named_and_it_does_not_run(
  tmp_path, monkeypatch
):
  of = suite.Benchmark
  monkeypatch.setattr(machine, "instructions", lambda: ("avx2",))
  monkeypatch.setattr(suite.importlib.util, "find_spec", lambda name: None)
  assert suite.missing(of("a", ("a",)), None) is None
  assert "PyTorch" in suite.missing(of("a", ("a",), ("torch",)), None)
  assert "amx_bf16" in suite.missing(of("a", ("a",), ("amx_bf16",)), None)
  with_data = of("a", ("a", "--images={data}/photos"))
  assert "--data" in suite.missing(with_data, None)
  assert suite.missing(with_data, tmp_path) == "photos is missing in --data"
  (tmp_path / "photos").mkdir()
  assert suite.missing(with_data, tmp_path) is None
  words = ("-m", "benchmarks.a", "--images=d/photos")
  assert with_data.command("d") == words


def test_bad_arguments_are_one_line(folder):
  for arguments, problem in (
    (["--only=other"], "--only=other: expected one of good, half"),
    (["--minutes=0"], "--minutes=0"),
    ([f"--data={folder / 'no'}"], "--data="),
    (["--page_only"], "without --page_only"),
  ):
    with pytest.raises(errors.UsageError, match=problem):
      _run(folder, *arguments)


def test_the_sizes_of_the_benchmarks_are_flags_that_they_have(repository):
  for benchmark in suite.BENCHMARKS:
    module, *words = benchmark.words
    code = (repository / "benchmarks" / f"{module}.py").read_text()
    for word in words:
      assert f'"{word.split("=")[0]}"' in code, (benchmark.name, word)
    assert "ratios.keep(" in code or module == "downstream"


def test_the_last_results_of_long_benchmarks_stand_in_their_documents(
  repository,
):
  for long in suite.LONG:
    text = (repository / long.document).read_text()
    for number in re.findall(r"\d[\d.,]*\d", long.result.split(" (at")[0]):
      assert number in text, (
        f"{long.document} has no {number}: write its new result in suite.LONG"
      )


def test_the_page_of_the_site_is_one_that_the_command_writes(repository):
  text = (repository / "docs" / "results" / "benchmarks.md").read_text()
  empty = suite_page.page(None, {})
  for line in empty.splitlines():
    if line.startswith(("| `python", "#")):
      assert line in text.splitlines(), "run `make benchmarks`"


def test_a_ratio_is_met_within_its_limits_and_says_how_much():
  ratio = ratios.Ratio
  assert str(ratio("a", 1.0841, at_most=1.08)) == "1.084 (at most 1.08)"
  assert not ratio("a", 1.0841, at_most=1.08).is_met
  assert ratio("a", 1.08, at_most=1.08).is_met
  assert ratio("a", 24.16, at_least=10).measured == "24.2"
  assert ratio("a", 1, at_least=1, unit="%").goal == "at least 100 %"
  assert ratio("a", 3).is_met is None and str(ratio("a", 3)) == "3.000"
  assert ratio("a", 1, at_least=0.5, at_most=2).goal == (
    "at least 0.5 and at most 2"
  )


def test_ratios_are_kept_in_a_file_only_if_one_is_named(tmp_path, monkeypatch):
  monkeypatch.delenv(ratios.FILE, raising=False)
  ratios.keep("a", 1)
  path = tmp_path / "kept.jsonl"
  assert ratios.read(path) == [] and not os.listdir(tmp_path)
  monkeypatch.setenv(ratios.FILE, str(path))
  kept = [ratios.keep("a", 1, at_most=2), ratios.keep("b", 0.5, unit="%")]
  assert ratios.read(pathlib.Path(path)) == kept


def test_the_processor_has_a_name():
  assert machine.processor() and "\t" not in machine.processor()
  assert set(machine.instructions()) <= {
    "avx2",
    "avx512f",
    "avx512_bf16",
    "amx_bf16",
  }


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
