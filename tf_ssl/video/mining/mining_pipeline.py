"""Mines many videos: an Apache Beam pipeline over them.

Every video is one element, mined whole by one process, and what comes of it is
a file in a folder that all processes see (`track_store`). So any runner will
do: Beam's own on several processes of this machine, or a cluster.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

import cv2
import psutil
import tqdm

from tf_ssl import errors
from tf_ssl.video.decoding import isolated
from tf_ssl.video.mining import mining, track_store
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import region_features

logging.getLogger("apache_beam").setLevel(logging.ERROR)  # else it chatters
import apache_beam as beam  # noqa: E402
from apache_beam.options import pipeline_options  # noqa: E402

_DIRECT = "DirectRunner"
_GLANCE = 0.5  # seconds between two looks at the store


def run(
  found: Sequence[videos.Video],
  store: track_store.TrackStore,
  *,
  settings: mining.MiningSettings,
  make_describe: Callable[[], region_features.Describe],
  processes: int | None = None,
  runner: str = _DIRECT,
  runner_options: Sequence[str] = (),
) -> None:
  """Mines the videos; returns when all are done.

  Args:
    found: the videos, of any number.
    store: where to, open already.
    settings: how.
    make_describe: makes the features of regions; called once in every process
      that mines, so it must pickle: a module's function, or a partial of one.
    processes: for the direct runner; None for as many as there are cores.
    runner: a runner that Beam knows, such as DirectRunner, FlinkRunner,
      SparkRunner, DataflowRunner, PortableRunner.
    runner_options: what that runner wants to know, as Beam's command line has
      it, such as --flink_master=localhost:8081.

  Raises:
    UsageError: Beam knows no such runner, or an option is none of Beam's.
    RuntimeError: the runner failed. What is done stays done.
    KeyboardInterrupt: the processes are ended, but threads of Beam's are left;
      end this process by `os._exit`.
  """
  if not found:
    return
  pipeline = _pipeline(len(found), processes, runner, runner_options)
  _ = (
    pipeline
    | "Videos" >> beam.Create(list(found))
    | "Spread" >> beam.Reshuffle()
    | "Mine" >> beam.ParDo(_Mine(store, settings, make_describe))
  )
  with _Progress(store, len(found)):
    _run(pipeline)


def check(runner: str, runner_options: Sequence[str]) -> None:
  """Refuses a runner or an option that Beam does not know.

  Raises:
    UsageError: names it.
  """
  _pipeline(1, 1, runner, runner_options)


def _pipeline(count, processes, runner, runner_options) -> beam.Pipeline:
  """An empty pipeline that will run where it should."""
  words = [f"--runner={runner}", *runner_options]
  if runner == _DIRECT:
    processes = min(processes or len(os.sched_getaffinity(0)), count)
    if processes > 1:
      words.append("--direct_running_mode=multi_processing")
    words.append(f"--direct_num_workers={processes}")
  options = _options(words)
  # The processes that Beam starts find the package where this one has it.
  paths = [path or os.getcwd() for path in sys.path]
  os.environ["PYTHONPATH"] = os.pathsep.join(paths)
  try:
    return beam.Pipeline(options=options)
  except (ImportError, AttributeError, ValueError) as error:
    raise errors.UsageError(
      f"--runner={runner}: Beam cannot start it ({error}); expected"
      " DirectRunner, FlinkRunner, SparkRunner, DataflowRunner or another of"
      " Beam's"
    ) from error


def _run(pipeline: beam.Pipeline) -> None:
  """Runs the pipeline in a thread; Ctrl-C is for this process alone."""
  outcome = futures.Future()

  def work():
    try:
      outcome.set_result(pipeline.run().wait_until_finish())
    except BaseException as error:
      outcome.set_exception(error)

  thread = threading.Thread(target=work, daemon=True)
  # Threads and processes inherit what is blocked when they start: Beam's would
  # each print where they were interrupted.
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
  try:
    thread.start()
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
  try:
    while thread.is_alive():
      thread.join(_GLANCE)
  except KeyboardInterrupt:
    threading.excepthook = lambda unused: None  # Of threads that miss them.
    for child in psutil.Process().children(recursive=True):
      with contextlib.suppress(psutil.NoSuchProcess):
        child.kill()
    raise
  outcome.result()


def _options(words: list[str]) -> pipeline_options.PipelineOptions:
  """Beam's options; unlike Beam, refuses what no runner reads."""
  options = pipeline_options.PipelineOptions(words)
  known = options.get_all_options()
  for word in words:
    name = word.lstrip("-").partition("=")[0]
    if word.startswith("--") and name.removeprefix("no_") not in known:
      raise errors.UsageError(
        f"{word!r} is no option of Beam's; after -- stand those of the runner,"
        " such as --flink_master=localhost:8081"
      )
  return options


class _Progress(contextlib.AbstractContextManager):
  """A bar over videos, with frames a second, read off the store.

  The processes that mine may be anywhere; the store is what all share.
  """

  def __init__(self, store: track_store.TrackStore, count: int):
    self._store = store
    self._begin = store.progress()
    self._over = threading.Event()
    self._bar = tqdm.tqdm(total=count, desc="Following regions", unit="video")
    self._thread = threading.Thread(target=self._watch, daemon=True)

  def __enter__(self):
    self._thread.start()
    return self

  def __exit__(self, *unused):
    self._over.set()
    self._thread.join()
    self._show()
    self._bar.close()

  def _watch(self) -> None:
    while not self._over.wait(_GLANCE):
      self._show()

  def _show(self) -> None:
    done, frames = self._store.progress()
    done -= self._begin[0]
    if done == self._bar.n and not sys.stderr.isatty():
      return  # A log file wants no line without news.
    self._bar.n = done
    elapsed = max(self._bar.format_dict["elapsed"], 1e-3)
    rate = (frames - self._begin[1]) / elapsed
    self._bar.set_postfix_str(f"{rate:.1f} frames/s", refresh=False)
    self._bar.refresh()


class _Mine(beam.DoFn):
  """Video -> what the store says of it."""

  def __init__(
    self,
    store: track_store.TrackStore,
    settings: mining.MiningSettings,
    make_describe: Callable[[], region_features.Describe],
  ):
    self._store = store
    self._settings = settings
    self._make_describe = make_describe
    self._decoder = None
    self._describe = None

  def setup(self) -> None:
    cv2.setNumThreads(1)  # The processes share the cores.
    self._decoder = isolated.Decoder(num_threads=1)
    self._describe = self._make_describe()

  def process(self, video: videos.Video) -> Iterator[dict[str, Any]]:
    clips = mining.mine(
      video, self._decoder, settings=self._settings, describe=self._describe
    )
    yield self._store.add(video, clips)

  def teardown(self) -> None:
    if self._decoder is not None:
      self._decoder.close()
