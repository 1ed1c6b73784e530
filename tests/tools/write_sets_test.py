"""tools.write_sets, and tools.measure_invariance --features."""

import sys

import gin
import numpy as np
import pytest

from tf_ssl import errors
from tools import measure_invariance, write_sets


@pytest.fixture(autouse=True)
def fixture_no_gin():
  gin.clear_config()
  yield
  gin.clear_config()
  gin.config._IMPORTS.clear()


@pytest.mark.slow
def test_features_of_the_written_sets_are_measured(tmp_path, capsys):
  config = [
    "--gin_file=gin_configs/invariance/rendered_six.gin",
    "--gin_bindings=NUM_SETS=4",
    "--gin_bindings=IMAGES_PER_SET=4",
    "--gin_bindings=IMAGE_SIZE=16",
    f'--gin_bindings=SETS_DIR="{tmp_path}/cache"',
  ]
  write_sets.TOOL.call([*config, f"--output={tmp_path}/sets"])
  assert "viewpoint: 16 images of 16x16 px" in capsys.readouterr().out
  names = sorted(
    str(path.relative_to(tmp_path))
    for path in (tmp_path / "sets").glob("*/*.png")
  )
  features = np.random.default_rng(0).normal(size=[len(names), 12])
  np.savez(
    tmp_path / "a.npz", names=names, features=features.astype(np.float32)
  )
  measure_invariance.TOOL.call(
    [
      *config,
      f"--features=mine={tmp_path}/a.npz",
      "--top_k=5",
      "--resamples=20",
      f"--output_dir={tmp_path}/out",
    ]
  )
  assert "viewpoint: mine: top 5: " in capsys.readouterr().out


def test_models_and_features_need_different_names(tmp_path):
  np.savez(
    tmp_path / "a.npz",
    names=np.array(["a/0.png"]),
    features=np.ones([1, 3], np.float32),
  )
  with pytest.raises(errors.UsageError, match="models: pixels, pixels; "):
    measure_invariance.TOOL.call(
      [
        "--model=pixels",
        f"--features=pixels={tmp_path}/a.npz",
        f"--output_dir={tmp_path}/out",
      ]
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
