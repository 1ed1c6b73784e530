"""The page of results."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.experiment import experiment
from tf_ssl.experiment.engine import engine
from tf_ssl.experiment.results import page


def _text(toy):
  return (toy.folder / "out/RESULTS.md").read_text()


def test_the_page_has_numbers_verdicts_and_commands(toy):
  toy.conduct(command="python -m tools.run_experiment toy.gin")
  text = _text(toy)
  # 2 * (1 + seed) and 2 * (3 + seed); 12.706 * 2 / sqrt(2) / sqrt(2) = 12.7;
  # no percentage is below 0.
  assert "| one | 3.0 (0.0..15.7) |" in text
  assert "| two | 7.0 (0.0..19.7) |" in text
  row = (
    "| two > one | Found: s | **confirmed** | confirmed, p = 0 |"
    " 7.0 and 3.0, difference +4.0 (+4.0..+4.0, 2 seeds) |"
  )
  assert text.count(row) == 2  # In the summary and in the section.
  assert "| experiment | confirmed | wall-clock time |" in text
  assert "| [Toy](#toy) | 1 (1) |" in text and '<a id="toy"></a>' in text
  assert "ncomplete" not in text
  assert "    python -m tools.run_experiment toy.gin" in text
  assert toy.experiment().question in text
  assert "OUTPUT step:one/seed0/model.json one" in text
  assert str(toy.folder) not in text
  for name in ("toy_1.png", "orderings.png"):
    figure = Image.open(toy.folder / "out/results" / name)
    assert f"](results/{name})" in text and figure.size[0] == 900


def test_the_summary_comes_before_folded_details(toy):
  toy.conduct()
  text = _text(toy)
  assert text.index("orderings.png") < text.index("<details>")
  assert text.count("<details>") == text.count("</details>") == 4
  assert "\n\n\n" not in text
  lines = text.splitlines()
  for number, line in enumerate(lines):
    if line.startswith("|---|"):  # Tables have no empty lines.
      assert lines[number - 1].startswith("| ")
      assert lines[number + 1].startswith("| ")


def test_the_answers_open_the_page_and_their_sections(toy):
  toy.conduct(toy.experiment(answer="The second one. By four."))
  text = _text(toy)
  question = toy.experiment().question
  line = f"- **[{question}](#toy)** The second one. By four."
  assert text.index("orderings.png") < text.index(line)
  assert text.index(line) < text.index("| experiment | confirmed |")
  assert f"{question}\n\n**The second one. By four.**\n\n### Found" in text


def test_the_first_table_is_shown_and_the_others_are_folded(toy):
  tables = [
    experiment.Table(title=title, columns={"s": "look.score"})
    for title in ("First", "Second", "Third")
  ]
  toy.conduct(toy.experiment(tables=tables))
  text = _text(toy)
  section = text[text.index('<a id="toy">') :]
  fold = section.index("<details>\n<summary>More tables</summary>")
  places = [section.index(f"### {n}") for n in ("First", "Second", "Third")]
  assert places[0] < fold < places[1] < places[2]
  for number, place in enumerate(places, start=1):
    assert section.index(f"toy_{number}.png") > place
  assert section.count("| one | 3.0 (0.0..15.7) |") == 3


def test_intervals_of_other_units_are_not_cut(toy):
  table = experiment.Table(
    title="Found", columns={"s": "look.score"}, unit="points"
  )
  toy.conduct(toy.experiment(tables=[table]))
  assert "| one | 3.0 (-9.7..15.7) |" in _text(toy)


def test_the_page_is_written_from_finished_steps_without_a_run(toy):
  toy.conduct()
  toy.runs()
  text = _text(toy)
  (toy.folder / "out/RESULTS.md").unlink()
  toy.conduct()
  assert toy.runs() == [] and _text(toy) == text


def test_experiments_of_one_folder_share_a_page(toy):
  toy.conduct()
  folder = toy.folder / "out/another"
  folder.mkdir()
  content = json.loads((toy.folder / "out/toy/results.json").read_text())
  content["title"] = "Another"
  (folder / "results.json").write_text(json.dumps(content))
  toy.conduct()
  text = _text(toy)
  assert text.index("## Another") < text.index("## Toy")
  assert "| [Another](#another) | 1 (1) |" in text
  assert "| [Toy](#toy) | 1 (1) |" in text
  for damaged in ("{", "[]"):
    (folder / "results.json").write_text(damaged)
    with pytest.raises(errors.UsageError, match="another/results.json"):
      toy.conduct()


def test_results_of_another_format_are_listed_and_not_shown(toy):
  toy.conduct()
  file = toy.folder / "out/toy/results.json"
  content = json.loads(file.read_text())
  del content["format"], content["spans"]
  file.write_text(json.dumps(content))
  page.write(toy.root, f"{toy.root}/RESULTS.md")
  text = _text(toy)
  assert "## Toy" not in text and "another version" in text
  toy.runs()
  toy.conduct()
  assert toy.runs() == [] and "## Toy" in _text(toy)


def test_the_page_may_be_in_another_folder(toy):
  (toy.folder / "docs").mkdir()
  toy.conduct(results_file=str(toy.folder / "docs/RESULTS.md"))
  assert (toy.folder / "docs/results/toy_1.png").exists()
  assert "confirmed" in (toy.folder / "docs/RESULTS.md").read_text()
  with pytest.raises(errors.UsageError, match="runs.txt.*--results"):
    toy.conduct(results_file=str(toy.folder / "runs.txt/RESULTS.md"))


def test_the_time_of_shared_steps_is_counted_once(toy):
  toy.conduct()
  file = toy.folder / "out/toy/results.json"
  content = json.loads(file.read_text())
  # Two parallel steps, then a pause; one step belongs to both experiments.
  spans = {"a": [0, 3600], "b": [1800, 5400], "c": [9000, 12000]}
  (toy.folder / "out/other").mkdir()
  for name, of in (("toy", "abc"), ("other", "b")):
    content["spans"] = {key: spans[key] for key in of}
    (toy.folder / f"out/{name}/results.json").write_text(json.dumps(content))
  page.write(toy.root, f"{toy.root}/RESULTS.md")
  text = _text(toy)
  assert "| [Toy](#toy) | 1 (1) | 2 h 20 min |" in text
  assert "| [Toy](#other) | 1 (1) | 1 h 0 min |" in text
  everything = text[text.index("All experiments took") :].splitlines()[:2]
  assert "2 h 20 min" in everything[0] and "2 h 50 min" in everything[1]


def test_findings_come_after_the_first_table_with_their_orderings(toy):
  why = "Two is the larger number."
  toy.conduct(
    toy.experiment(
      orderings=[
        ("two", "<", "one", "look.score", why),
        ("one", ">=", "two", "look.score", why),
        ("one", ">", "two", "look.score"),
      ],
      findings=["Numbers were added to seeds."],
    )
  )
  text = _text(toy).replace(r"\<", "<")
  assert text.count("**reversed**") == 6 and "| [Toy](#toy) | 3 (3) |" in text
  # Once, with all the orderings that it explains.
  assert text.count(why) == 1
  line = f"- {why} *(two < one, Found: s; one >= two, Found: s)*\n"
  assert text.index(line) < text.index("Numbers were added to seeds.")
  assert text.index("Numbers were added to seeds.") > text.index("### Found")


def test_new_findings_and_titles_run_nothing_again(toy):
  toy.conduct()
  toy.runs()
  given = toy.experiment(
    title="Another title",
    findings=["f"],
    orderings=[("two", ">", "one", "look.score", "why")],
  )
  toy.conduct(given)
  assert toy.runs() == [] and "- why *(" in _text(toy)


def test_a_killed_experiment_is_incomplete(toy, monkeypatch):
  toy.conduct(only=["look/one/seed0"])

  def killed(*args, **settings):
    raise KeyboardInterrupt

  monkeypatch.setattr(engine, "run", killed)
  with pytest.raises(KeyboardInterrupt):
    toy.conduct()
  page.write(toy.root, f"{toy.root}/RESULTS.md")
  text = _text(toy)
  assert "| [Toy](#toy) (incomplete) | 1 (1) |" in text
  assert "of 8 runs, 2 are done, 0 failed and 6 did not run" in text
  assert "| one | 2.0 (1 of 2 seeds) |" in text and "| two | – |" in text
  assert "<details open>" in text and "| look | 1 of 4 |" in text
  assert "| two | 0 of 2 | – |" in text


def test_a_single_seed_is_not_significant_and_has_no_interval(toy):
  toy.conduct(toy.experiment(seeds=[0]))
  text = _text(toy)
  assert "| one | 2.0 |" in text
  assert (
    "**not significant** | – | 6.0 and 2.0, difference +4.0 (1 seed)" in text
  )


def test_verdicts_are_corrected_for_the_number_of_orderings(toy):
  code = """
import json, os, sys
output, model, name = sys.argv[1:]
os.makedirs(output, exist_ok=True)
number = json.load(open(model))
# Differences of 2.3, 1.7 and 2.
noise = [0.3, -0.3, 0.0][round(number) % 10] if number > 50 else 0.0
with open(os.path.join(output, "found.json"), "w") as file:
  json.dump({"score": number // 10 + noise}, file)
"""
  given = toy.experiment(
    seeds=[0, 1, 2],
    steps={
      "one": toy.model(40),
      "two": toy.model(60),
      "look": toy.look(code),
    },
    orderings=[("two", ">", "one", "look.score")] * 6,
    tables=[],
  )
  toy.conduct(given)
  text = _text(toy)
  # t = 2 / (0.3 / sqrt(3)) = 11.547 with 2 degrees of freedom: p = 0.00742.
  assert text.count("**confirmed** | confirmed, p = 0.044 |") == 12
  toy.conduct(dataclasses.replace(given, orderings=[*given.orderings] * 2))
  text = _text(toy)
  assert text.count("**confirmed** | not significant, p = 0.089 |") == 24
  assert "| [Toy](#toy) | 12 (0) | 0 (12) |" in text


def test_orderings_of_encoders_that_did_not_learn_are_not_reported(toy):
  given = toy.experiment(
    steps={
      "untrained": toy.model(2),
      "one": toy.model(1),
      "two": toy.model(3),
      "four": toy.model(4),
      "look": toy.look(),
    },
    orderings=[
      ("two", ">", "one", "look.score"),
      ("four", ">", "two", "look.score"),
      ("two", ">", "untrained", "look.score"),
    ],
    learned=("look.score", "untrained"),
    controls=[
      ("two", ">", "untrained", "look.score"),
      ("one", "=", "two", "look.score"),
      ("two", "=", "two", "look.score"),
    ],
  )
  toy.conduct(given)
  text = _text(toy)
  assert "| experiment | confirmed | not learned | wall-clock time |" in text
  assert "| [Toy](#toy) | 2 (2) | 1 (1) |" in text
  row = "| two > one | Found: s | **not learned** | – | did not learn: one |"
  assert text.count(row) == 1  # Not among the significant differences.
  assert "| one | -2.0 (-2.0..-2.0) | **no** |" in text
  assert "| four | +4.0 (+4.0..+4.0) | yes |" in text
  assert "| untrained | " not in text[: text.index("### Found")]
  assert "| two > untrained | Found: s | **passed** | 7.0 and 5.0" in text
  assert "| one = two | Found: s | **failed** |" in text
  assert "| two = two | Found: s | **not measured** |" in text
  # With a single seed nobody knows.
  toy.conduct(dataclasses.replace(given, seeds=[0]))
  text = _text(toy)
  assert "| two | +2.0 | too few seeds |" in text
  assert "| [Toy](#toy) | 3 (3) |" in text and "**not measured**" in text


def test_a_difference_of_zero_has_no_sign():
  difference = {"mean": -0.01, "low": -0.04, "high": 0.02, "count": 3}
  ordering = {"left_mean": 7.7, "right_mean": 7.71, "difference": difference}
  assert page.sentence(ordering) == (
    "7.7 and 7.7, difference 0.0 (0.0..0.0, 3 seeds)"
  )


def test_skipped_steps_are_listed_by_reason(toy):
  given = toy.experiment()
  photos = toy.model(1)
  photos = dataclasses.replace(photos, words=[*photos.words, "data:x"])
  given = dataclasses.replace(given, steps={**given.steps, "photos": photos})
  toy.conduct(given)
  text = _text(toy)
  [line] = [line for line in text.splitlines() if line.startswith("Skipped")]
  assert "DATA" in line and line.endswith(
    ": look/photos/seed0, look/photos/seed1, photos/seed0, photos/seed1."
  )
  assert "| photos | – |" in text and "ncomplete" not in text


def test_texts_are_never_markup():
  content = {
    "name": "n",
    "title": "a|b",
    "question": "why]?",
    "answer": "So.",
    "command": "c",
    "seeds": [0],
    "findings": [],
    "tables": [],
    "orderings": [],
    "steps": [
      {
        "step": "s",
        "title": "s",
        "command": "x | `y`",
        "runs": 1,
        "done": 0,
        "median_seconds": 0.0,
      }
    ],
    "spans": {},
    "failed": {"s": "<b>bad"},
    "not_run": [],
    "skipped": {},
    "pictures": [],
  }
  text = page.markdown([content])
  assert r"## a\|b" in text
  assert r"| `` x \| `y` `` |" in text
  assert r"\<b>bad" in text
  assert r"- **[why\]?](#n)** So." in text


@pytest.mark.parametrize(
  ("spans", "clock"),
  [
    ([], 0.0),
    ([(10, 13)], 3.0),
    ([(0, 4), (1, 2)], 4.0),  # One within the other.
    ([(5, 9), (0, 6)], 9.0),  # In any order.
    ([(0, 1), (1, 2), (7, 9)], 4.0),  # Without the pause.
  ],
)
def test_wall_clock_time_counts_parallel_steps_once(spans, clock):
  assert page.wall_clock(spans) == clock
  assert page.total_compute(spans) == sum(end - begin for begin, end in spans)


def test_wall_clock_time_of_random_spans_is_the_time_they_cover():
  rng = np.random.default_rng(0)
  begins = rng.integers(0, 300, 40)
  ends = begins + rng.integers(0, 20, 40)
  covered = set()
  for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
    covered.update(range(begin, end))
  spans = list(zip(begins, ends, strict=True))
  assert page.wall_clock(spans) == len(covered)


@pytest.mark.parametrize(
  ("seconds", "text"),
  [
    (0.4, "0 s"),
    (59.4, "59 s"),
    (59.6, "1 min"),
    (3569, "59 min"),
    (3571, "1 h 0 min"),
    (7500, "2 h 5 min"),
  ],
)
def test_durations_have_units(seconds, text):
  assert page.duration(seconds) == text


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
