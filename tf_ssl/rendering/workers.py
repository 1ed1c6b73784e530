"""Rendering many images or videos at once, by several processes.

The workers are started as fresh interpreters that import only this module,
not by `multiprocessing`: that would run the main script's imports, TensorFlow
among them, once more in every worker, and would need a guard in the scripts
of our users.
"""

import json
import os
import pathlib
import selectors
import subprocess
import sys
import tempfile

import cv2
import tqdm

from tf_ssl.rendering import factors, scene_files, stills, video_files

# Fewer images, or frames, than this are done before a process has started.
_WORTH_A_PROCESS = 100
_NOT_WRITTEN = 3  # Exit code of a worker that cannot write its files.
_WORKER = "from tf_ssl.rendering import workers; workers.main()"


def render_files(
  folder: pathlib.Path,
  files: dict[str, int],
  *,
  seed: int,
  image_size: int,
  variety: float = 1.0,
  processes: int | None = None,
) -> None:
  """Renders images into PNG files, with a progress bar on stderr.

  Args:
    folder: where the files go; their subfolders exist.
    files: from the names of the files to the indices of the images.
    seed: of the world.
    image_size: H and W.
    variety: see `factors.random_factors`.
    processes: how many; default as many as there are cores for us, but none
      besides this one if there are few images.

  Raises:
    OSError: if the files cannot be written.
    RuntimeError: if a worker failed otherwise.
  """
  if processes is None:
    processes = min(_cores(), len(files) // _WORTH_A_PROCESS)
  world = {"seed": seed, "image_size": image_size, "variety": variety}
  job = {"kind": "image", "folder": str(folder), "world": world}
  _share(job, list(files.items()), processes, len(files), "image")


def render_stills(
  folder: pathlib.Path,
  files: dict[str, factors.Factors],
  *,
  seed: int,
  image_size: int,
  label: str = "stills",
  processes: int | None = None,
) -> None:
  """Renders images of given factors into PNG files, as `render_files` does.

  Args:
    folder: where the files go; their subfolders exist.
    files: from the names of the files to what they show.
    seed: of the world.
    image_size: H and W.
    label: what they are, beside the progress bar.
    processes: as of `render_files`.

  Raises:
    OSError: if the files cannot be written.
    RuntimeError: if a worker failed otherwise.
  """
  if processes is None:
    processes = min(_cores(), len(files) // _WORTH_A_PROCESS)
  world = {"seed": seed, "image_size": image_size}
  job = {"kind": "still", "folder": str(folder), "world": world}
  _share(job, list(files.items()), processes, len(files), "image", label)


def render_videos(
  folder: pathlib.Path,
  numbers: dict[int, int],
  *,
  seed: int,
  num_frames: int,
  image_size: tuple[int, int],
  fps: float,
  processes: int | None = None,
) -> None:
  """Renders videos and their tracks, with a progress bar on stderr.

  Args:
    folder: where the files go, see `video_files.write`.
    numbers: from the numbers of the videos, which are their names, to their
      indices.
    seed: of the world.
    num_frames: of each.
    image_size: H and W.
    fps: frames a second.
    processes: how many; default as `render_files`.

  Raises:
    OSError: if the files cannot be written.
    RuntimeError: if a worker failed otherwise.
  """
  total = len(numbers) * num_frames
  if processes is None:
    processes = min(_cores(), len(numbers), total // _WORTH_A_PROCESS)
  world = {
    "seed": seed,
    "num_frames": num_frames,
    "image_size": image_size,
    "fps": fps,
  }
  job = {"kind": "video", "folder": str(folder), "world": world}
  _share(job, list(numbers.items()), processes, total, "frame")


def render_scenes(
  folder: pathlib.Path,
  numbers: dict[int, int],
  *,
  seed: int,
  image_size: tuple[int, int],
  processes: int | None = None,
) -> None:
  """Renders scenes and their annotations, with a progress bar on stderr.

  Args:
    folder: where the files go, see `scene_files`.
    numbers: from the numbers of the scenes, which are their names, to their
      indices.
    seed: of the world.
    image_size: H and W.
    processes: how many; default as `render_files`.

  Raises:
    OSError: if the files cannot be written.
    RuntimeError: if a worker failed otherwise.
  """
  if processes is None:
    processes = min(_cores(), len(numbers) // _WORTH_A_PROCESS)
  world = {"seed": seed, "image_size": image_size}
  job = {"kind": "scene", "folder": str(folder), "world": world}
  _share(job, list(numbers.items()), processes, len(numbers), "scene")
  scene_files.write_annotations(folder, numbers, image_size)


def _share(job, items, processes, total, unit, label=None):
  """Does a job's items here, or shares them out among processes."""
  description = f"Rendering {label or job['kind'] + 's'}"
  with tqdm.tqdm(
    total=total, desc=description, unit=unit, mininterval=0.5
  ) as bar:
    if processes < 2:
      for _ in _do({**job, "items": items}):
        bar.update()
    else:
      shares = [items[number::processes] for number in range(processes)]
      _run_workers([{**job, "items": share} for share in shares], bar)


def _do(job):
  """Does a job, and yields for every image or frame of it."""
  world = job["world"]
  for name, what in job["items"]:
    if job["kind"] == "video":
      yield from video_files.write(job["folder"], name, index=what, **world)
      continue
    if job["kind"] == "scene":
      yield from scene_files.write(job["folder"], name, index=what, **world)
      continue
    if job["kind"] == "still":
      image = stills.render(factors.Factors(*what), **world)
    else:
      image = stills.render_index(index=what, **world)
    _write(pathlib.Path(job["folder"], name), image)
    yield


def _write(path, image):
  done, data = cv2.imencode(".png", image[..., ::-1])  # OpenCV takes BGR.
  if not done:
    raise RuntimeError(f"{path}: the image cannot be encoded.")
  path.write_bytes(data.tobytes())


def _run_workers(jobs, bar):
  environment = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    # One thread each: the processes already fill the cores.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
  }
  workers = []
  with tempfile.TemporaryFile() as complaints:
    try:
      for job in jobs:
        with tempfile.TemporaryFile() as order:
          order.write(json.dumps(job).encode())
          order.seek(0)
          workers.append(
            subprocess.Popen(
              [sys.executable, "-c", _WORKER],
              stdin=order,
              stdout=subprocess.PIPE,
              stderr=complaints,
              env=environment,
            )
          )
      _watch(workers, bar)
    finally:
      for worker in workers:
        worker.kill()  # Does nothing to one that has ended.
        worker.wait()
        worker.stdout.close()
    complaints.seek(0)
    text = complaints.read().decode(errors="replace").strip()
  codes = {worker.returncode for worker in workers}
  if _NOT_WRITTEN in codes:
    raise OSError(text)
  if codes != {0}:
    raise RuntimeError(f"A rendering process failed: {text[-2000:]}")


def _cores():
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _watch(workers, bar):
  """Counts images or frames until all workers have ended, or one has failed."""
  with selectors.DefaultSelector() as selector:
    for worker in workers:
      selector.register(worker.stdout, selectors.EVENT_READ, worker)
    while selector.get_map():
      for key, _ in selector.select():
        dots = os.read(key.fd, 4096)  # One byte an image or frame.
        bar.update(len(dots))
        if not dots:
          selector.unregister(key.fileobj)
          if key.data.wait():
            return


def main() -> None:
  """What a worker does: reads its job from stdin, writes dots to stdout."""
  cv2.setNumThreads(1)
  job = json.load(sys.stdin)
  try:
    for _ in _do(job):
      sys.stdout.write(".")
      sys.stdout.flush()
  except OSError as error:
    print(error, file=sys.stderr, flush=True)
    # Without the usual flush, which would fail if whoever asked is gone.
    os._exit(_NOT_WRITTEN)
