"""Every protocol says in one line that no image of a set can be read.

Even where all of them may be skipped (`max_skipped_fraction` of 1).
"""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.detection import scenes_reference
from tests.evaluation.svm import voc_reference
from tests.models import tiny_encoder_reference
from tf_ssl import errors
from tf_ssl.datasets import open_images
from tf_ssl.datasets.annotations import voc
from tf_ssl.datasets.masks import mask_folders
from tf_ssl.evaluation import fine_tune_loop, labeled_sets, protocol
from tf_ssl.evaluation.detection import detection, retinanet
from tf_ssl.evaluation.fine_tuning import fine_tuning
from tf_ssl.evaluation.knn import knn
from tf_ssl.evaluation.linear import linear_fast, linear_probe, linear_training
from tf_ssl.evaluation.segmentation import segmentation
from tf_ssl.evaluation.svm import annotated_examples, linear_svm, low_shot_svm

pytestmark = pytest.mark.slow

_SGD = fine_tune_loop.Sgd(head_learning_rate=0.1, encoder_learning_rate=0.0)


@pytest.fixture(name="subject")
def fixture_subject():
  """A model to read, and one to train."""
  return types.SimpleNamespace(
    name="mine",
    frozen=protocol.Subject("mine=pixels").frozen,
    trainable=tiny_encoder_reference.tiny(width=16),
  )


@pytest.fixture(name="untrained")
def fixture_untrained(monkeypatch):
  """Training takes no time."""
  monkeypatch.setattr(fine_tune_loop.FineTuneLoop, "fit", lambda *_, **__: 0.0)
  monkeypatch.setattr(linear_training, "train", lambda *_, **__: None)


def _damage(folder, pattern="*.png", size=20):
  """Leaves the first bytes of every image."""
  paths = sorted(folder.rglob(pattern))
  assert paths
  for path in paths:
    path.write_bytes(path.read_bytes()[:size])


def _labeled(folder):
  """4 images in each of 2 class folders."""
  rng = np.random.default_rng(0)
  for name in "ab":
    (folder / name).mkdir(parents=True)
    for i in range(4):
      pixels = rng.integers(0, 256, [16, 16, 3], np.uint8)
      Image.fromarray(pixels).save(folder / name / f"{i}.png")
  return open_images.open_images(str(folder), labeled=True)


def _refused(settings, subject, folder) -> str:
  with pytest.raises(errors.UsageError) as refused:
    settings.run(subject, output_dir=str(folder), say=lambda line: None)
  message = str(refused.value)
  assert "\n" not in message
  return message


_LABELED = {
  "knn": (knn.Knn, {"k": (1,), "image_size": 8}),
  "linear_fast": (linear_fast.LinearFast, {"seeds": (0,), "image_size": 8}),
  "linear": (
    linear_probe.LinearProbe,
    {
      "schedule": linear_training.Schedule(epochs=1.0, batch_size=2),
      "image_size": 8,
    },
  ),
  "fine_tuning": (
    fine_tuning.FineTuning,
    {
      "sgd": _SGD,
      "label_shares": (1.0,),
      "seeds": (0,),
      "image_size": 32,
      "batch_size": 2,
      "min_steps": 1,
      "epochs": 0.0,
    },
  ),
}


@pytest.mark.parametrize("name", list(_LABELED))
def test_of_labeled_test_images(name, subject, tmp_path, untrained):
  kind, changes = _LABELED[name]
  sets = {role: _labeled(tmp_path / role) for role in ("train", "test")}
  _damage(tmp_path / "test")
  message = _refused(
    kind(**sets, max_skipped_fraction=1.0, **changes), subject, tmp_path
  )
  assert "none of " in message and "8 " in message


@pytest.mark.parametrize("name", list(_LABELED))
def test_of_labeled_training_images(name, subject, tmp_path):
  kind, changes = _LABELED[name]
  sets = {role: _labeled(tmp_path / role) for role in ("train", "test")}
  _damage(tmp_path / "train")
  message = _refused(
    kind(**sets, max_skipped_fraction=1.0, **changes), subject, tmp_path
  )
  assert "none of the 8 images" in message or "could not be used" in message


@pytest.mark.parametrize("kind", ["linear_fast", "linear"])
def test_of_those_held_out_to_choose_by(kind, subject, tmp_path, untrained):
  kind, changes = _LABELED[kind]
  sets = {role: _labeled(tmp_path / role) for role in ("train", "test")}
  settings = kind(
    **sets,
    max_skipped_fraction=1.0,
    **{**changes, "validation_fraction": 0.25, "seeds": (0,)},
  )
  out = labeled_sets.hold_out(labeled_sets.match(**sets).train, 0.25, seed=0)
  for index in np.flatnonzero(out).tolist():
    (tmp_path / "train" / sets["train"].name(index)).write_bytes(b"\x89PNG")
  message = _refused(settings, subject, tmp_path)
  assert "TRAIN_IMAGES held out" in message


@pytest.mark.parametrize("role", ["train", "test"])
def test_of_images_with_masks(role, subject, tmp_path):
  sets = {}
  for each in ("train", "test"):
    for kind in ("images", "masks"):
      (tmp_path / each / kind).mkdir(parents=True)
      for i in range(2):
        shape = [32, 32, 3] if kind == "images" else [32, 32]
        Image.fromarray(np.full(shape, i, np.uint8)).save(
          tmp_path / each / kind / f"{i}.png"
        )
    folders = [str(tmp_path / each / kind) for kind in ("images", "masks")]
    sets[each] = mask_folders.read(*folders)
  _damage(tmp_path / role / "images")
  settings = segmentation.Segmentation(
    **sets, sgd=_SGD, max_skipped_fraction=1.0
  )
  message = _refused(settings, subject, tmp_path)
  assert "none of 2 images can be used, the first '0.png' (truncated" in message


@pytest.mark.parametrize(
  ("role", "size"), [("train", 4), ("test", 4), ("test", 200)]
)
def test_of_images_with_boxes(role, size, subject, tmp_path, untrained):
  """Of 4 bytes it is seen before the training, of 200 only after it."""
  boxes = [[(3, 6, 10, 28, 28)], [(18, 30, 24, 24, 32)]]
  sets = {
    each: scenes_reference.write(tmp_path / each, boxes)
    for each in ("train", "test")
  }
  _damage(tmp_path / role, size=size)
  settings = detection.Detection(
    **sets,
    sgd=_SGD,
    architecture=retinanet.Architecture(
      min_level=3, max_level=4, num_filters=16, num_convs=1
    ),
    image_size=64,
    batch_size=2,
    steps=1,
    max_skipped_fraction=1.0,
  )
  message = _refused(settings, subject, tmp_path)
  what = "2 images can be used" if size == 4 else "2 test images can be read"
  assert (
    f"none of {what}, the first '000.png' (truncated or corrupt PNG" in message
  )


@pytest.mark.parametrize(
  "kind", [linear_svm.LinearSvm, low_shot_svm.LowShotSvm]
)
@pytest.mark.parametrize("role", ["trainval", "test"])
def test_of_annotated_images(kind, role, tmp_path):
  voc_reference.write(tmp_path / "voc", counts=(("trainval", 8), ("test", 4)))
  sets = {
    each: voc.read(str(tmp_path / "voc"), split=each)
    for each in ("trainval", "test")
  }
  for index in range(sets[role].num_images):
    with open(sets[role].images.path(index), "wb") as file:
      file.write(b"\xff\xd8\xff")
  examples = annotated_examples.AnnotatedExamples(
    train=sets["trainval"],
    test=sets["test"],
    image_size=16,
    max_skipped_fraction=1.0,
  )
  message = _refused(
    kind(examples=examples, workers=1),
    voc_reference.subject(voc_reference.colors),
    tmp_path,
  )
  count = {"trainval": 8, "test": 4}[role]
  assert f"none of the {count} images could be read" in message


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
