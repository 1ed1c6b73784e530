"""Mining a source of videos into a folder, with a pipeline of one thread."""

import errno
import json
import os
import shutil
import sys

import pytest

from tf_ssl import errors
from tf_ssl.video.decoding import isolated
from tf_ssl.video.mining import mine_videos, mining, track_store
from tf_ssl.video.source import videos

_SETTINGS = mining.MiningSettings(width=64, frame_size=48, rate=4.0)


@pytest.fixture(name="source")
def fixture_source(tmp_path, square):
  """Two videos, and a file that is not a video."""
  folder = tmp_path / "in"
  folder.mkdir()
  for name in ("a.mp4", "b.mp4"):
    shutil.copy(square.video.path, folder / name)
  (folder / "text.mp4").write_text("Dear")
  return folder


class _Pipeline:
  """Mines in this process, in place of Beam.

  Attributes:
    mined: names of the videos, run by run.
    stop_after: number of videos after which a run is interrupted.
  """

  def __init__(self, decoder):
    self._decoder = decoder
    self.mined = []
    self.stop_after = None

  def run(self, found, store, *, settings, make_describe, **ignored):
    del ignored
    self.mined.append([])
    for video in found:
      if len(self.mined[-1]) == self.stop_after:
        raise KeyboardInterrupt
      self.mined[-1].append(video.name)
      clips = mining.mine(
        video, self._decoder, settings=settings, describe=make_describe()
      )
      store.add(video, clips, notes=lambda: self._decoder.notes)


@pytest.fixture(name="decoder", scope="module")
def fixture_decoder():
  decoder = isolated.Decoder(num_threads=1)
  yield decoder
  decoder.close()


@pytest.fixture(name="pipeline")
def fixture_pipeline(monkeypatch, decoder):
  pipeline = _Pipeline(decoder)
  monkeypatch.setattr(mine_videos.mining_pipeline, "run", pipeline.run)
  return pipeline


def _mine(source, folder, **settings):
  said = []
  summary = mine_videos.mine_videos(
    str(source),
    str(folder),
    settings=_SETTINGS,
    say=said.append,
    **settings,
  )
  return summary, said


def test_all_videos_are_mined_and_summed_up(source, tmp_path, pipeline):
  out = tmp_path / "out"
  summary, said = _mine(source, out, preview=1)
  assert pipeline.mined == [["a.mp4", "b.mp4", "text.mp4"]]
  assert json.loads((out / "summary.json").read_text()) == summary
  assert summary["videos"] == 2 and summary["tracks"] >= 2
  assert list(summary["failed"]) == ["text.mp4"]
  assert any("text.mp4" in line for line in said)
  assert any(
    line.startswith(f"{summary['tracks']} tracks in 2 videos") for line in said
  )
  drawn = {path.name[:5] for path in (out / "previews").iterdir()}
  assert drawn == {"a.mp4"}
  page = (out / "report.html").read_text()
  assert f"{summary['tracks']} tracks in 2 videos" in page
  assert any(str(out / "report.html") in line for line in said)
  # The last line is a command for these tracks.
  assert f'TRACKS="{out}"' in said[-1]
  assert "SAME_VIDEO_IN_BATCH=True" in said[-1]  # 2 videos are no batch.


def test_the_config_of_the_last_line_has_the_batch_size_that_it_assumes(
  repository, source, tmp_path, pipeline, monkeypatch
):
  config = (repository / mine_videos.CONFIG).read_text()
  assert 'include "gin_configs/base/moco_v2_folder.gin"' in config
  base = (repository / "gin_configs/base/moco_v2_folder.gin").read_text()
  assert f"\nBATCH_SIZE = {mine_videos.CONFIG_BATCH}\n" in base
  monkeypatch.setattr(mine_videos, "CONFIG_BATCH", 2)
  _, said = _mine(source, tmp_path / "out")
  assert "SAME_VIDEO_IN_BATCH" not in said[-1]


def test_settings_are_stored_flat_under_the_names_of_existing_folders(
  source, tmp_path, pipeline
):
  del pipeline
  _mine(source, tmp_path / "out", features="histograms")
  text = (tmp_path / "out" / "settings.json").read_text()
  stored = json.loads(text)
  stored = stored.get("settings", stored)
  assert stored["features"] == "histograms" and stored["rate"] == 4.0
  assert stored["stretch"] == _SETTINGS.tracking.side_shift
  assert not {"tracking", "side_shift"} & set(stored)


def test_a_second_run_mines_only_what_failed(source, tmp_path, pipeline):
  first, _ = _mine(source, tmp_path / "out")
  second, said = _mine(source, tmp_path / "out")
  assert pipeline.mined[1] == ["text.mp4"]
  assert said[0] == "2 of 3 videos are done"
  assert second == first
  assert not (tmp_path / "out" / "previews").exists()
  (tmp_path / "out" / "report.html").unlink()
  _mine(source, tmp_path / "out", overwrite=True)
  assert pipeline.mined[2] == pipeline.mined[0]


def test_an_interrupted_run_says_how_far_it_came_and_is_resumed(
  source, tmp_path, pipeline
):
  pipeline.stop_after = 1
  said = []
  with pytest.raises(KeyboardInterrupt):
    mine_videos.mine_videos(
      str(source),
      str(tmp_path / "out"),
      settings=_SETTINGS,
      say=said.append,
    )
  assert "1 of 3 videos are done" in said[-1]
  assert not (tmp_path / "out" / "summary.json").exists()
  pipeline.stop_after = None
  summary, _ = _mine(source, tmp_path / "out")
  assert pipeline.mined == [["a.mp4"], ["b.mp4", "text.mp4"]]
  assert summary["videos"] == 2


def test_a_full_disk_at_the_end_keeps_the_videos(
  source, tmp_path, pipeline, monkeypatch
):
  out = tmp_path / "out"
  with monkeypatch.context() as patch:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    patch.setattr(
      track_store.TrackStore,
      "gather",
      lambda self: (_ for _ in ()).throw(full),
    )
    with pytest.raises(errors.UsageError, match=f"{out}.*--output_dir"):
      _mine(source, out)
  summary, _ = _mine(source, out)
  assert pipeline.mined[1] == ["text.mp4"] and summary["videos"] == 2


@pytest.mark.parametrize("entry", ["", "{", "[]", "{}"])
def test_a_video_whose_entry_is_damaged_is_mined_again(
  source, tmp_path, pipeline, entry
):
  out = tmp_path / "out"
  summary, _ = _mine(source, out)
  (path,) = (out / "videos").glob("a.mp4-*.json")
  path.write_text(entry)
  assert _mine(source, out)[0] == summary
  assert pipeline.mined[1] == ["a.mp4", "text.mp4"]


def test_a_source_without_a_readable_video_is_an_error_with_the_reasons(
  source, tmp_path, pipeline
):
  del pipeline
  for name in ("a.mp4", "b.mp4"):
    (source / name).write_text("Dear")
  out = tmp_path / "out"
  with pytest.raises(errors.UsageError, match="none of 3 .*summary.json"):
    _mine(source, out)
  summary = json.loads((out / "summary.json").read_text())
  assert list(summary["failed"]) == ["a.mp4", "b.mp4", "text.mp4"]


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"settings": _SETTINGS._replace(rate=0.0)}, "rate=0"),
    ({"runner": "NoRunner"}, "--runner=NoRunner"),
    ({"source": "nowhere"}, "nowhere"),
  ],
)
def test_bad_arguments_are_refused_before_anything_is_written(
  source, tmp_path, pipeline, change, message
):
  arguments = {"source": str(source), "settings": _SETTINGS, **change}
  with pytest.raises(errors.UsageError, match=message):
    mine_videos.mine_videos(output_dir=str(tmp_path / "out"), **arguments)
  assert not (tmp_path / "out").exists() and not pipeline.mined


def test_a_folder_in_use_is_refused(source, tmp_path, pipeline):
  _mine(source, tmp_path / "out")
  with track_store.TrackStore(str(tmp_path / "out")).locked():
    with pytest.raises(errors.UsageError, match="out"):
      _mine(source, tmp_path / "out")
  assert len(pipeline.mined) == 1
  assert videos.find_videos(str(source))  # The source is untouched.


def test_short_and_damaged_videos_are_named(source, tmp_path, pipeline, clips):
  del pipeline
  clips.write(source / "one.mp4", count=1)
  clips.write(source / "bare.h264", count=20)
  summary, said = _mine(source, tmp_path / "out")
  assert set(summary["notes"]) == {"one.mp4", "bare.h264"}
  assert any(line.startswith("one.mp4: too short") for line in said)
  assert any("bare.h264: " in line and "a guess" in line for line in said)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
