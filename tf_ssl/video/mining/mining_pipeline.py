"""Apache Beam pipeline that mines many videos in parallel.

Each video is one element, mined by one process, and the result is a file in a
folder that all processes share (`track_store`). Any runner works: Beam's direct
runner with several processes on this machine, or a cluster.
"""

import contextlib
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures

import psutil

from tf_ssl import errors
from tf_ssl.ops import (
  child_process,
  known_lines,
  progress,
  threads,
  workdir,
)
from tf_ssl.video.decoding import isolated
from tf_ssl.video.mining import mining, track_store
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import region_features

logging.getLogger("apache_beam").setLevel(logging.ERROR)  # Logs while imported.
import apache_beam as beam  # noqa: E402
from apache_beam import metrics as beam_metrics  # noqa: E402
from apache_beam.options import pipeline_options  # noqa: E402

_DIRECT = "DirectRunner"
_POLL_SECONDS = 0.5
_UNWRITABLE = "tf_ssl.unwritable"  # Counters, named after the problem.


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
    found: videos to mine.
    store: open store of the tracks.
    settings: settings of the mining.
    make_describe: function that makes the region features; called once in each
      worker process, so it must be picklable: a module-level function or a
      partial of one.
    processes: number of processes of the direct runner; None for one per core.
    runner: name of a Beam runner, such as DirectRunner, FlinkRunner,
      SparkRunner, DataflowRunner, PortableRunner.
    runner_options: options of that runner, as on Beam's command line, such as
      --flink_master=localhost:8081.

  Raises:
    UsageError: the runner or an option is unknown to Beam.
    WriteError: the folder of the store cannot be written. Finished videos are
      kept.
    RuntimeError: the runner failed. Finished videos are kept.
    KeyboardInterrupt: the worker processes are killed, but threads of Beam
      remain; end this process with `os._exit`.
  """
  if not found:
    return
  pipeline = _pipeline(len(found), processes, runner, runner_options)
  _ = (
    pipeline
    # As JSON: Beam's coder of text takes no names that are not UTF-8.
    | "Videos" >> beam.Create([json.dumps(video) for video in found])
    | "Spread" >> beam.Reshuffle()
    | "Mine" >> beam.ParDo(_Mine(store, settings, make_describe))
  )
  # Beam's processes import TensorFlow, and inherit standard error.
  with _Progress(store, len(found)), known_lines.dropped():
    result = _run(pipeline)
  unwritable = beam_metrics.MetricsFilter().with_namespace(_UNWRITABLE)
  for counter in result.metrics().query(unwritable)["counters"]:
    problem = OSError(counter.key.metric.name)
    raise workdir.unwritable(store.folder, "--output_dir", problem)


def check(runner: str, runner_options: Sequence[str]) -> None:
  """Checks that Beam knows the runner and its options.

  Raises:
    UsageError: names the unknown one.
  """
  _pipeline(1, 1, runner, runner_options)


def _pipeline(count, processes, runner, runner_options) -> beam.Pipeline:
  """Returns an empty pipeline for the runner."""
  words = [f"--runner={runner}", *runner_options]
  if runner == _DIRECT:
    processes = min(processes or threads.num_cores(), count)
    if processes > 1:
      words.append("--direct_running_mode=multi_processing")
    words.append(f"--direct_num_workers={processes}")
  options = _options(words)
  # Beam's processes must find this package.
  os.environ["PYTHONPATH"] = child_process.environment()["PYTHONPATH"]
  try:
    return beam.Pipeline(options=options)
  except (ImportError, AttributeError, ValueError) as error:
    raise errors.UsageError(
      f"--runner={runner}: Beam cannot start it ({error}); expected"
      " DirectRunner, FlinkRunner, SparkRunner, DataflowRunner or another Beam"
      " runner"
    ) from error


def _run(pipeline: beam.Pipeline):
  """Runs the pipeline in a thread, so that only this process handles Ctrl-C."""
  outcome = futures.Future()

  def work():
    try:
      result = pipeline.run()
      result.wait_until_finish()
      outcome.set_result(result)
    except BaseException as error:
      outcome.set_exception(error)

  thread = threading.Thread(target=work, daemon=True)
  # New threads and processes inherit blocked signals. Otherwise each of Beam's
  # would print a traceback.
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
  try:
    thread.start()
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
  try:
    while thread.is_alive():
      thread.join(_POLL_SECONDS)
  except KeyboardInterrupt:
    threading.excepthook = lambda unused: None  # For threads that lose workers.
    for child in psutil.Process().children(recursive=True):
      with contextlib.suppress(psutil.NoSuchProcess):
        child.kill()
    raise
  return outcome.result()


def _options(words: list[str]) -> pipeline_options.PipelineOptions:
  """Returns Beam's options; unlike Beam, rejects unknown ones."""
  options = pipeline_options.PipelineOptions(words)
  known = options.get_all_options()
  for word in words:
    name = word.lstrip("-").partition("=")[0]
    errors.require(
      not word.startswith("--") or name.removeprefix("no_") in known,
      f"{word!r} is not an option of Beam; expected options of the runner after"
      " --, such as --flink_master=localhost:8081",
    )
  return options


class _Progress(contextlib.AbstractContextManager):
  """A bar over videos with the frame rate, read from the store.

  The worker processes may run anywhere; the store is what they share.
  """

  def __init__(self, store: track_store.TrackStore, count: int):
    self._store = store
    self._begin = store.progress()
    self._over = threading.Event()
    # Standard error before its known lines are dropped: a terminal, perhaps.
    self._stream = os.fdopen(os.dup(2), "w", errors="backslashreplace")
    self._bar = progress.bar(
      "Tracking regions", total=count, unit="video", file=self._stream
    )
    self._thread = threading.Thread(target=self._watch, daemon=True)

  def __enter__(self):
    self._thread.start()
    return self

  def __exit__(self, *unused):
    self._over.set()
    self._thread.join()
    self._show()
    self._bar.close()
    self._stream.close()

  def _watch(self) -> None:
    while not self._over.wait(_POLL_SECONDS):
      self._show()

  def _show(self) -> None:
    done, frames = self._store.progress()
    done -= self._begin[0]
    if done == self._bar.n and not self._stream.isatty():
      return  # Nothing new for a log file.
    self._bar.n = done
    elapsed = max(self._bar.format_dict["elapsed"], 1e-3)
    rate = (frames - self._begin[1]) / elapsed
    self._bar.set_postfix_str(f"{rate:.1f} frames/s", refresh=False)
    self._bar.refresh()


class _Mine(beam.DoFn):
  """Mines a video, given as JSON; its output is the store's entry as JSON."""

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
    self._unwritable = False

  def setup(self) -> None:
    threads.use_one_for_opencv()  # The processes share the cores.
    self._decoder = isolated.Decoder(num_threads=1)
    self._describe = self._make_describe()

  def process(self, text: str) -> Iterator[str]:
    if self._unwritable:
      return
    video = videos.Video(*json.loads(text))
    clips = mining.mine(
      video, self._decoder, settings=self._settings, describe=self._describe
    )
    decoder = self._decoder
    try:
      entry = self._store.add(video, clips, notes=lambda: decoder.notes)
    except OSError as error:
      # Not raised: runners print a traceback of each process, or try for ever.
      self._unwritable = True
      problem = error.strerror or str(error)
      beam_metrics.Metrics.counter(_UNWRITABLE, problem).inc()
      return
    yield json.dumps(entry)

  def teardown(self) -> None:
    if self._decoder is not None:
      self._decoder.close()
