"""Tests of tf_ssl.video.mining.mining_pipeline with two Beam runners."""

import shutil
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tf_ssl import errors
from tf_ssl.ops import workdir
from tf_ssl.video.mining import mining, mining_pipeline, track_store
from tf_ssl.video.source import videos
from tf_ssl.video.tracking import region_features

SETTINGS = mining.MiningSettings(width=96, frame_size=64, rate=4.0)
NAMES = ("a.mp4", "b.mp4", "c.mp4", "d\n\udcff.mp4")


pytestmark = pytest.mark.slow


@pytest.fixture(name="source", scope="module")
def _source(tmp_path_factory, square):
  """Four videos, one of them truncated."""
  folder = tmp_path_factory.mktemp("source")
  for name in NAMES:
    shutil.copy(square.video.path, folder / name)
  (folder / "c.mp4").write_bytes((folder / "c.mp4").read_bytes()[:500])
  return folder


def mine(source, folder, **kwargs):
  """Mines the videos and returns the summary."""
  store = track_store.TrackStore(str(folder))
  store.open({})
  mining_pipeline.run(
    store.remaining(videos.find_videos(str(source))),
    store,
    settings=SETTINGS,
    make_describe=region_features.Histograms,
    **kwargs,
  )
  return store.gather()


@pytest.fixture(name="alone", scope="module")
def _alone(source, tmp_path_factory):
  """The folder of tracks mined by one process."""
  folder = tmp_path_factory.mktemp("alone")
  summary = mine(source, folder, processes=1)
  assert summary["videos"] == 3 and list(summary["failed"]) == ["c.mp4"]
  assert summary["tracks"] >= 3
  return folder


def table(folder):
  return (folder / "tracks.csv").read_text()


def test_several_processes_give_the_tracks_of_one(
  source, alone, tmp_path, capfd
):
  summary = mine(source, tmp_path, processes=2)
  printed = capfd.readouterr().err
  assert "Tracking regions" in printed
  # What Beam's processes print when they import TensorFlow.
  assert "Unable to register" not in printed
  assert "GCSFileSystem" not in printed
  assert list(summary["failed"]) == ["c.mp4"]
  assert table(tmp_path) == table(alone)


def test_another_runner_gives_the_same_tracks(source, alone, tmp_path):
  """Beam's portable runner submits the job to a service by gRPC."""
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    port = listener.getsockname()[1]
  service = subprocess.Popen(
    [
      sys.executable,
      "-m",
      "apache_beam.runners.portability.local_job_service_main",
      f"--port={port}",
    ],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  try:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
      with socket.socket() as probe:
        if probe.connect_ex(("localhost", port)) == 0:
          break
      time.sleep(0.2)
    mine(
      source,
      tmp_path,
      runner="PortableRunner",
      runner_options=[
        f"--job_endpoint=localhost:{port}",
        "--environment_type=LOOPBACK",
      ],
    )
  finally:
    service.terminate()
    service.wait()
  assert table(tmp_path) == table(alone)


def test_a_full_disk_is_named_and_the_finished_videos_are_kept(
  source, alone, tmp_path, full_disk
):
  shards = sorted(p.stat().st_size for p in (alone / "shards").iterdir())
  with full_disk(shards[0] - 1):
    with pytest.raises(workdir.WriteError, match=f"{tmp_path}.*--output_dir"):
      mine(source, tmp_path, processes=1)
  assert not list((tmp_path / "shards").iterdir())
  mine(source, tmp_path, processes=1)
  assert table(tmp_path) == table(alone)


def test_a_killed_run_is_resumed_with_the_remaining_videos(
  source, alone, tmp_path, repository
):
  script = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from tf_ssl.video.mining import mining, mining_pipeline, track_store;"
    "from tf_ssl.video.source import videos;"
    "from tf_ssl.video.tracking import region_features;"
    "store = track_store.TrackStore(sys.argv[3]); store.open({});"
    "mining_pipeline.run(videos.find_videos(sys.argv[2]), store,"
    " settings=mining.MiningSettings(width=96, frame_size=64, rate=4.0),"
    " make_describe=region_features.Histograms, processes=2)"
  )
  work = subprocess.Popen(
    [sys.executable, "-c", script, str(repository), str(source), str(tmp_path)],
    stderr=subprocess.DEVNULL,
  )
  done = tmp_path / "videos"
  deadline = time.monotonic() + 120
  while time.monotonic() < deadline and work.poll() is None:
    if done.is_dir() and any(p.suffix == ".json" for p in done.iterdir()):
      break
    time.sleep(0.02)
  helpers = psutil.Process(work.pid).children(recursive=True)
  work.kill()  # SIGKILL
  work.wait()
  psutil.wait_procs(helpers, timeout=20)
  assert not any(helper.is_running() for helper in helpers)
  before = {p: p.stat().st_mtime_ns for p in done.glob("*.mp4-*.json")}
  kept = [p for p in before if "c.mp4" not in p.name]  # It is retried.
  mine(source, tmp_path, processes=1)
  assert table(tmp_path) == table(alone)
  assert all(p.stat().st_mtime_ns == before[p] for p in kept)


def test_without_videos_no_pipeline_starts(tmp_path, monkeypatch):
  started = []
  monkeypatch.setattr(mining_pipeline, "_run", started.append)
  store = track_store.TrackStore(str(tmp_path))
  mining_pipeline.run(
    [], store, settings=SETTINGS, make_describe=region_features.Histograms
  )
  assert not started and not any(tmp_path.iterdir())


@pytest.mark.parametrize(
  "options, message",
  [
    ({"runner": "Walker"}, "--runner=Walker"),
    ({"runner_options": ["--flnk_master=x"]}, "'--flnk_master=x'"),
  ],
)
def test_unknown_runners_and_options_are_refused(
  square, tmp_path, options, message
):
  store = track_store.TrackStore(str(tmp_path))
  with pytest.raises(errors.UsageError, match=message):
    mining_pipeline.run(
      [square.video],
      store,
      settings=SETTINGS,
      make_describe=region_features.Histograms,
      **options,
    )


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
