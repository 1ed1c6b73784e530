"""tools.compare_runs on folders of runs."""

import sys

import pytest

from tests.comparison import runs_reference as reference
from tools import compare_runs


def _run(monkeypatch, *words):
  monkeypatch.setattr(sys, "argv", ["compare_runs"])
  compare_runs.TOOL.run(list(words))


def test_folders_stand_before_or_after_the_flag(tmp_path, monkeypatch, capsys):
  paths = [
    reference.write(tmp_path / name, reference.records(0, 4)) for name in "ab"
  ]
  _run(monkeypatch, paths[0], f"--output_dir={tmp_path}/out", paths[1])
  printed = capsys.readouterr().out.splitlines()
  assert printed[0].startswith("run  method")
  assert [line.split()[0] for line in printed[1:3]] == ["a", "b"]
  assert printed[-1] == f"comparison: {tmp_path}/out/report.html"
  assert (tmp_path / "out" / "report.html").is_file()


def test_the_page_is_in_the_working_directory_by_default(
  tmp_path, monkeypatch, capsys
):
  reference.write(tmp_path / "runs" / "a", reference.records(0, 4))
  (tmp_path / "runs" / "notes").mkdir()
  monkeypatch.chdir(tmp_path)
  _run(monkeypatch, "runs/a", "runs/notes")
  assert "runs/notes is not a run" in capsys.readouterr().out
  assert (tmp_path / "compared_runs" / "report.html").is_file()


@pytest.mark.parametrize("words", [[], ["none"], ["empty", "none"]])
def test_without_a_run_there_is_one_line_and_exit_code_2(
  tmp_path, monkeypatch, capsys, words
):
  (tmp_path / "empty").mkdir()
  monkeypatch.chdir(tmp_path)
  with pytest.raises(SystemExit) as end:
    _run(monkeypatch, *words)
  assert end.value.code == 2
  [line] = capsys.readouterr().err.splitlines()
  assert line.startswith("compare_runs: no")
  assert not (tmp_path / "compared_runs").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
