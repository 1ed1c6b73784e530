"""Tests of tf_ssl.video.mining.track_report."""

import base64
import re
import sys

import numpy as np
import pytest

from tf_ssl.ops import jpeg
from tf_ssl.video.mining import track_records, track_report, track_store
from tf_ssl.video.source import videos

FRAMES = 9  # Two seconds.


def clip(name, scores, ends):
  """Tracks of squares that differ in brightness by 20, the first is black."""
  count = len(scores)
  image = np.zeros([40, 40 * max(count, 1), 3], np.uint8)
  for track in range(count):
    image[:, 40 * track : 40 * (track + 1)] = 20 * track
  boxes = [[0, t / count, 1, (t + 1) / count] for t in range(count)]
  frames = [
    track_records.TrackedFrame(
      jpeg.encode(image),
      number,
      number / 4,
      np.arange(count),
      np.array(boxes, np.float32),
    )
    for number in range(FRAMES)
  ]
  return track_records.TrackedClip(
    name, 4.0, (40, 40 * count), 40, 40 * count, frames,
    dict(enumerate(scores)), ends,
  )  # fmt: skip


@pytest.fixture(name="store")
def fixture_store(tmp_path):
  store = track_store.TrackStore(str(tmp_path / "out"))
  store.open({})

  def add(name, *clips):
    (tmp_path / name).write_bytes(name.encode())
    store.add(videos.Video(str(tmp_path / name), name), clips)

  many = [0.9 - k / 100 for k in range(10)]
  add("<a>.mp4", clip("<a>.mp4", many, ["cut"] * 9 + ["no region near it"]))
  add("b.mp4", clip("b.mp4", [0.5, 0.3], ["cut", "leaves the image"]))
  add("c.mp4", clip("c.mp4", [], []))
  return store


def test_the_page_counts_tracks_per_minute_and_their_ends(store):
  text = " ".join(track_report.write(store).read_text().split())
  # Three videos of two seconds.
  assert "12 tracks in 3 videos of 0.1 minutes together, 120.0 tracks" in text
  assert "1 videos have no track" in text
  for end, count, share in (
    ("cut", 10, 83),
    ("no region near it", 1, 8),
    ("leaves the image", 1, 8),
  ):
    row = f'<td>{end}</td><td class="n">{count}</td> <td class="n">{share} %'
    assert row in text
  # Minutes, tracks, per minute, length, motion and score.
  cells = ["b\\.mp4", "0.03", "2", "60.0", "2.0", "0.00", "0.40"]
  assert re.search(r"</td> ?<td class=.n.>".join(cells) + "</td></tr>", text)
  assert "&lt;a&gt;.mp4" in text and "<a>.mp4" not in text
  assert re.search(r"c\.mp4<.*0\.0<.*–<.*–<.*–<", text)


def test_the_best_and_the_worst_come_from_several_videos(store):
  text = track_report.write(store).read_text()
  best, worst = re.split("The best tracks|The worst tracks", text)[1:]
  captions = [
    re.findall(r"<figcaption>(.*?), (track \d+: score [\d.]+)", part)
    for part in (best, worst)
  ]
  assert captions == [
    [
      ("&lt;a&gt;.mp4", "track 0: score 0.90"),
      ("&lt;a&gt;.mp4", "track 1: score 0.89"),
      ("b.mp4", "track 0: score 0.50"),
      ("b.mp4", "track 1: score 0.30"),
    ],
    [
      ("&lt;a&gt;.mp4", "track 9: score 0.81"),
      ("&lt;a&gt;.mp4", "track 8: score 0.82"),
    ],
  ]
  assert "end: leaves the image" in best
  # The pictures are those of the tracks: 0 is black, 9 has brightness 180.
  for part, value in ((best, 0), (worst, 180)):
    data = re.search(r"data:image/jpeg;base64,([^\"]+)", part)[1]
    picture = jpeg.decode(base64.b64decode(data))
    assert abs(picture[40:56, 136:152].astype(int) - value).max() < 12


def test_videos_of_an_earlier_version_are_counted_and_left_out(store):
  mined = store.mined()
  mined[0] = mined[0]._replace(seconds=None, tracks=[])
  text = track_report.page(mined)
  assert "1 videos were mined by an earlier version" in text
  assert "2 tracks in 2 videos" in text and "&lt;a&gt;" not in text


def test_a_folder_without_tracks_has_a_page(store):
  text = track_report.page(store.mined()[2:])
  assert "0 tracks in 1 videos" in text and "Why tracks end" not in text
  assert "<img" not in text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
