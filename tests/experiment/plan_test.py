"""Nodes, commands and keys of an experiment."""

import dataclasses
import sys

import pytest

from tf_ssl import errors
from tf_ssl.experiment import experiment, plan, steps


def _parse(file, bindings):
  return f"parsed {file}: {sorted(bindings)}"


def _plan(tmp_path, given, parse=_parse):
  return plan.make(
    given,
    root=str(tmp_path),
    parse=parse,
    tool_command=lambda tool: ["python", "-m", f"tools.{tool}"],
  )


def _experiment(**changes):
  return experiment.Experiment(
    **{
      "title": "t",
      "question": "q",
      "seeds": [3, 5],
      "steps": {
        "scenes": steps.Render(flags={"what": "scenes"}),
        "moco": steps.Pretrain(
          config="moco.gin",
          bindings={
            "IMAGES": "step:scenes/images",
            "STEPS": 7,
            "moco.build_moco.encoder": "@resnet.resnet50",
          },
        ),
        "look": steps.MeasureInvariance(config="six.gin", flags={"top_k": 5}),
      },
      **changes,
    }
  )


def test_models_are_trained_and_measured_for_each_seed(tmp_path):
  found = _plan(tmp_path, _experiment())
  assert list(found.nodes) == [
    "scenes",
    "moco/seed3",
    "moco/seed5",
    "look/moco/seed3",
    "look/moco/seed5",
  ]
  assert found.nodes["moco/seed5"].inputs == ("scenes",)
  assert found.nodes["look/moco/seed5"].inputs == ("moco/seed5",)
  assert not found.skipped


def test_commands_have_the_outputs_of_other_steps(tmp_path):
  nodes = _plan(tmp_path, _experiment()).nodes
  scenes, moco = nodes["scenes"].output, nodes["moco/seed3"].output
  assert nodes["moco/seed3"].command == (
    "python",
    "-m",
    "tools.train",
    "--gin_file=moco.gin",
    f'--gin_bindings=IMAGES="{scenes}/images"',
    "--gin_bindings=STEPS=7",
    "--gin_bindings=moco.build_moco.encoder=@resnet.resnet50",
    "--gin_bindings=settings.Pretraining.seed=3",
    f"--model_dir={moco}",
  )
  assert nodes["look/moco/seed3"].command == (
    "python",
    "-m",
    "tools.measure_invariance",
    "--gin_file=six.gin",
    f"--model=moco={moco}/saved_model",
    f"--output_dir={nodes['look/moco/seed3'].output}",
    "--top_k=5",
  )
  assert nodes["look/moco/seed3"].recipe.endswith(
    "--model=moco=step:moco/seed3/saved_model --output_dir=OUTPUT --top_k=5"
  )


def _changed(given, name, **changes):
  """The experiment with one step changed."""
  step = dataclasses.replace(given.steps[name], **changes)
  return dataclasses.replace(given, steps={**given.steps, name: step})


def _keys(found):
  return {name: node.key for name, node in found.nodes.items()}


def test_a_key_depends_on_everything_that_is_read_and_on_nothing_else(tmp_path):
  given = _experiment()
  before = _keys(_plan(tmp_path, given))
  assert len(set(before.values())) == len(before)
  # Another folder and another title change nothing.
  moved = _changed(given, "moco", title="Momentum contrast")
  assert _keys(_plan(tmp_path / "elsewhere", moved)) == before
  # A flag of the first step changes all keys.
  after = _keys(_plan(tmp_path, _changed(given, "scenes", flags={})))
  assert not set(after.values()) & set(before.values())
  # A flag of the last step changes its own keys.
  after = _keys(_plan(tmp_path, _changed(given, "look", flags={})))
  assert {n for n in after if after[n] != before[n]} == {
    "look/moco/seed3",
    "look/moco/seed5",
  }
  # Another parsed configuration.
  after = _keys(_plan(tmp_path, given, lambda file, _: file.upper()))
  assert after["scenes"] == before["scenes"]
  assert after["moco/seed3"] != before["moco/seed3"]


def test_a_new_version_of_a_kind_has_new_keys(tmp_path, monkeypatch):
  before = _keys(_plan(tmp_path, _experiment()))
  monkeypatch.setattr(steps.MeasureInvariance, "version", 99)
  after = _keys(_plan(tmp_path, _experiment()))
  assert after["moco/seed3"] == before["moco/seed3"]
  assert after["look/moco/seed3"] != before["look/moco/seed3"]


def test_changed_data_have_new_keys(tmp_path):
  (tmp_path / "photos").mkdir()
  (tmp_path / "photos/a.jpg").write_text("1")
  given = _changed(
    _experiment(data=str(tmp_path)), "moco", bindings={"I": "data:photos"}
  )
  before = _plan(tmp_path, given).nodes["moco/seed3"]
  assert f'--gin_bindings=I="{tmp_path}/photos"' in before.command
  (tmp_path / "photos/b.jpg").write_text("2")
  assert _plan(tmp_path, given).nodes["moco/seed3"].key != before.key


def test_steps_without_their_real_data_are_skipped(tmp_path):
  given = _experiment()
  given = dataclasses.replace(
    given,
    steps={
      **given.steps,
      "photos": steps.Pretrain(config="m.gin", bindings={"I": "data:photos"}),
    },
  )
  found = _plan(tmp_path, given)
  assert list(found.skipped) == [
    "look/photos/seed3",
    "look/photos/seed5",
    "photos/seed3",
    "photos/seed5",
  ]
  assert "DATA" in found.skipped["photos/seed3"]
  assert "look/moco/seed3" in found.nodes


def test_a_step_that_reads_a_seeded_step_is_run_for_each_seed(tmp_path):
  given = _experiment()
  tracks = steps.TrackRegions(
    videos="v", flags={"encoder": "step:moco/saved_model"}
  )
  given = dataclasses.replace(given, steps={**given.steps, "tracks": tracks})
  found = _plan(tmp_path, given).nodes
  assert found["tracks/seed5"].inputs == ("moco/seed5",)


def test_a_cycle_is_refused(tmp_path):
  given = _experiment(
    steps={
      "a": steps.Render(flags={"x": "step:b"}),
      "b": steps.Render(flags={"x": "step:a"}),
    }
  )
  with pytest.raises(errors.UsageError, match="a -> b -> a"):
    _plan(tmp_path, given)


def test_an_unknown_step_in_a_value_is_refused(tmp_path):
  given = _changed(_experiment(), "moco", bindings={"I": "step:scene/images"})
  with pytest.raises(
    errors.UsageError,
    match=r"steps\['moco'\] .*'scene'.*scenes",
  ):
    _plan(tmp_path, given)


def test_an_error_of_a_configuration_names_its_step(tmp_path):
  def parse(file, bindings):
    del file, bindings
    raise errors.UsageError("STEPS is set, but no gin file uses it")

  with pytest.raises(errors.UsageError, match=r"steps\['moco'\]: STEPS is set"):
    _plan(tmp_path, _experiment(), parse)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
