"""PyTorch's files, read without PyTorch, and malicious files."""

import argparse
import collections
import os
import pathlib
import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.export import torch_files, torch_pickle

torch = pytest.importorskip("torch", reason="needs PyTorch to write files")


def _save(content, path, *, is_zip=True):
  torch.save(content, path, _use_new_zipfile_serialization=is_zip)
  return str(path)


class _Call:
  """Pickles as a call of any function."""

  def __init__(self, function, *arguments):
    self._call = function, arguments

  def __reduce__(self):
    return self._call


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("name", ["os.system", "eval", "exec", "open", "Path"])
def test_a_file_that_calls_a_function_is_refused(tmp_path, name, is_zip):
  proof = tmp_path / "proof"
  call = {
    "os.system": _Call(os.system, f"touch {proof}"),
    "eval": _Call(eval, f"open({str(proof)!r}, 'w')"),
    "exec": _Call(exec, f"open({str(proof)!r}, 'w')"),
    "open": _Call(open, str(proof), "w"),
    "Path": _Call(pathlib.Path.touch, proof),
  }[name]
  path = _save({"a": torch.ones(1), "b": call}, tmp_path / "a", is_zip=is_zip)
  with pytest.raises(errors.UsageError, match="not known to be data"):
    torch_files.read(path)
  assert not proof.exists()
  with open(path, "rb") as file:  # the file would do it, if it were let
    unsafe = file.read()
  assert b"touch" in unsafe or b"open" in unsafe


@pytest.mark.parametrize("is_zip", [True, False])
def test_settings_saved_with_the_weights_are_not_built(tmp_path, is_zip):
  content = {
    "args": argparse.Namespace(lr=0.1),
    "path": pathlib.PurePosixPath("a/b"),
    "best": np.float64(0.3),
    "array": np.ones(3),
    "counts": collections.Counter("aab"),
    "groups": collections.defaultdict(dict, a={"b": 1}),
    "dtype": torch.float32,
    "weight": torch.ones(2),
  }
  found = torch_files.read(_save(content, tmp_path / "a", is_zip=is_zip))
  assert list(found) == ["weight"]


def test_a_module_of_an_allowed_name_is_not_imported(tmp_path, monkeypatch):
  (tmp_path / "omegaconf.py").write_text("raise SystemExit('imported')")
  monkeypatch.syspath_prepend(tmp_path)
  stream = b"comegaconf\nDictConfig\n(I1\ntR."
  with open(tmp_path / "a.pkl", "wb") as file:
    file.write(stream)
  with open(tmp_path / "a.pkl", "rb") as file:
    made = torch_pickle.load(file, "a.pkl")
  assert type(made).__name__ == "omegaconf.DictConfig"
  assert "omegaconf" not in sys.modules


def test_a_torchscript_archive_is_refused(tmp_path):
  path = str(tmp_path / "a.pt")
  torch.jit.script(torch.nn.Linear(2, 2)).save(path)
  with pytest.raises(errors.UsageError, match="TorchScript.*state_dict"):
    torch_files.read(path)


def test_a_pickle_cannot_change_what_it_names(tmp_path):
  # BUILD with a state of (dict, slots) sets attributes of what is on the stack
  for name in (
    "collections\nOrderedDict",
    "torch._utils\n_rebuild_tensor_v2",
    "torch\nFloatStorage",
  ):
    stream = f"c{name}\n(N(dS'items'\nI1\nstb.".encode()
    path = tmp_path / "a.pkl"
    path.write_bytes(stream)
    with open(path, "rb") as file:
      try:
        torch_pickle.load(file, "a.pkl")
      except errors.UsageError:
        pass
  assert callable(collections.OrderedDict.items)
  saved = _save(collections.OrderedDict(a=torch.ones(1)), tmp_path / "b.pth")
  assert torch_files.read(saved)["a"].read() == 1


def test_a_whole_model_is_refused(tmp_path):
  path = _save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
  with pytest.raises(errors.UsageError, match="torch.nn.*save only its state"):
    torch_files.read(path)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
