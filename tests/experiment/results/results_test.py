"""From outputs to the page of results."""

import dataclasses
import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.experiment import experiment, plan, steps
from tf_ssl.experiment.engine import engine
from tf_ssl.experiment.results import charts, results
from tf_ssl.experiment.results import page as results_page


def _page(toy):
  return (toy.folder / "out/RESULTS.md").read_text()


def test_the_page_has_the_numbers_the_verdict_and_the_command(toy):
  toy.conduct(command="python -m tools.run_experiment toy.gin")
  page = _page(toy)
  # 2 * (1 + seed) and 2 * (3 + seed); 12.706 * 2 / sqrt(2) / sqrt(2) = 12.7;
  # no percentage is below 0
  assert "| one | 3.0 (0.0..15.7) |" in page
  assert "| two | 7.0 (0.0..19.7) |" in page
  assert (
    "| two > one | Found: s | **shown** |"
    " 7.0 and 3.0, difference +4.0 (+4.0..+4.0, 2 seeds) |" in page
  )
  assert "| experiment | shown | took |" in page
  assert "| [Toy](#toy) | 1 |" in page and '<a id="toy"></a>' in page
  assert "Not whole" not in page
  assert "    python -m tools.run_experiment toy.gin" in page
  assert "Which is more?" in page
  assert "OUTPUT step:one/seed0/model.json one" in page
  assert str(toy.folder) not in page
  figure = Image.open(toy.folder / "out/results/toy_1.png")
  assert "![Found](results/toy_1.png)" in page and figure.size[0] == 900


def test_of_other_units_intervals_end_nowhere(toy):
  table = experiment.Table(
    title="Found", columns={"s": "look.score"}, unit="points"
  )
  toy.conduct(toy.experiment(tables=[table]))
  assert "| one | 3.0 (-9.7..15.7) |" in _page(toy)


def test_the_page_is_made_again_from_the_cache_without_a_run(toy):
  toy.conduct()
  toy.runs()
  page = _page(toy)
  (toy.folder / "out/RESULTS.md").unlink()
  toy.conduct()
  assert toy.runs() == [] and _page(toy) == page


def test_the_order_in_which_steps_ended_does_not_matter(toy):
  given = toy.experiment()
  made = plan.make(
    given, root=toy.root, parse=lambda file, _: file, tool_command=list
  )
  done = engine.run(made.nodes, jobs=1, say=toy.said.append).done
  backwards = engine.Outcome({n: done[n] for n in reversed(done)}, {})
  values = results.collect(given, made.nodes, backwards)
  assert values == {
    "look.score": {"one": {0: 2.0, 1: 4.0}, "two": {0: 6.0, 1: 8.0}}
  }
  assert [*values["look.score"]] == ["one", "two"]
  assert [*values["look.score"]["one"]] == [0, 1]


def test_experiments_of_one_folder_share_a_page(toy):
  toy.conduct()
  folder = toy.folder / "out/another"
  folder.mkdir()
  content = json.loads((toy.folder / "out/toy/results.json").read_text())
  content["title"] = "Another"
  (folder / "results.json").write_text(json.dumps(content))
  toy.conduct()
  page = _page(toy)
  assert page.index("## Another") < page.index("## Toy")
  assert "| [Another](#another) | 1 |" in page
  assert "| [Toy](#toy) | 1 |" in page
  for damaged in ("{", "[]"):
    (folder / "results.json").write_text(damaged)
    with pytest.raises(errors.UsageError, match="results.json cannot be read"):
      toy.conduct()


def test_results_of_another_version_are_named_and_not_shown(toy):
  toy.conduct()
  file = toy.folder / "out/toy/results.json"
  content = json.loads(file.read_text())
  del content["format"], content["spans"]
  file.write_text(json.dumps(content))
  results_page.write(toy.root, f"{toy.root}/RESULTS.md")
  page = _page(toy)
  assert "## Toy" not in page
  assert "until they are run again\n(what they have made is kept): toy." in page
  toy.runs()
  toy.conduct()
  assert toy.runs() == [] and "## Toy" in _page(toy)


def test_the_page_can_lie_elsewhere(toy):
  (toy.folder / "docs").mkdir()
  toy.conduct(results_file=str(toy.folder / "docs/RESULTS.md"))
  assert (toy.folder / "docs/results/toy_1.png").exists()
  assert "shown" in (toy.folder / "docs/RESULTS.md").read_text()
  with pytest.raises(errors.UsageError, match="choose a --results"):
    toy.conduct(results_file=str(toy.folder / "runs.txt/RESULTS.md"))


def test_experiments_that_share_steps_count_their_time_once(toy):
  toy.conduct()
  file = toy.folder / "out/toy/results.json"
  content = json.loads(file.read_text())
  # two steps beside each other, then a pause; one is another experiment's, too
  spans = {"a": [0, 3600], "b": [1800, 5400], "c": [9000, 12000]}
  (toy.folder / "out/other").mkdir()
  for name, of in (("toy", "abc"), ("other", "b")):
    content["spans"] = {key: spans[key] for key in of}
    (toy.folder / f"out/{name}/results.json").write_text(json.dumps(content))
  results_page.write(toy.root, f"{toy.root}/RESULTS.md")
  page = _page(toy)
  assert "| [Toy](#toy) | 1 | 2 h 20 min |" in page
  assert "| [Toy](#other) | 1 | 1 h 0 min |" in page
  assert "All together 2 h 20 min on the clock" in page
  assert "one step after the other\n2 h 50 min; steps that" in page


def test_findings_stand_beside_what_did_not_come_out(toy):
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
  page = _page(toy).replace(r"\<", "<")
  assert page.count("**opposite**") == 3 and "| [Toy](#toy) | 3 |" in page
  # once, below the orderings that it is about, and before the tables
  assert page.count(why) == 1
  line = f"- {why} *(two < one, Found: s; one >= two, Found: s)*\n"
  assert page.index("**opposite**") < page.index(line)
  assert page.index(line) < page.index("Numbers were added to seeds.")
  assert page.index("Numbers were added to seeds.") < page.index("### Found")


def test_findings_and_titles_are_no_reason_to_run_anything_again(toy):
  toy.conduct()
  toy.runs()
  given = toy.experiment(
    title="Another title",
    findings=["f"],
    orderings=[("two", ">", "one", "look.score", "why")],
  )
  toy.conduct(given)
  assert toy.runs() == [] and "- why *(" in _page(toy)


def test_a_killed_experiment_is_said_to_be_a_part(toy, monkeypatch):
  toy.conduct(only=["look/one/seed0"])

  def killed(*args, **settings):
    raise KeyboardInterrupt

  monkeypatch.setattr(engine, "run", killed)
  with pytest.raises(KeyboardInterrupt):
    toy.conduct()
  results_page.write(toy.root, f"{toy.root}/RESULTS.md")
  page = _page(toy)
  assert "| [Toy](#toy) (not whole) | 1 |" in page
  assert "of 8 runs 2 are done, 0 failed and 6 did not run" in page
  assert "| one | 2.0 (1 of 2 seeds) |" in page and "| two | – |" in page
  assert "<details open>" in page and "| look | 1 of 4 |" in page
  assert "| two | 0 of 2 | – |" in page


def test_a_single_seed_is_undecided_and_has_no_interval(toy):
  toy.conduct(toy.experiment(seeds=[0]))
  page = _page(toy)
  assert "| one | 2.0 |" in page
  assert (
    "**undecided at this size** | 6.0 and 2.0, difference +4.0 (1 seed)"
    in (page)
  )


def test_a_difference_of_nothing_has_no_sign():
  difference = {"mean": -0.01, "low": -0.04, "high": 0.02, "count": 3}
  ordering = {"left_mean": 7.7, "right_mean": 7.71, "difference": difference}
  assert results_page.sentence(ordering) == (
    "7.7 and 7.7, difference 0.0 (0.0..0.0, 3 seeds)"
  )


def test_what_was_left_out_is_said(toy):
  given = toy.experiment()
  photos = toy.model(1)
  photos = dataclasses.replace(photos, words=[*photos.words, "data:x"])
  given = dataclasses.replace(given, steps={**given.steps, "photos": photos})
  toy.conduct(given)
  assert (
    "Left out, needs real data, and DATA is not set: look/photos/seed0,"
    " look/photos/seed1, photos/seed0, photos/seed1." in _page(toy)
  )
  assert "| photos | – |" in _page(toy) and "Not whole" not in _page(toy)


def test_a_measure_that_is_not_there_is_named(toy):
  table = experiment.Table(title="T", columns={"s": "look.scor"})
  with pytest.raises(
    errors.UsageError, match="'look.scor': step 'look' has none.*it has score"
  ):
    toy.conduct(toy.experiment(tables=[table]))


def test_an_output_that_cannot_be_read_is_named(toy):
  code = (
    "import os,sys; o=sys.argv[1]; os.makedirs(o);"
    "open(o + '/found.json', 'w').write('no JSON')"
  )
  given = toy.experiment(
    steps={"one": toy.model(1), "look": toy.look(code)}, orderings=[]
  )
  with pytest.raises(errors.UsageError, match="look/one/seed0 in .* cannot be"):
    toy.conduct(given)


def test_reports_of_the_tools_are_read(tmp_path):
  (tmp_path / "report.json").write_text(
    json.dumps({"results": {"top1_percent": 61.5, "lost": None}})
  )
  step = steps.Evaluate(config="x.gin")
  assert step.measures(str(tmp_path)) == {"top1_percent": 61.5}
  rows = [
    {"invariance": "viewpoint", "k": k, "score": 50.0 + k, "chance": 10.0}
    for k in (10, 25)
  ]
  (tmp_path / "invariance.json").write_text(json.dumps({"scores": rows}))
  assert steps.MeasureInvariance(config="x").measures(str(tmp_path)) == {
    "viewpoint_top10": 60.0,
    "viewpoint_top10_chance": 10.0,
    "viewpoint_top25": 75.0,
    "viewpoint_top25_chance": 10.0,
  }


def test_texts_are_no_markup():
  content = {
    "name": "n",
    "title": "a|b",
    "question": "q",
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
    "left_out": {},
    "pictures": [],
  }
  page = results_page.markdown([content])
  assert r"## a\|b" in page
  assert r"| `` x \| `y` `` |" in page
  assert r"\<b>bad" in page


def test_a_figure_shows_every_column_and_model():
  rows = [
    {"model": f"model {i}", "values": [[i, i + 1.0], [50.0], []]}
    for i in range(4)
  ]
  table = {
    "title": "T $x",
    "note": "",
    "unit": "%",
    "columns": ["occlusion", "illumination direction", "none"],
    "rows": rows,
  }
  picture = np.asarray(Image.open(io.BytesIO(charts.table(table))))
  colors = {tuple(c) for c in picture.reshape(-1, picture.shape[2])[:, :3]}
  for expected in ((0, 114, 178), (230, 159, 0), (0, 158, 115)):
    assert expected in colors


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
