"""What a stopped measurement goes on from."""

import os
import sys

import pytest

from tf_ssl import errors
from tf_ssl.evaluation import kept_results


def _open(folder, said=None, **key):
  return kept_results.KeptResults(
    str(folder), key, (said if said is not None else []).append
  )


def test_a_part_that_is_done_is_there_the_next_time(tmp_path):
  kept = _open(tmp_path / "a", steps=(3, 4))
  assert kept.get("one") is None
  os.makedirs(kept.working("one"))
  kept.put("one", {"score": 0.5, "of": [1, None]})
  said = []
  again = _open(tmp_path / "a", said, steps=[3, 4])
  assert again.get("one") == {"score": 0.5, "of": [1, None]}
  assert not os.path.exists(kept.working("one"))
  assert not said


def test_other_settings_start_anew_and_say_which(tmp_path):
  kept = _open(tmp_path / "a", steps=3, model="x")
  kept.put("one", 1)
  said = []
  again = _open(tmp_path / "a", said, steps=4, model="x")
  assert again.get("one") is None
  assert len(said) == 1 and "different: steps" in said[0]


def test_a_damaged_part_is_done_again(tmp_path):
  kept = _open(tmp_path / "a", steps=3)
  kept.put("one", 1)
  (tmp_path / "a" / "one.json").write_text("{")
  assert _open(tmp_path / "a", steps=3).get("one") is None


def test_what_others_wrote_is_left_alone(tmp_path):
  (tmp_path / "precious").write_text("kept")
  with pytest.raises(
    errors.UsageError, match="files that this measurement did"
  ):
    _open(tmp_path, steps=3)
  assert (tmp_path / "precious").read_text() == "kept"
  with pytest.raises(errors.UsageError, match="cannot be kept in .*precious"):
    _open(tmp_path / "precious" / "a", steps=3)


def test_two_processes_do_not_share_it(tmp_path):
  kept = _open(tmp_path / "a", steps=3)
  with kept.locked():
    with pytest.raises(errors.UsageError, match="another process"):
      with _open(tmp_path / "a", steps=3).locked():
        pass


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
