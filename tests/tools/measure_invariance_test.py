"""tools.measure_invariance: configs, manifests, wrong arguments."""

import csv
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.models import tiny_encoder_reference
from tf_ssl import errors
from tf_ssl.export import saved_model
from tf_ssl.rendering import workers
from tools import measure_invariance

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()
  gin.config._IMPORTS.clear()


@pytest.fixture(name="manifest")
def fixture_manifest(tmp_path):
  """Eight sets of four images; in a set only the brightness changes."""
  rng = np.random.default_rng(0)
  lines = ["path,set,class,value"]
  for group in range(8):
    picture = rng.uniform(0, 120, size=[16, 16, 3])
    for i in range(4):
      name = f"{group}_{i}.png"
      image = (picture * (1 + i / 4)).astype(np.uint8)
      Image.fromarray(image).save(tmp_path / name)
      lines.append(f"{name},s{group},c{group % 4},{i}")
  file = tmp_path / "brightness.csv"
  file.write_text("\n".join(lines) + "\n")
  return str(file)


def _run(*arguments):
  measure_invariance.TOOL.call(arguments)


def test_a_manifest_is_measured(manifest, tmp_path, capsys):
  out = tmp_path / "out"
  _run(
    "--model=a=pixels",
    "--model=b=random:resnet18",
    "--layer=b=C2",
    f"--manifest={manifest}",
    "--top_k=5",
    "--variant=formula",
    "--resamples=20",
    "--image_size=16",
    f"--output_dir={out}",
  )
  printed = capsys.readouterr().out
  [line] = [x for x in printed.splitlines() if x.startswith("b: untrained")]
  assert "random:resnet18" in line and "layer C2 " in line
  assert "brightness: a: top 5: " in printed
  with open(out / "invariance.csv", newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert [(row["model"], row["k"]) for row in rows] == [("a", "5"), ("b", "5")]
  assert {row["variant"] for row in rows} == {"formula"}
  assert {row["image_size"] for row in rows} == {"16"}
  assert (out / "report.html").is_file()
  assert (out / "invariance.png").is_file()


def test_scores_go_into_the_model_card_only_if_asked(
  manifest, tmp_path, capsys
):
  encoder = tiny_encoder_reference.TinyEncoder()
  encoder(tf.zeros([1, 32, 32, 3]))
  path = str(tmp_path / "exported")
  saved_model.export_encoder(encoder, None, path, provenance={})
  card = tmp_path / "exported" / "README.md"
  before = card.read_text()
  call = [
    "--model=a=pixels",
    f"--model=mine={path}",
    f"--manifest={manifest}",
    "--top_k=5",
    "--resamples=20",
    "--image_size=16",
    f"--output_dir={tmp_path / 'out'}",
  ]
  _run(*call)
  assert "of mine: --update_cards" in capsys.readouterr().out
  assert card.read_text() == before
  _run(*call, "--update_cards")
  assert f"model card: {card}" in capsys.readouterr().out
  assert "| brightness | " in card.read_text()
  with pytest.raises(errors.UsageError, match="update_cards"):
    _run(call[0], *call[2:], "--update_cards")


def test_without_a_config_rendered_sets_are_measured(tmp_path):
  _run(
    "--model=pixels",
    "--gin_bindings=NUM_SETS=4",
    "--gin_bindings=IMAGES_PER_SET=4",
    "--gin_bindings=IMAGE_SIZE=16",
    f'--gin_bindings=SETS_DIR="{tmp_path}/sets"',
    "--resamples=20",
    f"--output_dir={tmp_path}/out",
  )
  with open(tmp_path / "out" / "invariance.csv", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert len({row["invariance"] for row in rows}) == 10


def test_real_data_are_measured(shared_data, tmp_path):
  _run(
    "--model=pixels",
    "--gin_file=gin_configs/invariance/photometric_stereo.gin",
    f'--gin_bindings=PHOTOMETRIC_STEREO="{shared_data}/photometric_stereo"',
    "--resamples=20",
    f"--output_dir={tmp_path}/out",
  )
  with open(tmp_path / "out" / "invariance.csv", encoding="utf-8") as file:
    row = next(csv.DictReader(file))
  assert row["sets"] == "5"
  assert float(row["chance"]) < float(row["score"]) <= 100


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--output_dir=o"], "--model=... is missing"),
    (["--model=pixels"], "--output_dir=... is missing"),
    (
      ["--model=m=nowhere", "--output_dir=o", "--manifest=MANIFEST"],
      "model nowhere ",
    ),
    (
      ["--model=m=pixels", "--model=m=pixels", "--output_dir=o"],
      "models: m, m; ",
    ),
    (
      ["--model=pixels", "--layer=x=C4", "--output_dir=o"],
      "layer='x=C4': expected one value for each of the models pixels",
    ),
    (["--model=pixels", "--top_k=ten", "--output_dir=o"], "top_k='ten'"),
    (["--model=pixels", "--variant=x", "--output_dir=o"], "variant is 'x'"),
    (
      ["--model=m=nowhere", "--output_dir=o"],
      "model nowhere ",
    ),
    (
      ["--model=pixels", "--top_k=769", "--output_dir=o"],
      "top_k=769",
    ),
    (
      ["--model=pixels", "--output_dir=brightness.csv"],
      "brightness.csv",
    ),
    (
      ["--model=pixels", "--output_dir=brightness.csv/o"],
      "brightness.csv",
    ),
    (
      [
        "--model=pixels",
        "--gin_bindings=measurement.Measurement.permutations=0",
        "--output_dir=o",
      ],
      "permutations is 0",
    ),
    (
      ["--model=pixels", "--manifest=none.csv", "--output_dir=o"],
      "none.csv",
    ),
    (
      [
        "--model=pixels",
        "--manifest=MANIFEST",
        "--gin_file=gin_configs/invariance/rendered.gin",
        "--output_dir=o",
      ],
      "--manifest",
    ),
    (
      ["--model=pixels", "--images=x", "--quick", "--output_dir=o"],
      "--quick and --images",
    ),
    (
      ["--model=pixels", "--images=nowhere", "--output_dir=o"],
      "nowhere",
    ),
    (
      [
        "--model=pixels",
        "--quick",
        "--gin_file=gin_configs/invariance/rendered.gin",
        "--output_dir=o",
      ],
      "--quick and --gin_file",
    ),
    (["--model=pixels", "--layer=*", "--output_dir=o"], "layer=*"),
    (
      [
        "--model=pixels",
        "--gin_file=gin_configs/invariance/coil.gin",
        '--gin_bindings=COIL="nowhere"',
        "--output_dir=o",
      ],
      "change COIL",
    ),
  ],
)
def test_wrong_arguments_give_one_line_and_exit_code_2(
  arguments, message, manifest, tmp_path, capsys, monkeypatch, repository
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # Is empty.

  def never(*_, **__):
    raise AssertionError("rendered before the error was found")

  monkeypatch.setattr(workers, "render", never)
  arguments = [word.replace("MANIFEST", manifest) for word in arguments]
  with pytest.raises(SystemExit) as end:
    measure_invariance.TOOL.run(arguments)
  assert end.value.code == 2
  said = capsys.readouterr().err.strip().splitlines()[-1]
  assert said.startswith("measure_invariance: ") and message in said
  assert not (tmp_path / "o").exists()


def test_settings_can_be_bound_with_a_manifest(manifest, tmp_path):
  for name in ("0_0.png", "5_2.png"):  # 2 of 32: above the default of 5 %.
    (tmp_path / name).write_bytes(b"no image")
  given = (
    "--model=pixels",
    f"--manifest={manifest}",
    "--resamples=20",
    f"--output_dir={tmp_path}/out",
  )
  with pytest.raises(errors.UsageError, match="max_skipped_fraction"):
    _run(*given)
  gin.clear_config()
  _run(
    *given, "--gin_bindings=measurement.Measurement.max_skipped_fraction=0.1"
  )
  with open(tmp_path / "out" / "invariance.csv", encoding="utf-8") as file:
    assert {row["unreadable_images"] for row in csv.DictReader(file)} == {"2"}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
