"""A toy experiment with quick commands as steps."""

import sys

import pytest

from tf_ssl.experiment import conduct, experiment, steps

# Writes its number plus its seed, and logs the run.
_MAKE = """
import json, os, sys
output, seed, number = sys.argv[1:]
os.makedirs(output, exist_ok=True)
with open(os.environ["TOY_RUNS"], "a") as file:
  file.write(f"make {number} {seed}\\n")
with open(os.path.join(output, "model.json"), "w") as file:
  json.dump(float(number) + int(seed), file)
print("made", number)
"""
# Measures a model: twice its number.
_LOOK = """
import json, os, sys
output, model, name = sys.argv[1:]
os.makedirs(output, exist_ok=True)
with open(os.environ["TOY_RUNS"], "a") as file:
  file.write(f"look {name}\\n")
value = 2 * json.load(open(model))
with open(os.path.join(output, "found.json"), "w") as file:
  json.dump({"score": value}, file)
"""


class Toy:
  """Makes and runs toy experiments in a folder."""

  def __init__(self, folder):
    self.folder = folder
    self.root = str(folder / "out")
    self.said = []

  def program(self, code, *words, **settings):
    return steps.Command(words=[sys.executable, "-c", code, *words], **settings)

  def model(self, number, code=_MAKE, **settings):
    return self.program(
      code,
      "{output}",
      "{seed}",
      str(number),
      **{
        "seeded": True,
        "product": ["model.json"],
        "model_path": "model.json",
        **settings,
      },
    )

  def look(self, code=_LOOK):
    return self.program(
      code,
      "{output}",
      "{model}",
      "{name}",
      per_model=True,
      product=["found.json"],
      results="found.json",
    )

  def experiment(self, **changes):
    return experiment.Experiment(
      **{
        "title": "Toy",
        "question": "Which number is larger?",
        "seeds": [0, 1],
        "steps": {
          "one": self.model(1),
          "two": self.model(3),
          "look": self.look(),
        },
        "tables": [
          experiment.Table(title="Found", columns={"s": "look.score"})
        ],
        "orderings": [("two", ">", "one", "look.score")],
        **changes,
      }
    )

  def conduct(self, given=None, **settings):
    self.said.clear()
    return conduct.conduct(
      given or self.experiment(),
      name="toy",
      output_dir=self.root,
      parse=lambda file, bindings: f"{file} {bindings}",
      tool_command=lambda tool: ["tool", tool],
      say=self.said.append,
      **settings,
    )

  def runs(self):
    """The runs since the last call, sorted."""
    file = self.folder / "runs.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return sorted(lines)


@pytest.fixture(name="toy")
def fixture_toy(tmp_path, monkeypatch):
  monkeypatch.setenv("TOY_RUNS", str(tmp_path / "runs.txt"))
  return Toy(tmp_path)
