"""Tests of tf_ssl.models.keras_file."""

import io
import json
import sys
import zipfile

import h5py
import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.models import hdf5_files, keras_file

_CONFIG = {"class_name": "Sequential", "config": {"layers": []}}


def _hdf5(**arrays):
  stream = io.BytesIO()
  with h5py.File(stream, "w") as file:
    for name, array in arrays.items():
      file[name] = array
  return stream.getvalue()


def _archive(path, *, compression=zipfile.ZIP_STORED, **parts):
  """Writes a .keras file; `parts` replace or add files, None removes one."""
  content = {
    "config.json": json.dumps(_CONFIG),
    "metadata.json": json.dumps({"keras_version": "2.15.0"}),
    "model.weights.h5": _hdf5(kernel=np.zeros([3, 4], np.float32)),
  }
  content |= {name.replace("__", "."): part for name, part in parts.items()}
  with zipfile.ZipFile(path, "w", compression) as archive:
    for name, part in content.items():
      if part is not None:
        archive.writestr(name, part)
  return str(path)


def test_a_sound_archive_gives_its_configuration_and_size(tmp_path):
  path = _archive(tmp_path / "a.keras")
  assert keras_file.read(path) == keras_file.Saved(_CONFIG, "2.15.0")
  assert keras_file.check_weights(path) == 48


def test_a_sound_hdf5_file_gives_its_configuration_and_size(tmp_path):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file.attrs["model_config"] = json.dumps(_CONFIG)
    file.attrs["keras_version"] = "2.4.0"
    file["model_weights/dense/kernel"] = np.zeros([5], np.float64)
  assert keras_file.read(str(path)) == keras_file.Saved(_CONFIG, "2.4.0")
  assert keras_file.check_weights(str(path)) == 40


@pytest.mark.parametrize(
  ("part", "message"),
  [
    ({"config__json": None}, "config.json"),
    ({"config__json": "{"}, "property name"),
    ({"config__json": "[" * 100_000}, "recursion"),
    ({"config__json": "\xff\xfe"}, "cannot be read"),
    ({"config__json": " " * 2**24 + "1"}, "configuration of 16777217 bytes"),
    ({"metadata__json": "{"}, "property name"),
  ],
)
def test_a_damaged_configuration_is_one_line(tmp_path, part, message):
  path = _archive(tmp_path / "a.keras", **part)
  with pytest.raises(errors.UsageError, match=f"a.keras .*{message}") as info:
    keras_file.read(path)
  assert "\n" not in str(info.value)


@pytest.mark.parametrize(
  "config", [7, np.zeros([3]), "{", "[" * 20_000], ids=repr
)
def test_a_damaged_configuration_in_hdf5_is_one_line(tmp_path, config):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file.attrs["model_config"] = config
  with pytest.raises(errors.UsageError, match="a.h5 cannot be read as a Keras"):
    keras_file.read(str(path))


def test_an_encrypted_archive_is_one_line(tmp_path):
  path = tmp_path / "a.keras"
  _archive(path)
  content = bytearray(path.read_bytes())
  for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
    start = content.find(mark)
    while start >= 0:
      content[start + flags] |= 1
      start = content.find(mark, start + 4)
  path.write_bytes(content)
  with pytest.raises(errors.UsageError, match="a.keras .*encrypted"):
    keras_file.read(str(path))


def test_weights_that_need_pickle_are_refused(tmp_path):
  class Trap:
    def __reduce__(self):
      return open, (str(tmp_path / "executed"), "w")

  npz = io.BytesIO()
  np.savez(npz, a=np.array([Trap()], object))
  path = _archive(
    tmp_path / "a.keras",
    model__weights__h5=None,
    model__weights__npz=npz.getvalue(),
  )
  with pytest.raises(errors.UsageError, match="npz.*pickle.*run code"):
    keras_file.read(path)
  assert not (tmp_path / "executed").exists()


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(keras_file, "_MAX_UNPACKED", 2**20)
  path = _archive(
    tmp_path / "a.keras",
    assets="\0" * 2**21,
    compression=zipfile.ZIP_DEFLATED,
  )
  with pytest.raises(errors.UsageError, match="a.keras .*would unpack to 2"):
    keras_file.read(path)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_an_array_of_zeros_beyond_the_file_is_not_read(tmp_path, options):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file.create_dataset(
      "kernel", [2**20, 2**20], "f4", chunks=(8, 8), **options
    )
  with pytest.raises(errors.UsageError, match="would take 4398046511104 bytes"):
    keras_file.check_weights(str(path))


def test_arrays_in_other_files_are_refused(tmp_path):
  (tmp_path / "secret").write_bytes(b"\0" * 16)
  with h5py.File(tmp_path / "link.h5", "w") as file:
    file["layer/kernel"] = h5py.ExternalLink("secret", "/")
  with h5py.File(tmp_path / "external.h5", "w") as file:
    file.create_dataset(
      "kernel", [4], "f4", external=[(str(tmp_path / "secret"), 0, 16)]
    )
  layout = h5py.VirtualLayout((4,), "f4")
  layout[:] = h5py.VirtualSource("other.h5", "kernel", (4,))
  with h5py.File(tmp_path / "virtual.h5", "w") as file:
    file.create_virtual_dataset("kernel", layout)
  for name in ("link", "external", "virtual"):
    with pytest.raises(errors.UsageError, match=f"{name}.h5 .*another file"):
      keras_file.check_weights(str(tmp_path / f"{name}.h5"))


def test_a_file_on_which_hdf5_loops_is_one_line(tmp_path, monkeypatch):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file.attrs["model_config"] = json.dumps(_CONFIG)
    file.attrs["keras_version"] = "2.15.0"
  # A text attribute is in the global heap, after its length in 8 bytes.
  content = bytearray(path.read_bytes())
  start = content.index(b"2.15.0")
  assert content[start - 8] == 6
  content[start - 8] = 0
  path.write_bytes(content)
  monkeypatch.setattr(hdf5_files, "_SECONDS", 3.0)
  with pytest.raises(errors.UsageError, match="a.h5 cannot be read as a Keras"):
    keras_file.read(str(path))


def test_a_file_is_read_by_one_child_until_it_changes(tmp_path, monkeypatch):
  path = tmp_path / "a.h5"
  with h5py.File(path, "w") as file:
    file.attrs["model_config"] = json.dumps(_CONFIG)
    file["kernel"] = np.zeros([5], np.float32)
  reads, read = [], hdf5_files.read

  def counted(*arguments, **options):
    reads.append(arguments)
    return read(*arguments, **options)

  monkeypatch.setattr(hdf5_files, "read", counted)
  keras_file.read(str(path))
  assert keras_file.check_weights(str(path)) == 20 and len(reads) == 1
  with h5py.File(path, "a") as file:
    file["bias"] = np.zeros([5], np.float32)
  assert keras_file.check_weights(str(path)) == 40 and len(reads) == 2


@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_weights_that_are_no_hdf5_are_one_line(tmp_path, name):
  path = _archive(tmp_path / name, model__weights__h5=b"junk")
  with pytest.raises(errors.UsageError, match=f"{name} cannot be read"):
    keras_file.check_weights(path)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
