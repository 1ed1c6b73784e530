"""Tests of tools.evaluate."""

import json
import sys

import gin
import numpy as np
import pytest
from PIL import Image

from tools import evaluate

_PROTOCOL = """
import dataclasses
from tf_ssl.evaluation import protocol

@dataclasses.dataclass(frozen=True, kw_only=True)
class Width:
  scale: float = 1.0

  def run(self, subject, *, output_dir, say):
    say(f"measuring {subject.name}")
    width = subject.frozen.description.width
    return protocol.Outcome(
      protocol="width",
      title="Width",
      settings={"scale": self.scale},
      data={role: {"sha256": "equal"} for role in ("train", "test")},
      results={"width": self.scale * width},
    )
"""
_CONFIG = """
from __gin__ import dynamic_registration
import width_protocol
from tf_ssl.evaluation import evaluate
evaluate.Evaluation.protocol = @width_protocol.Width()
width_protocol.Width.scale = 2.0
"""


@pytest.fixture(scope="module", autouse=True)
def fixture_library(tmp_path_factory):
  """The module `width_protocol`, imported once: gin remembers it."""
  folder = tmp_path_factory.mktemp("library")
  (folder / "width_protocol.py").write_text(_PROTOCOL)
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(folder)
    yield


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()
  gin.config._IMPORTS.clear()


@pytest.fixture(name="config")
def fixture_config(tmp_path):
  file = tmp_path / "width.gin"
  file.write_text(_CONFIG)
  return str(file)


def test_the_bound_protocol_is_run_and_reported(config, tmp_path, capsys):
  out = tmp_path / "deep" / "out"
  evaluate.TOOL.call(
    [
      f"--gin_file={config}",
      "--model=mine=random:resnet18",
      "--layer=C2",
      f"--output_dir={out}",
    ]
  )
  report = json.loads((out / "report.json").read_text())
  assert report["results"] == {"width": 128.0}
  assert report["settings"] == {"scale": 2.0}
  assert report["model"]["layer"] == "C2"
  [note] = report["notes"]
  assert note.startswith("width: test and training images have the same names")
  assert "--layer=C2" in report["command"]
  printed = capsys.readouterr().out.splitlines()
  assert printed[0].startswith("mine: ") and "random:resnet18" in printed[0]
  assert printed[1:] == [
    "measuring mine",
    "mine: width: 128",
    f"report: {out}/report.md",
  ]


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--model=pixels", "--output_dir=o"], "--gin_file=FILE is missing"),
    (["--gin_file=CONFIG", "--output_dir=o"], "--model=... is missing"),
    (["--gin_file=CONFIG", "--model=pixels"], "--output_dir=... is missing"),
    (
      ["--gin_file=CONFIG", "--model=m=nowhere", "--output_dir=o"],
      "model nowhere ",
    ),
    (
      [
        "--gin_file=CONFIG",
        "--gin_bindings=evaluate.Evaluation.protocol=@width_protocol.Width",
        "--model=pixels",
        "--output_dir=o",
      ],
      "evaluate.Evaluation.protocol is Width",
    ),
    (
      [
        "--gin_file=gin_configs/invariance/rendered.gin",
        "--model=pixels",
        "--output_dir=o",
      ],
      "--gin_file: ",  # sets nothing of this tool
    ),
    (
      ["--gin_file=CONFIG", "--model=pixels", "--output_dir=width.gin"],
      "width.gin: File exists",
    ),
  ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
  arguments, message, config, tmp_path, capsys, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  arguments = [word.replace("CONFIG", config) for word in arguments]
  with pytest.raises(SystemExit) as end:
    evaluate.TOOL.run(arguments)
  assert end.value.code == 2
  said = capsys.readouterr().err.strip().splitlines()[-1]
  assert said.startswith("evaluate: ") and message in said
  assert not (tmp_path / "o").exists()


def test_names_of_any_bytes_reach_the_report_and_its_chart(tmp_path):
  rng = np.random.default_rng(0)
  for role in ("train", "test"):
    for name in ("a\nb", "b\udcff", "é"):
      folder = tmp_path / role / name
      folder.mkdir(parents=True)
      for i in range(10):
        pixels = rng.integers(0, 256, [8, 8, 3], np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
  (tmp_path / "test" / "é" / "\udcff\n.png").touch()
  evaluate.TOOL.call(
    [
      "--gin_file=gin_configs/evaluate/knn_folder.gin",
      f'--gin_bindings=TRAIN_IMAGES="{tmp_path}/train"',
      f'--gin_bindings=TEST_IMAGES="{tmp_path}/test"',
      "--gin_bindings=K=(1,)",
      "--gin_bindings=IMAGE_SIZE=8",
      "--model=a\udcff=pixels",
      f"--output_dir={tmp_path / 'out'}",
    ]
  )
  text = (tmp_path / "out/report.json").read_text(encoding="utf-8")
  report = json.loads(text)
  assert list(report["details"]["per_class_percent"]) == [
    r"a\nb",
    r"b\xff",
    "é",
  ]
  (skipped,) = report["skipped"]
  assert skipped.endswith(r"é/\xff\n.png")
  assert report["model"]["name"] == r"a\xff"
  json.dumps(report, ensure_ascii=False).encode()
  (tmp_path / "out/report.md").read_text(encoding="utf-8")
  for picture in report["pictures"]:
    Image.open(tmp_path / "out" / picture).verify()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
