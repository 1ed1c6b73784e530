"""Rendering by several processes at once.

The workers are fresh interpreters that import only this module.
`multiprocessing` would import the main script again, and TensorFlow with it, in
every worker, and would need a guard in the users' scripts.
"""

import json
import os
import pathlib
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from tf_ssl.ops import child_process, progress, threads
from tf_ssl.rendering import factors, files

# One process renders this many images before another one has started.
_IMAGES_PER_PROCESS = 100
_CANNOT_WRITE = 3  # Exit code of a worker that cannot write its files.
_WORKER = "from tf_ssl.rendering import workers; workers.main()"
_STOP_SECONDS = 1.0


def render(
  kind: str,
  folder: pathlib.Path,
  items: Mapping[Any, Any],
  *,
  world: Mapping[str, Any],
  title: str | None = None,
  processes: int | None = None,
) -> None:
  """Renders files, with a progress bar on stderr.

  Args:
    kind: "still", "background", "scene" or "video": the writer in `files`.
    folder: folder to write to; its subfolders exist.
    items: what to show by name: `factors.Factors` by file name for stills,
      number by file name for backgrounds, index in the world by number for
      scenes and videos.
    world: keyword arguments of the writer, such as seed and image_size.
    title: what is rendered, for the progress bar; by default from `kind`.
    processes: number of processes; by default one per available core, and only
      this process for few images.

  Raises:
    OSError: a file cannot be written.
    RuntimeError: a worker failed for another reason.
  """
  total = len(items) * world.get("num_frames", 1)
  if processes is None:
    processes = min(
      threads.num_cores(), len(items), total // _IMAGES_PER_PROCESS
    )
  unit = "frame" if kind == "video" else "image"
  with progress.bar(
    f"Rendering {title or kind + 's'}", total=total, unit=unit
  ) as bar:
    pairs = list(items.items())
    if processes < 2:
      for _ in _render(kind, folder, pairs, world):
        bar.update()
    else:
      _run_workers(
        [
          [kind, str(folder), pairs[number::processes], world]
          for number in range(processes)
        ],
        bar,
      )


def main() -> None:
  """Runs a worker: reads its job from stdin, writes a dot per image."""
  threads.use_one_for_opencv()
  try:
    for _ in _render(*json.load(sys.stdin)):
      sys.stdout.write(".")
      sys.stdout.flush()
  except OSError as error:
    print(error, file=sys.stderr, flush=True)
    # Skips the flush of stdout, which would fail if the parent is gone.
    os._exit(_CANNOT_WRITE)


def _render(kind, folder, pairs, world):
  """Renders the items of a job; yields once per image or frame."""
  write = getattr(files, f"write_{kind}")
  for name, shown in pairs:
    if kind == "still":
      shown = factors.Factors(*shown)  # A list if it comes from JSON.
    yield from write(folder, name, shown, **world)


def _run_workers(jobs, bar):
  # One thread each: the processes already fill the cores.
  environment = child_process.environment(
    OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"
  )
  workers = []
  with tempfile.TemporaryFile() as messages:
    try:
      for job in jobs:
        with tempfile.TemporaryFile() as stdin:
          stdin.write(json.dumps(job).encode())
          stdin.seek(0)
          workers.append(
            child_process.start_python(
              _WORKER,
              stdin=stdin,
              stdout=subprocess.PIPE,
              stderr=messages,
              env=environment,
            )
          )
      _watch(workers, bar)
    finally:
      child_process.stop(workers, seconds=_STOP_SECONDS)
      for worker in workers:
        worker.stdout.close()
    messages.seek(0)
    text = messages.read().decode(errors="replace").strip()
  codes = {worker.returncode for worker in workers}
  if _CANNOT_WRITE in codes:
    raise OSError(text)
  if codes != {0}:
    ended = ", ".join(map(child_process.how_it_ended, sorted(codes - {0})))
    raise RuntimeError(f"a rendering process failed ({ended}): {text[-2000:]}")


def _watch(workers, bar):
  """Counts dots until all workers have ended or one has failed."""
  with selectors.DefaultSelector() as selector:
    for worker in workers:
      selector.register(worker.stdout, selectors.EVENT_READ, worker)
    while selector.get_map():
      for key, _ in selector.select():
        dots = os.read(key.fd, 4096)
        bar.update(len(dots))
        if not dots:
          selector.unregister(key.fileobj)
          if key.data.wait():
            return
