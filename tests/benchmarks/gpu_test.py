"""benchmarks.gpu: whole runs of tiny sizes on the CPU."""

import json
import sys

import numpy as np
import pytest

from benchmarks import gpu
from tf_ssl import errors
from tf_ssl.encoders import resnet
from tf_ssl.ops import jpeg

pytestmark = pytest.mark.slow


def test_the_convolutions_of_resnet50_have_the_published_number_of_flops():
  # 4.09e9 multiply-adds (torchvision's documentation), 2.05e6 of them in the
  # classifier, which is no convolution.
  found = gpu.flops_of_convolutions(resnet.resnet50(), 224)
  assert found == pytest.approx(2 * (4.09e9 - 2.05e6), rel=0.002)


def test_without_a_gpu_one_line_says_what_to_do(tmp_path):
  with pytest.raises(errors.UsageError, match="no GPU.*--device=cpu --tiny"):
    gpu.main([f"--output_dir={tmp_path}"])


def test_peaks_are_found_by_the_name_of_the_device():
  peak = gpu.data_sheet_peak
  assert peak("NVIDIA A100-SXM4-80GB", "bfloat16") == 312e12
  assert peak("NVIDIA H100 80GB HBM3", "TF32") == 494.7e12
  assert peak("Tesla T4", "bfloat16") is None
  for unknown in ("NVIDIA L40S", "Tesla V100-PCIE-16GB", "another"):
    assert peak(unknown, "float32") is None
  assert gpu.measured_peak("float32", 32) > 0


def _write_cifar10(folder):
  rng = np.random.default_rng(0)
  for split, count in (("train", 24), ("test", 6)):
    for number in range(count):
      path = folder / split / f"class{number % 2}" / f"{number}.jpg"
      path.parent.mkdir(parents=True, exist_ok=True)
      image = rng.integers(0, 99, [32, 32, 3]) + 150 * (number % 2)
      path.write_bytes(jpeg.encode(image.astype(np.uint8)))
  return folder


@pytest.mark.timeout(900)  # XLA compiles two train steps.
def test_a_tiny_run_on_the_cpu_writes_the_table_and_the_figure(
  tmp_path, monkeypatch, capsys
):
  cifar10 = _write_cifar10(tmp_path / "cifar10")
  output = tmp_path / "gpu"
  command = [f"--output_dir={output}", "--device=cpu", "--tiny", "--steps=2"]
  command += ["--precision=float32", f"--cifar10={cifar10}"]
  command += ["--cifar10_steps=4", "--cifar10_every=2"]
  gpu.main(command)
  printed = capsys.readouterr().out
  assert printed == (output / "gpu.md").read_text()
  rows = [line for line in printed.splitlines() if line.startswith("| float32")]
  assert [row.split(" | ")[1:3] for row in rows] == [
    ["no", "input pipeline"],
    ["no", "on the device"],
    ["yes", "input pipeline"],
    ["yes", "on the device"],
  ]
  found = json.loads((output / "gpu.json").read_text())
  assert all(row["images_per_second"] > 0 for row in found["speed"])
  steps = [record["step"] for record in found["cifar10"]]
  minutes = [record["minutes"] for record in found["cifar10"]]
  assert steps == [0, 2, 4]
  assert minutes == sorted(minutes) and minutes[0] < minutes[-1] < 60
  assert (output / "knn.png").read_bytes().startswith(b"\x89PNG")

  def again(*arguments, **options):
    raise AssertionError("measured again")

  monkeypatch.setattr(gpu, "measure_speed", again)
  gpu.main(command)
  repeated = json.loads((output / "gpu.json").read_text())
  assert repeated["speed"] == found["speed"]
  assert repeated["cifar10"] == found["cifar10"]


def test_cifar10_that_is_missing_is_named_before_anything_runs(tmp_path):
  command = [f"--output_dir={tmp_path / 'gpu'}", "--device=cpu", "--tiny"]
  with pytest.raises(errors.UsageError, match="--cifar10=.*train is missing"):
    gpu.main([*command, f"--cifar10={tmp_path}"])
  assert not (tmp_path / "gpu").exists()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
