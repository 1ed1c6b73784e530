"""From outputs to the page of results."""

import dataclasses
import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from tf_ssl import errors
from tf_ssl.experiment import (
  engine,
  experiment,
  plan,
  results,
  results_charts,
  results_page,
  steps,
)


def _page(toy):
  return (toy.folder / "out/RESULTS.md").read_text()


def test_the_page_has_the_numbers_the_verdict_and_the_command(toy):
  toy.conduct(command="python -m tools.run_experiment toy.gin")
  page = _page(toy)
  # 2 * (1 + seed) and 2 * (3 + seed); 12.706 * 2 / sqrt(2) / sqrt(2) = 12.7
  assert "| one | 3.0 (-9.7..15.7) |" in page
  assert "| two | 7.0 (-5.7..19.7) |" in page
  assert (
    "| two > one | Found: s | **shown** |"
    " 7.0 and 3.0, difference +4.0 (+4.0..+4.0, 2 seeds) |" in page
  )
  assert "- 1 shown" in page
  assert "    python -m tools.run_experiment toy.gin" in page
  assert "Which is more?" in page
  assert "OUTPUT step:one/seed0/model.json one" in page
  assert str(toy.folder) not in page
  figure = Image.open(toy.folder / "out/results/toy_1.png")
  assert "![Found](results/toy_1.png)" in page and figure.size[0] > 300


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
  assert "- 2 shown" in page
  (folder / "results.json").write_text("{")
  with pytest.raises(errors.UsageError, match="results.json cannot be read"):
    toy.conduct()


def test_the_page_can_lie_elsewhere(toy):
  (toy.folder / "docs").mkdir()
  toy.conduct(results_file=str(toy.folder / "docs/RESULTS.md"))
  assert (toy.folder / "docs/results/toy_1.png").exists()
  assert "shown" in (toy.folder / "docs/RESULTS.md").read_text()
  with pytest.raises(errors.UsageError, match="choose a --results"):
    toy.conduct(results_file=str(toy.folder / "runs.txt/RESULTS.md"))


def test_findings_stand_beside_what_did_not_come_out(toy):
  toy.conduct(
    toy.experiment(
      orderings=[
        ("two", "<", "one", "look.score", "Two is the larger number.")
      ],
      findings=["Numbers were added to seeds."],
    )
  )
  page = _page(toy)
  assert "**opposite**" in page and "- 1 opposite" in page
  assert (
    "- two < one in\n  Found: s: Two is the larger number."
    in page.replace(r"\<", "<")
  )
  assert "Numbers were added to seeds." in page


def test_a_single_seed_is_undecided_and_has_no_interval(toy):
  toy.conduct(toy.experiment(seeds=[0]))
  page = _page(toy)
  assert "| one | 2.0 |" in page
  assert (
    "**undecided at this size** | 6.0 and 2.0, difference +4.0 (1 seed)"
    in (page)
  )


def test_what_was_left_out_is_said(toy):
  given = toy.experiment()
  photos = toy.model(1)
  photos = dataclasses.replace(photos, words=[*photos.words, "data:x"])
  given = dataclasses.replace(given, steps={**given.steps, "photos": photos})
  toy.conduct(given)
  assert "- look/photos/seed1: needs real data, and DATA is not set" in (
    _page(toy)
  )
  assert "| photos | – |" in _page(toy)


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
        "minutes": 0.0,
        "median_minutes": 0.0,
      }
    ],
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
  picture = np.asarray(Image.open(io.BytesIO(results_charts.table(table))))
  colours = {tuple(c) for c in picture.reshape(-1, picture.shape[2])[:, :3]}
  for expected in ((0, 114, 178), (230, 159, 0), (0, 158, 115)):
    assert expected in colours


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
