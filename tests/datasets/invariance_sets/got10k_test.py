import sys

import numpy as np
import pytest

from tf_ssl import errors
from tf_ssl.datasets.invariance_sets import got10k


def _video(root, name, cover, *, absent=(), boxes=None, label="sea lion"):
  folder = root / name
  folder.mkdir(parents=True)
  boxes = boxes or [f"{i}.0,2.6,10.0,20.0" for i in range(len(cover))]
  (folder / "groundtruth.txt").write_text("\n".join(boxes) + "\n")
  (folder / "cover.label").write_text("".join(f"{c}\n" for c in cover))
  marks = ["1\n" if i in absent else "0\n" for i in range(len(cover))]
  (folder / "absence.label").write_text("".join(marks))
  (folder / "meta_info.ini").write_text(
    f"[METAINFO]\nurl: https://a.b/c\nobject_class: {label}\nmotion: run\n"
  )
  for i in range(len(cover)):
    (folder / f"{i + 1:08d}.jpg").write_bytes(b"x")
  return folder


def _chosen(found, *, video):
  """The chosen frames, from 0, by level of cover."""
  return {
    int(level): int(found.images.name(i)[-12:-4]) - 1
    for i, level in enumerate(found.factor)
    if found.images.name(i).startswith(video)
  }


A, B, C = (f"GOT-10k_Train_00000{i}" for i in (1, 2, 3))


def test_a_set_has_one_frame_of_each_level_with_its_box(tmp_path):
  cover = [8, 8, 3, 5, 3, 8, 4]
  _video(tmp_path, A, cover)
  _video(tmp_path, B, [0, 4, 4], label="dog")
  _video(tmp_path, C, [5, 8, 6])
  (tmp_path / "list.txt").write_text(f"{A}\n{B}\n{C}\n")
  found = got10k.occlusion(str(tmp_path))
  assert found.set_names == (A, B) and found.class_names == ("sea lion", "dog")
  np.testing.assert_array_equal(found.sets, [0, 0, 0, 0, 1, 1])
  np.testing.assert_array_equal(found.classes, found.sets)
  np.testing.assert_array_equal(found.factor, [3, 4, 5, 8, 0, 4])
  for level, frame in _chosen(found, video=A).items():
    assert cover[frame] == level
  frame = _chosen(found, video=A)[8]
  assert found.images.boxes[3].tolist() == [frame, 3, frame + 10, 23]
  assert found.cropped and found.image_size == 128
  assert found.skipped == {"cover varies by less than 4 levels": (C,)}


def test_frames_are_random_and_determined_by_the_seed(tmp_path):
  cover = [8] * 50 + [2] * 50
  _video(tmp_path / "one", A, cover)
  _video(tmp_path / "two", A, cover)
  _video(tmp_path / "two", B, cover)
  one = [
    _chosen(got10k.occlusion(str(tmp_path / "one"), seed=seed), video=A)
    for seed in range(6)
  ]
  two = got10k.occlusion(str(tmp_path / "two"), seed=0)
  # The frames of a video do not depend on the other videos.
  assert _chosen(two, video=A) == one[0] != _chosen(two, video=B)
  assert len({tuple(frames.items()) for frames in one}) == 6
  assert all(f[8] < 50 <= f[2] for f in one)


def test_frames_marked_as_absent_are_used_by_default(tmp_path):
  _video(tmp_path, A, [0, 2, 6, 8], absent=[0])
  found = got10k.occlusion(str(tmp_path))
  np.testing.assert_array_equal(found.factor, [0, 2, 6, 8])
  found = got10k.occlusion(str(tmp_path), keep_absent=False)
  np.testing.assert_array_equal(found.factor, [2, 6, 8])


def test_frames_with_an_empty_box_are_never_used(tmp_path):
  boxes = ["0,0,0,0", "1,1,5,5", "nan,nan,nan,nan", "-3,-2,9,9", "5,5,5,0"]
  _video(tmp_path, A, [8, 8, 2, 2, 5], boxes=boxes)
  for seed in range(5):
    found = got10k.occlusion(str(tmp_path), seed=seed)
    assert _chosen(found, video=A) == {2: 3, 8: 1}
    assert found.images.boxes.tolist() == [[0, 0, 6, 7], [1, 1, 6, 6]]
    assert found.skipped == {"no box at a level of cover": (f"{A}, cover 5",)}


@pytest.mark.parametrize(
  ("file", "text", "reason"),
  [
    ("cover.label", None, "cover.label cannot be read"),
    ("cover.label", "1\n8\n", "cover.label and groundtruth.txt differ"),
    ("cover.label", "1\nx\n8\n", "a line of cover.label is not 0 to 8"),
    ("cover.label", "1\n2\n9\n", "a line of cover.label is not 0 to 8"),
    ("cover.label", "", "cover.label and groundtruth.txt differ"),
    ("groundtruth.txt", None, "groundtruth.txt cannot be read"),
    ("groundtruth.txt", "1,2,3\n", "a line of groundtruth.txt is not x,y,w,h"),
    ("groundtruth.txt", "", "cover.label and groundtruth.txt differ"),
    ("meta_info.ini", None, "meta_info.ini cannot be read"),
    ("meta_info.ini", "[METAINFO]\n", "no object_class in meta_info.ini"),
    ("00000001.jpg", None, "no such image"),
  ],
)
def test_a_damaged_video_is_skipped_and_named(tmp_path, file, text, reason):
  _video(tmp_path, A, [1, 5, 8])
  damaged = _video(tmp_path, B, [1, 5, 8]) / file
  damaged.unlink() if text is None else damaged.write_text(text)
  found = got10k.occlusion(str(tmp_path))
  ((why, names),) = found.skipped.items()
  assert why.startswith(reason) and names[0].startswith(B) and len(names) == 1


def test_the_error_for_missing_data_says_what_to_download(tmp_path):
  with pytest.raises(
    errors.UsageError,
    match="GOT-10k: no images in .*GOT-10k_Train_000001/.*"
    "http://got-10k.aitestunion.com/downloads.*nearly 70 GB.*change GOT10K$",
  ):
    got10k.occlusion(str(tmp_path))


def test_the_error_for_no_usable_video_gives_the_reasons(tmp_path):
  _video(tmp_path, A, [7, 8])
  with pytest.raises(errors.UsageError, match=r"\(1 skipped: cover varies"):
    got10k.occlusion(str(tmp_path))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
