"""Tests of `import tf_ssl`: cheap, complete, and every example runs."""

import dataclasses
import doctest
import functools
import inspect
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import tensorflow as tf

import tf_ssl
from tests import tiny_data_reference as tiny_data
from tf_ssl import errors
from tf_ssl.api import pretraining, sources
from tf_ssl.encoders import resnet
from tf_ssl.export import weights as weights_lib
from tf_ssl.methods import base
from tf_ssl.training import settings as settings_lib
from tools._cli import gin_files, gin_runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="folder")
def fixture_folder(tmp_path_factory):
  """The working directory of the examples, with the data that they name."""
  folder = tmp_path_factory.mktemp("face")
  tiny_data.paint(folder / "photos" / "train", 4)
  tiny_data.paint(folder / "photos" / "test", 2)
  rows = ["path,label,xmin,ymin,xmax,ymax"]
  for label in tiny_data.COLORS:
    rows += [f"train/{label}/{i}.png,{label},5,5,30,30" for i in range(4)]
  (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
  (folder / "videos").mkdir()
  tiny_data.film(folder / "videos" / "a.mp4")
  return folder


@pytest.fixture(name="here")
def fixture_here(folder, monkeypatch):
  monkeypatch.chdir(folder)
  monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
  return folder


def _examples(name):
  found = doctest.DocTestFinder(recurse=False).find(
    getattr(tf_ssl, name), name, globs={"tf_ssl": tf_ssl, "np": np}
  )
  return [test for test in found if test.examples]


def _run(test):
  runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
  said = []
  runner.run(test, out=said.append)
  assert not runner.failures, "".join(said)
  return runner.tries


def test_import_loads_no_heavy_package(repository):
  code = "import sys, tf_ssl; print(*sorted(sys.modules))"
  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=repository,
    capture_output=True,
    text=True,
    check=True,
  )
  loaded = set(done.stdout.split())
  assert "tf_ssl" in loaded
  heavy = ("tensorflow keras numpy scipy pandas matplotlib PIL cv2 gin").split()
  assert not loaded & set(heavy)


def test_all_names_resolve_and_are_listed():
  for name in tf_ssl.__all__:
    assert callable(getattr(tf_ssl, name))
    assert name in dir(tf_ssl)
  with pytest.raises(AttributeError, match="'pretrian'"):
    tf_ssl.pretrian  # noqa: B018


def test_the_version_is_that_of_the_package(repository):
  settings = tomllib.loads((repository / "pyproject.toml").read_text())
  assert tf_ssl.__version__ == settings["project"]["version"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", tf_ssl.__all__)
def test_the_example_of_the_docstring_runs(here, name):
  if name == "export_encoder" and not (here / "runs").exists():
    [pretraining] = _examples("pretrain")
    _run(pretraining)
  if name == "import_weights":
    _write_weights(here / "resnet18.npz")
  [test] = _examples(name)
  assert _run(test)


def _write_weights(path):
  encoder = resnet.resnet18()
  encoder(np.zeros([1, 32, 32, 3], np.float32))
  weights_lib.write_encoder(encoder, str(path), overwrite=True)


def test_the_page_shows_the_examples_of_the_docstrings(repository):
  page = (repository / "docs" / "python.md").read_text()
  shown = re.findall(r"```pycon\n(.*?)```", page, re.DOTALL)
  for name in tf_ssl.__all__:
    doc = inspect.getdoc(getattr(tf_ssl, name))
    [example] = re.findall(
      r"^>>> .*?(?=\n\n|\Z)", doc, re.DOTALL | re.MULTILINE
    )
    assert example + "\n" in shown, f"docs/python.md: expected\n{example}"


def _facts(method, settings):
  """What a run depends on: its settings, and its method when it is built."""
  built = settings.method(
    base.Setup(num_images=64, num_classes=2, batch_size=16, image_size=32)
  )
  schedule = settings.schedule(settings.peak_learning_rate, settings.steps)
  norms = [
    (layer.name, getattr(layer, "groups", 1), layer.synchronized)
    for layer in built.submodules
    if isinstance(layer, tf.keras.layers.BatchNormalization)
  ]
  numbers = {
    name: value
    for name, value in vars(built).items()
    if isinstance(value, (bool, int, float, str))
  }
  values = {
    field.name: getattr(settings, field.name)
    for field in dataclasses.fields(settings)
    if field.name not in ("method", "monitors", "optimizer", "schedule")
  }
  return {
    "settings": values,
    "method": (type(built).__name__, built.name, numbers, sorted(norms)),
    "shapes": [(v.name, v.shape.as_list()) for v in built.variables],
    "rates": [float(schedule(step)) for step in (0, 1000, 8000, 15000, 20000)],
    "optimizer": settings.optimizer(schedule).get_config(),
    "monitors": [type(monitor).__name__ for monitor in settings.monitors],
  }


@pytest.mark.parametrize(
  "method, crops",
  [
    ("moco_v2", 0),
    ("simclr", 0),
    ("pirl", 0),
    ("supervised", 0),
    ("moco_v2", 4),
    ("simclr", 4),
    ("pirl", 4),
  ],
)
def test_defaults_equal_the_folder_configs(method, crops, tmp_path):
  changes = {"encoder": "resnet18", "width": 0.125, "seed": 3}
  plain = [f"gin_configs/pretrain/{method}_folder.gin"]
  bindings = ['IMAGES="photos"', "resnet.resnet18.width=0.125", "SEED=3"]
  if crops:
    changes |= {"crops": crops, "crop_size": 40, "crop_area": (0.1, 0.3)}
    suffix = "" if method == "moco_v2" else f"_{method}"
    plain.append(f"gin_configs/base/multi_crop{suffix}.gin")
    bindings += [f"CROPS={crops}", "CROP_SIZE=40", "CROP_AREA=(0.1, 0.3)"]
  written = tmp_path / "written.gin"
  written.write_text(pretraining.config_text("photos", method, changes))
  actual = _facts(method, pretraining.run_settings("photos", method, **changes))
  for files, given in ((plain, bindings), ([str(written)], [])):
    with gin_runs._own_config():
      gin_files.load(files, given)
      configured = gin_files.configured(settings_lib.Pretraining)()
      expected = _facts(method, configured)
    for name, value in expected.items():
      assert actual[name] == value, name


def test_arrays_have_one_path_that_depends_on_their_content():
  images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
  source = functools.partial(sources.image_source, argument="images")
  path = source(images)
  assert source(images.copy()) == path != source(images[::-1])
  records = sources.labeled_records((images, [10, 9]), argument="train")
  assert records.labels.tolist() == [0, 1]
  assert records.class_names == ("00000009", "00000010")
  for wrong in (images[0], images / 255, images[..., :1]):
    with pytest.raises(errors.UsageError, match=r"images: .*\[N, H, W, 3\]"):
      source(wrong)
  with pytest.raises(errors.UsageError, match="2 images and 1 labels"):
    source((images, ["a"]))


def test_features_of_an_array_equal_those_of_the_model():
  images = np.random.default_rng(0).integers(0, 256, [5, 20, 24, 3], np.uint8)
  found = tf_ssl.extract_features(["pixels"], images, batch_size=2)
  expected = tf_ssl.load_model("pixels").features(images)
  np.testing.assert_allclose(found.features, expected, rtol=1e-5)
  with pytest.raises(errors.UsageError, match="output='a.npz'"):
    tf_ssl.extract_features("pixels", images, "a.npz")


def test_a_loaded_model_has_the_name_that_it_is_given():
  model = tf_ssl.load_model("pixels")
  loaded, read = sources.models({"a": model, "b": "pixels"})
  assert (loaded.name, read.name, model.name) == ("a", "b", "pixels")
  assert loaded.description.name == "a"
  images = np.full([1, 32, 32, 3], 100, np.uint8)
  np.testing.assert_array_equal(loaded.features(images), read.features(images))


def test_unknown_names_are_refused():
  with pytest.raises(errors.UsageError, match="'moco_v9'.*moco_v2"):
    pretraining.run_settings("photos", "moco_v9")
  with pytest.raises(errors.UsageError, match="crops=2.*supervised.*crops=0"):
    pretraining.run_settings("photos", "supervised", crops=2)
  with pytest.raises(errors.UsageError, match="'tea'.*viewpoint"):
    tf_ssl.measure_invariance("pixels", "tea")
  with pytest.raises(errors.UsageError, match="'svm'.*linear_fast"):
    tf_ssl.evaluate("pixels", "svm", train="a", test="b")


def test_own_pictures_are_measured_without_sets():
  images = np.random.default_rng(0).integers(0, 256, [60, 20, 24, 3], np.uint8)
  found = tf_ssl.measure_invariance(
    "pixels", images=images, resamples=10, image_size=16
  )
  assert {"rotation", "blur", "horizontal_flip"} < {*found.scores}
  assert len(found.plot_strengths().axes) == len(found.scores) == 12
  with pytest.raises(errors.UsageError, match="--images"):
    tf_ssl.measure_invariance("pixels", "viewpoint", images=images)


def test_alterations_of_your_own_pictures_can_be_chosen():
  images = np.random.default_rng(0).integers(0, 256, [60, 20, 24, 3], np.uint8)
  found = tf_ssl.measure_invariance(
    "pixels",
    images=images,
    alterations="gray,blur",
    resamples=10,
    image_size=16,
  )
  assert set(found.scores) == {"blur", "gray"}
  with pytest.raises(errors.UsageError, match="alterations='blur'"):
    tf_ssl.measure_invariance("pixels", "viewpoint", alterations="blur")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
