"""The command that says whether pretraining helped: its mistakes in words."""

import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.evaluation.label_efficiency import did_it_help as answers
from tools import did_it_help
from tools._cli import gin_runs


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
  """Two classes; all test images are those of training."""
  folder = tmp_path_factory.mktemp("labeled")
  rng = np.random.default_rng(0)
  for name in ("a", "b"):
    for i in range(3):
      coarse = rng.integers(0, 256, [5, 5, 3], dtype=np.uint8)
      image = Image.fromarray(coarse).resize([32, 32], Image.Resampling.BICUBIC)
      for role in ("train", "test"):
        path = folder / role / name / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
  one = folder / "one_class" / "a"
  one.mkdir(parents=True)
  image.save(one / "0.png")
  return folder


@pytest.mark.parametrize(
  "words, message",
  [
    (["--model=raw=pixels"], "--labeled=... is missing"),
    (["--labeled=DATA"], "--model=... is missing"),
    (["--model=m=DATA/none", "--labeled=DATA"], "DATA/none"),
    (["--model=raw=pixels", "--labeled=DATA/none"], "--labeled"),
    (["--model=raw=pixels", "--labeled=DATA/one_class"], "class"),
    (["--model=raw=pixels", "--labeled=DATA", "--shares=a"], "--shares=a"),
    (["--model=raw=pixels", "--labeled=DATA", "--shares=0.1,2"], "--shares"),
    (["--model=raw=pixels", "--labeled=DATA", "--seeds=1,1"], "seeds"),
    (["--model=raw=pixels", "--labeled=DATA", "--distance=64"], "distance=64"),
    (
      ["--model=raw=pixels", "--labeled=DATA/train", "--test_fraction=1"],
      "test_fraction=1",
    ),
    (
      ["--model=raw=pixels", "--labeled=DATA", "--pretraining_images=DATA/no"],
      "--pretraining_images",
    ),
    (
      ["--model=raw=pixels", "--labeled=DATA", "--drop_duplicates"],
      "6 of 6 test images are near-duplicates",
    ),
  ],
)
def test_mistakes_are_one_line_and_exit_code_2(
  folder, tmp_path, capsys, words, message
):
  words = [word.replace("DATA", str(folder)) for word in words]
  with pytest.raises(SystemExit) as end:
    did_it_help.TOOL.run([*words, f"--output_dir={tmp_path / 'out'}"])
  assert end.value.code == 2
  lines = capsys.readouterr().err.strip().splitlines()
  [line] = [line for line in lines if line.startswith("did_it_help: ")]
  assert message.replace("DATA", str(folder)) in line


def test_copies_are_looked_for_in_the_images_of_all_runs(
  folder, tmp_path, monkeypatch
):
  images = {"pixels": str(folder / "train"), "./pixels": str(folder / "no")}
  monkeypatch.setattr(gin_runs, "images_of", images.get)
  opened = []

  def stop(*args, pretraining, **kwargs):
    opened.append(pretraining)
    raise errors.UsageError("as far as this test goes")

  monkeypatch.setattr(answers, "did_it_help", stop)
  with pytest.raises(errors.UsageError, match="as far as"):
    did_it_help.TOOL.call(
      [
        "--model=a=pixels",
        "--model=b=./pixels",
        f"--labeled={folder}",
        f"--output_dir={tmp_path / 'out'}",
      ]
    )
  [found] = opened
  assert list(found.images) == ["a's pretraining"]
  [line] = found.not_checked
  assert "b's pretraining" in line


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
