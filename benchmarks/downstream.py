"""Cost of evaluating a frozen encoder, as ratios measured in one run.

    python -m benchmarks.downstream                 # everything
    python -m benchmarks.downstream --only=probe    # one measurement
    python -m benchmarks.downstream --only=knn --full

Measurements:
-   knn: speed of exact kNN relative to a matrix product of the same size
    (expected >= 0.7), and memory beyond the mapped features
    (`downstream_knn`);
-   probe: time of the linear probe with 8 learning rates relative to one
    (expected <= 1.3), from image files to trained classifiers;
-   svm: speed-up of 20 classes x 11 costs x 3 folds on all cores over one
    process, without copies and repeated fits (`downstream_svm`);
-   extraction: features after kill -9 are equal to the bit, no image is
    missing; time that a kill costs.

Sizes are scaled down to minutes; --full uses those of ImageNet and VOC07.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from benchmarks import downstream_knn, downstream_svm, ratios  # noqa: E402
from benchmarks import feature_extraction as images_lib  # noqa: E402

_RATES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def main() -> None:
  """Runs the chosen measurements."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  measurements = {
    "knn": downstream_knn.compare,
    "probe": _compare_probes,
    "svm": downstream_svm.compare,
    "extraction": _compare_extraction,
  }
  parser.add_argument("--only", choices=list(measurements))
  parser.add_argument(
    "--full", action="store_true", help="full size of knn and svm"
  )
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument(
    "--queries", type=int, default=4096, help="test features of kNN"
  )
  parser.add_argument(
    "--encoder", default="resnet18", help="encoder of the probe"
  )
  parser.add_argument(
    "--image_size", type=int, default=64, help="image side of the probe"
  )
  parser.add_argument(
    "--classes", type=int, default=1000, help="classes of the probe"
  )
  parser.add_argument(
    "--batch_size", type=int, default=256, help="batch of the probe"
  )
  parser.add_argument("--steps", type=int, default=6, help="steps of the probe")
  parser.add_argument(
    "--images", type=int, default=600, help="images to extract"
  )
  arguments = parser.parse_args()
  for name, compare in measurements.items():
    if arguments.only in (None, name):
      compare(arguments)


def _compare_probes(arguments: argparse.Namespace) -> None:
  """Alternates between training with 8 learning rates and with one."""
  from tf_ssl.datasets import image_folder
  from tf_ssl.evaluation.linear import linear_training
  from tf_ssl.input_pipeline import view_batches
  from tf_ssl.models import load

  view_batches.keep_freed_memory()
  batch, size = arguments.batch_size, arguments.image_size
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "images", "a")
    path.parent.mkdir()
    images_lib.write_images(path, batch, size * 3 // 2)
    records = image_folder.read(str(path.parent), labeled=True)
    labels = np.arange(batch, dtype=np.int32) % arguments.classes
    records = records._replace(labels=labels)
    model = load.load_model(f"random:{arguments.encoder}")
    width = model.description.width

    def train(rates: tuple[float, ...], steps: int) -> np.ndarray:
      grid = linear_training.LinearGrid(width, arguments.classes, rates, seed=0)
      with tempfile.TemporaryDirectory(dir=folder) as output:
        start = _seconds()
        linear_training.train(
          model,
          records,
          grid,
          linear_training.Schedule(epochs=steps, batch_size=batch),
          file=os.path.join(output, "grid.npz"),
          image_size=size,
          seed=0,
        )
      return _seconds() - start

    # The difference of a long and a short training excludes the start-up.
    short, long = 1, arguments.steps + 1
    train(_RATES, short)  # Compiles and fills caches.
    spent = {1: [], len(_RATES): []}
    for _ in range(arguments.rounds):
      for count, seconds in spent.items():
        rates = _RATES[:count]
        seconds.append(train(rates, long) - train(rates, short))
  one, many = (np.median(seconds, axis=0)[0] for seconds in spent.values())
  each = np.divide(spent[len(_RATES)], spent[1])
  ratio, of_cpu = np.median(each, axis=0)
  ratio = ratios.keep(
    f"time of a linear probe with {len(_RATES)} learning rates over one",
    ratio,
    at_most=1.3,
  )
  print(
    f"linear probe, {arguments.encoder}, {size} px, {arguments.classes} classes"
    f", batches of {batch}: {one / arguments.steps:.2f} s a step with one"
    f" learning rate, {many / arguments.steps:.2f} s with {len(_RATES)}, ratio"
    f" {ratio}; ratio of CPU seconds, which depend less on"
    f" other load, {of_cpu:.3f}",
    flush=True,
  )


def _seconds() -> np.ndarray:
  """Wall-clock time, and CPU time of this process on all cores."""
  return np.array([time.perf_counter(), time.process_time()])


def _compare_extraction(arguments: argparse.Namespace) -> None:
  """Extracts with and without a kill -9 in the middle."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "images")
    images_lib.write_images(path, arguments.images, 96)
    steady, killed = (pathlib.Path(folder, n) for n in ("steady", "killed"))
    start = time.perf_counter()
    _extract(path, steady).communicate()
    undisturbed = time.perf_counter() - start
    state_file = killed / "features-state.json"
    process = _extract(path, killed)
    done = 0
    while process.poll() is None and done < arguments.images // 3:
      time.sleep(0.01)
      if state_file.exists():
        done = json.loads(state_file.read_text())["done"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if process.returncode != -signal.SIGKILL:
      raise RuntimeError("the extraction ended before the kill; raise --images")
    stopped = json.loads(state_file.read_text())
    rows = (killed / "features-0-a.npy").stat().st_size // (512 * 4)
    start = time.perf_counter()
    _extract(path, killed).communicate()
    again = time.perf_counter() - start
    expected, actual = (
      {
        name: np.load(run / f"{name}.npy")
        for name in ("features-0-a", "features-index", "names")
      }
      for run in (steady, killed)
    )
  same = all(np.array_equal(expected[n], actual[n]) for n in expected)
  count = len(np.unique(actual["names"]))
  if not same or count != arguments.images:
    raise AssertionError("a kill changed the features")
  print(
    f"extraction of {arguments.images} images, killed with {stopped['done']}"
    f" safe and {rows} written: equal to the bit, every image once;"
    f" {undisturbed:.1f} s without a kill, {again:.1f} s to resume (both with"
    " start-up)",
    flush=True,
  )


def _extract(images: pathlib.Path, output: pathlib.Path) -> subprocess.Popen:
  return subprocess.Popen(
    [
      sys.executable,
      "-m",
      "tools.extract_features",
      "--model=a=random:resnet18",
      f"--images={images}",
      f"--output={output}",
      "--image_size=96",
      "--batch_size=16",
    ],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )


if __name__ == "__main__":
  main()
