"""What measuring a frozen encoder costs: each question a ratio from one run.

    python -m benchmarks.downstream                 # all questions
    python -m benchmarks.downstream --only=probe    # one of them
    python -m benchmarks.downstream --only=knn --full

Questions:
-   knn: exact kNN over the machine's bare matrix product of the same size
    (expected >= 0.7), and memory beyond the mapped features
    (`downstream_knn`);
-   probe: the linear probe with 8 learning rates over that with one (expected
    <= 1.3), from image files to trained classifiers;
-   svm: 20 classes x 11 costs x 3 folds on all cores over one process, nothing
    kept or done twice (`downstream_svm`);
-   extraction: features after kill -9 are the same bits as without, no image
    is left out, and what a kill costs.

Sizes are scaled down to minutes; --full takes those of ImageNet and VOC07.
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

from benchmarks import downstream_knn, downstream_svm  # noqa: E402
from benchmarks import feature_extraction as images_lib  # noqa: E402

_RATES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def main() -> None:
  """Answers the questions that were asked for."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  questions = {
    "knn": downstream_knn.compare,
    "probe": _compare_probes,
    "svm": downstream_svm.compare,
    "extraction": _compare_extraction,
  }
  parser.add_argument("--only", choices=list(questions))
  parser.add_argument("--full", action="store_true", help="knn and svm")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--queries", type=int, default=4096, help="of kNN")
  parser.add_argument("--encoder", default="resnet18", help="of the probe")
  parser.add_argument("--image_size", type=int, default=64, help="of the probe")
  parser.add_argument("--classes", type=int, default=1000, help="of the probe")
  parser.add_argument("--batch_size", type=int, default=256, help="likewise")
  parser.add_argument("--steps", type=int, default=6, help="likewise")
  parser.add_argument("--images", type=int, default=600, help="extraction")
  arguments = parser.parse_args()
  for name, compare in questions.items():
    if arguments.only in (None, name):
      compare(arguments)


def _compare_probes(arguments: argparse.Namespace) -> None:
  """Trains with 8 learning rates and with one, by turns."""
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

    # What a long training takes beyond a short one: steps, nothing of starting.
    short, long = 1, arguments.steps + 1
    train(_RATES, short)  # compiles, fills caches
    spent = {1: [], len(_RATES): []}
    for _ in range(arguments.rounds):
      for count, seconds in spent.items():
        rates = _RATES[:count]
        seconds.append(train(rates, long) - train(rates, short))
  one, many = (np.median(seconds, axis=0)[0] for seconds in spent.values())
  ratios = np.divide(spent[len(_RATES)], spent[1])
  ratio, of_cpu = np.median(ratios, axis=0)
  print(
    f"linear probe, {arguments.encoder}, {size} px, {arguments.classes} classes"
    f", batches of {batch}: {one / arguments.steps:.2f} s a step with one"
    f" learning rate, {many / arguments.steps:.2f} s with {len(_RATES)}, ratio"
    f" {ratio:.3f} (at most 1.3); of CPU seconds, which other work on the"
    f" machine changes less, {of_cpu:.3f}",
    flush=True,
  )


def _seconds() -> np.ndarray:
  """Of the clock, and of this process on all cores."""
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
      raise RuntimeError("it was over before the kill; raise --images")
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
    f" safe and {rows} written: the same bits as undisturbed, every image once;"
    f" {undisturbed:.1f} s undisturbed, {again:.1f} s to go on (both with"
    " starting)",
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
