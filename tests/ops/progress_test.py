"""Progress bars: what they count and how often they write to a log."""

import io
import sys

import pytest

from tf_ssl.ops import progress


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def test_a_bar_yields_its_items_and_ends_at_their_number(monkeypatch):
  monkeypatch.setattr(sys, "stderr", io.StringIO())
  assert list(progress.bar("Reading", range(1000), unit="image")) == list(
    range(1000)
  )
  text = sys.stderr.getvalue()
  assert "Reading" in text and "1000/1000" in text and "image" in text
  assert text.count("\r") <= 3  # Start and end: a log grows by minutes only.


def test_a_bar_resumes_where_an_earlier_process_ended(monkeypatch):
  monkeypatch.setattr(sys, "stderr", io.StringIO())
  with progress.bar("Reading", total=10, done=4) as bar:
    bar.update(6)
  assert "4/10" in sys.stderr.getvalue()
  assert "10/10" in sys.stderr.getvalue()


@pytest.mark.parametrize("stream, seconds", [(_Terminal, 1), (io.StringIO, 30)])
def test_a_log_file_is_updated_less_often_than_a_terminal(
  monkeypatch, stream, seconds
):
  monkeypatch.setattr(sys, "stderr", stream())
  with progress.bar("Reading", total=1) as bar:
    assert (bar.mininterval >= seconds) == (seconds == 30)


def test_lines_are_written_to_stderr(monkeypatch):
  monkeypatch.setattr(sys, "stderr", io.StringIO())
  progress.write("a line")
  assert sys.stderr.getvalue() == "a line\n"


def test_the_remaining_time_weighs_items_by_their_work(monkeypatch):
  monkeypatch.setattr(sys, "stderr", io.StringIO())
  # Items 0..9 take 1, all later ones 4: 4 of 74 done, 2 by an earlier process.
  with progress.bar(
    "Reading",
    total=26,
    done=2,
    work=lambda n: min(n, 10) + 4 * max(n - 10, 0),
  ) as bar:
    assert bar.format_dict["left"] == "?"
    bar.update(2)
    bar.start_t = bar._time() - 10.0
    assert bar.format_dict["left"] == "05:50"  # 10 s · (74 - 4) / (4 - 2)
    assert "<05:50" in str(bar)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
