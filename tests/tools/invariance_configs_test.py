"""The files of gin_configs/invariance/, without a tool that uses their sets."""

import sys

import gin
import pytest

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import invariance_sets
from tools._cli import gin_files

_ROOTS = {
  "aloi_viewpoint": "ALOI",
  "aloi_illumination_direction": "ALOI",
  "aloi_illumination_colour": "ALOI",
  "pascal3d_instance": "PASCAL3D",
  "pascal3d_instance_viewpoint": "PASCAL3D",
  "got10k_occlusion": "GOT10K",
  "coil": "COIL",
  "photometric_stereo": "PHOTOMETRIC_STEREO",
  "yale_b": "YALE_B",
}


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory):
  """The module `sets_user`, imported once: gin remembers its functions."""
  folder = tmp_path_factory.mktemp("library")
  (folder / "sets_user.py").write_text("def take(*, sets): return sets\n")
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(folder)
    yield


@pytest.fixture
def sets(tmp_path):
  """Returns what SETS of a config is, with bindings."""

  def sets(config, *bindings):
    file = tmp_path / "run.gin"
    file.write_text(
      "from __gin__ import dynamic_registration\n"
      "import sets_user\n"
      f'include "gin_configs/invariance/{config}.gin"\n'
      "sets_user.take.sets = %SETS\n"
    )
    gin_files.load([str(file)], bindings)
    import sets_user

    return gin_files.configured(sets_user.take)()

  yield sets
  gin.clear_config()
  gin.config._IMPORTS.clear()


def test_every_config_is_tested_here(repository):
  found = {
    path.stem for path in repository.glob("gin_configs/invariance/*.gin")
  }
  assert found == {
    *_ROOTS,
    "rendered",
    "rendered_six",
    "rendered_quick",
    "rendered_six_black",
    "rendered_six_changing",
  }


@pytest.mark.parametrize("config", _ROOTS)
def test_a_folder_must_be_named(sets, config):
  with pytest.raises(errors.UsageError, match=f"{_ROOTS[config]} must be set"):
    sets(config)


@pytest.mark.parametrize("config", _ROOTS)
def test_a_wrong_folder_brings_up_the_macro_to_change(sets, config, tmp_path):
  with pytest.raises(errors.UsageError, match=f"change {_ROOTS[config]}"):
    sets(config, f'{_ROOTS[config]}="{tmp_path}"')


@pytest.mark.parametrize(
  ("config", "count"),
  [
    ("rendered", 10),
    ("rendered_six", 6),
    ("rendered_six_black", 6),
    ("rendered_six_changing", 6),
  ],
)
def test_rendered_sets_are_of_all_invariances(sets, tmp_path, config, count):
  found = sets(
    config,
    "NUM_SETS=2",
    "IMAGES_PER_SET=3",
    "IMAGE_SIZE=16",
    f'SETS_DIR="{tmp_path}/kept"',
  )
  assert [one.invariance for one in found] == [
    *invariance_sets.INVARIANCES[:count]
  ]
  assert all(one.images.num_images == 6 for one in found)
  assert all(one.image_size == 16 for one in found)
  black = config.endswith("black")
  assert all(one.images.root.count("-black") == black for one in found)
  changing = ["-changing" in one.images.root for one in found]
  assert changing == [
    config in ("rendered", "rendered_six_changing")
    and one.invariance != "background"
    for one in found
  ]


def test_the_quick_config_has_the_six_and_rotation(sets, tmp_path):
  found = sets(
    "rendered_quick",
    "NUM_SETS=2",
    "IMAGES_PER_SET=3",
    "IMAGE_SIZE=16",
    f'SETS_DIR="{tmp_path}/kept"',
  )
  assert [one.invariance for one in found] == [
    *invariance_sets.OF_THE_PAPER,
    "rotation",
  ]


def test_real_data_are_read(sets, shared_data):
  (found,) = sets("coil", f'COIL="{shared_data}/coil20"')
  assert found.images.num_images == 1440


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
