"""Tests of tools.extract_features, including a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tools import extract_features

pytestmark = pytest.mark.slow


def _images(folder, count):
  """Noise images of two classes; the second and next to last are damaged."""
  rng = np.random.default_rng(0)
  names = []
  for i in range(count):
    name = f"{'ab'[2 * i // count]}/{i:04d}.png"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = rng.integers(0, 256, [64, 64, 3], np.uint8)
    Image.fromarray(noise).save(path)
    names.append(name)
  for i in (1, count - 2):
    (folder / names[i]).write_bytes(b"\x89PNG and no more")
  return names


def _arguments(images, output):
  return [
    "--model=a=random:resnet50",
    "--model=b=pixels",
    f"--images={images}",
    f"--output={output}",
    "--image_size=64",
    "--framing=whole",
    "--batch_size=8",
  ]


def _read(output):
  with np.load(output) as archive:
    return {name: archive[name] for name in archive.files}


def _killed_in_the_middle(images, output, repository):
  """Kills the command after its first batch; whether it was unfinished."""
  process = subprocess.Popen(
    [sys.executable, "-m", "tools.extract_features"]
    + _arguments(images, output),
    cwd=repository,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env={**os.environ, "PYTHONPATH": str(repository)},
  )
  state_file = output.with_name(f"{output.name}.parts") / "features-state.json"
  deadline = time.monotonic() + 200
  while process.poll() is None and time.monotonic() < deadline:
    if state_file.exists() and json.loads(state_file.read_text())["done"]:
      break
    time.sleep(0.01)
  process.send_signal(signal.SIGKILL)
  _, err = process.communicate()
  if process.returncode == 0:
    return False  # Finished before the signal.
  assert process.returncode == -signal.SIGKILL, err
  state = json.loads(state_file.read_text())
  assert state["done"], err
  return not state["finished"]


@pytest.mark.timeout(600)
def test_a_killed_run_resumes_with_equal_bits(tmp_path, repository, capsys):
  for count in (160, 640, 2560):
    images = tmp_path / f"{count}"
    names = _images(images, count)
    killed = tmp_path / f"{count}.npz"
    if _killed_in_the_middle(images, killed, repository):
      break
  else:
    pytest.fail("never killed in the middle")
  assert not killed.exists()
  extract_features.TOOL.call(_arguments(images, killed))
  told = capsys.readouterr().out
  steady = tmp_path / "steady.npz"
  extract_features.TOOL.call(_arguments(images, steady))

  expected, actual = _read(steady), _read(killed)
  assert expected.keys() == actual.keys()
  for name in expected:
    if name != "about":
      np.testing.assert_array_equal(actual[name], expected[name], strict=True)
  unreadable = [names[1], names[count - 2]]
  readable = [name for name in names if name not in unreadable]
  assert actual["names"].tolist() == readable
  assert actual["features/a"].shape == (count - 2, 2048)
  assert len(np.unique(actual["features/a"], axis=0)) == count - 2
  assert actual["labels"].tolist() == ["ab".index(name[0]) for name in readable]
  for arrays in (expected, actual):
    about = json.loads(str(arrays["about"]))
    assert sorted(about["skipped"]) == unreadable
  for name in unreadable:
    assert f"skipped {name}: truncated or corrupt PNG" in told
  assert f"a [{count - 2}, 2048], b [{count - 2}, 768] of {count}" in told
  assert not killed.with_name(f"{killed.name}.parts").exists()


def test_bad_flags_and_missing_labels_are_errors(tmp_path):
  (tmp_path / "images").mkdir()
  _images(tmp_path / "images", 4)
  Image.new("RGB", (8, 8)).save(tmp_path / "images" / "c.png")
  for given, message in (
    (["--model=pixels"], "--images="),
    ([f"--images={tmp_path}/images"], "--model="),
    (
      ["--model=pixels", "--images=", f"--output={tmp_path}/out"],
      "images '': .*--images$",
    ),
    (
      [
        "--model=pixels",
        f"--images={tmp_path}/images",
        f"--output={tmp_path}/out",
        "--require_labels",
      ],
      "'c.png'.* one folder per class",
    ),
    (
      [
        "--model=pixels",
        f"--images={tmp_path}/images",
        f"--output={tmp_path}/out",
      ],
      "of 5",
    ),
    (
      [
        "--model=pixels",
        f"--images={tmp_path}/images",
        f"--output={tmp_path}/other",
        "--framing=half",
      ],
      "'half'.*middle, whole",
    ),
  ):
    with pytest.raises(errors.UsageError, match=message):
      extract_features.TOOL.call(given)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
