"""One page on the tracks of a folder of videos."""

import collections
import pathlib
import statistics
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_ssl.ops import jpeg, names, workdir
from tf_ssl.reporting import charts, pages
from tf_ssl.video.mining import track_preview, track_records, track_store

_TEMPLATE = "video/mining/report.html.j2"
_SHOWN = 8  # Best tracks, and worst ones.
_PER_VIDEO = 2  # Of them from one video, so that the page shows several.
_MAX_ROWS = 200  # Videos in the table.
_BINS = 20


def write(store: track_store.TrackStore) -> pathlib.Path:
  """Writes report.html into the folder of the store; returns its path.

  Raises:
    ValueError: a TFRecord file has other records.
    OSError: a file cannot be read, or the folder cannot be written.
  """
  path = store.folder / track_store.REPORT_FILE
  workdir.write_text(path, page(store.mined()))
  return path


def page(mined: Sequence[track_store.Mined]) -> str:
  """Returns the page as HTML.

  Args:
    mined: videos in the order of the table.
  """
  known = [one for one in mined if one.seconds is not None]
  facts = [fact for one in known for fact in one.tracks]
  ranked = sorted(
    ((fact.score, one, fact.track) for one in known for fact in one.tracks),
    key=lambda each: (-each[0], each[1].video, each[2]),
  )
  best = _spread(ranked)
  worst = _spread(each for each in reversed(ranked) if each not in best)
  ends = collections.Counter(fact.end or "not known" for fact in facts)
  return pages.render(
    _TEMPLATE,
    title="Region tracks",
    videos=len(known),
    older=len(mined) - len(known),
    tracks=len(facts),
    without=sum(not one.tracks for one in known),
    minutes=sum(one.seconds for one in known) / 60,
    per_minute=_per_minute(known),
    histograms=_histograms(facts) if facts else None,
    ends=[
      (end, count, count / len(facts)) for end, count in ends.most_common()
    ],
    groups=[
      ("The best tracks", _pictures(best)),
      ("The worst tracks", _pictures(worst)),
    ],
    rows=[_row(one) for one in known[:_MAX_ROWS]],
    more=max(len(known) - _MAX_ROWS, 0),
  )


def _per_minute(mined) -> float | None:
  seconds = sum(one.seconds for one in mined)
  tracks = sum(len(one.tracks) for one in mined)
  return 60 * tracks / seconds if seconds else None


def _row(one):
  """Returns the columns of one video in the table."""
  columns = [
    [getattr(fact, name) for fact in one.tracks]
    for name in ("seconds", "motion", "score")
  ]
  return (
    names.escaped(one.video),
    one.seconds / 60,
    len(one.tracks),
    _per_minute([one]),
    *(statistics.median(column) if column else None for column in columns),
  )


def _spread(ranked):
  """Returns the first tracks, at most two of one video."""
  taken, chosen = collections.Counter(), []
  for each in ranked:
    if len(chosen) == _SHOWN:
      break
    if taken[each[1].video] < _PER_VIDEO:
      taken[each[1].video] += 1
      chosen.append(each)
  return chosen


def _histograms(facts) -> str:
  """Returns a picture of the lengths, motions and scores, as an address."""
  with charts.figure(10, 2.6) as drawn:
    axes = drawn.subplots(1, 3)
    for ax, name, label in zip(
      axes,
      ("seconds", "motion", "score"),
      ("length, seconds", "motion, sides of the box per second", "score"),
      strict=True,
    ):
      ax.hist(
        [getattr(fact, name) for fact in facts],
        bins=_BINS,
        color=charts.color(0),
      )
      ax.set_xlabel(label)
      charts.clean(ax, grid="y")
    axes[0].set_ylabel("tracks")
    return charts.data_uri(charts.png(drawn, dpi=100))


def _pictures(chosen):
  """Returns (video, caption, picture as an address) of each track."""
  shown = []
  for _, one, track in chosen:
    clip = _clip_of(one.shard, track)
    if clip is not None:
      strip = np.ascontiguousarray(track_preview.strip(clip, track))
      shown.append(
        (
          names.escaped(one.video),
          track_preview.caption(clip, track),
          charts.data_uri(jpeg.encode(strip), "image/jpeg"),
        )
      )
  return shown


def _clip_of(shard: pathlib.Path, track: int):
  """Returns the clip with this track; None if the file has lost it."""
  try:
    for record in tf.data.TFRecordDataset(str(shard)):
      clip = track_records.parse(record.numpy())
      if track in clip.scores:
        return clip
  except tf.errors.OpError as error:
    raise OSError(f"{shard}: {error.message}") from error
  return None
