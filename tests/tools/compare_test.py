"""tools.compare on reports of tools.measure_invariance."""

import csv
import sys

import gin
import pytest
from PIL import Image

from tf_ssl import errors
from tools import compare, measure_invariance


def _measure(tmp_path, name, variant):
  """Measures four sets of three plain images; returns the --report flag."""
  lines = ["path,set,class"]
  for group in range(4):
    for i in range(3):
      file = tmp_path / f"{group}{i}.png"
      Image.new("RGB", (16, 16), (40 * group + i, 90, 20 * i)).save(file)
      lines.append(f"{file.name},s{group},c{group % 2}")
  manifest = tmp_path / "gray.csv"
  manifest.write_text("\n".join(lines) + "\n")
  measure_invariance.TOOL.call(
    [
      f"--model={name}=pixels",
      f"--manifest={manifest}",
      "--top_k=5",
      f"--variant={variant}",
      "--resamples=20",
      "--image_size=16",
      f"--output_dir={tmp_path}/{name}",
    ]
  )
  gin.clear_config()
  gin.config._IMPORTS.clear()
  return f"--report={tmp_path}/{name}"


def test_invariances_are_ranked_within_one_protocol_only(tmp_path, capsys):
  reports = [
    _measure(tmp_path, "a", "code"),
    _measure(tmp_path, "b", "code"),
    _measure(tmp_path, "c", "formula"),
  ]
  out = tmp_path / "out"
  compare.TOOL.call([*reports, f"--output_dir={out}"])
  printed = capsys.readouterr().out
  assert "differ in settings.variant: code / formula" in printed
  assert f"comparison: {out}/comparison.md" in printed
  with open(out / "comparison.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert [(row["protocol"], row["model"], row["rank"]) for row in rows] == [
    ("gray invariance A", "a", "1"),
    ("gray invariance A", "b", "1"),
    ("gray invariance B", "c", ""),
  ]
  assert (out / "comparison.png").is_file()


def test_wrong_arguments_are_refused(tmp_path):
  with pytest.raises(errors.UsageError, match="--report"):
    compare.TOOL.call([f"--output_dir={tmp_path}"])
  with pytest.raises(errors.UsageError, match="nowhere"):
    compare.TOOL.call(
      [f"--report={tmp_path}/nowhere", f"--output_dir={tmp_path}/out"]
    )
  assert not (tmp_path / "out").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
