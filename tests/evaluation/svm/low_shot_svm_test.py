"""Few examples, from files to the outcome."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.svm import voc_reference
from tf_ssl import errors
from tf_ssl.datasets.annotations import voc
from tf_ssl.evaluation.svm import annotated_examples, low_shot_svm, svm_settings

_COSTS = (0.1, 10.0)


@pytest.fixture(name="examples", scope="module")
def fixture_examples(tmp_path_factory):
  """All images of a miniature of VOC."""
  root = tmp_path_factory.mktemp("voc")
  voc_reference.write(root)
  return annotated_examples.AnnotatedExamples(
    train=voc.read(str(root), split="trainval"),
    test=voc.read(str(root), split="test"),
    image_size=16,
  )


@pytest.fixture(name="outcome", scope="module")
def fixture_outcome(examples, tmp_path_factory):
  """Of 1, 2, 8 and, which no class has, 900 positives; 3 draws."""
  protocol = low_shot_svm.LowShotSvm(
    examples=examples,
    svm=svm_settings.SvmSettings(costs=_COSTS),
    ks=(1, 2, 8, 900),
    draws=3,
    workers=1,
  )
  subject = voc_reference.subject(voc_reference.colors)
  folder = tmp_path_factory.mktemp("out")
  return protocol.run(subject, output_dir=str(folder), say=print)


def test_a_result_is_the_mean_over_draws_at_the_best_cost(outcome):
  for short in ("voc07", "area"):
    assert [entry["k"] for entry in outcome.details[short]] == [1, 2, 8]
    for entry in outcome.details[short]:
      draws, by_cost = (
        entry["mean_ap_percent_by_draw"],
        entry["mean_ap_percent_by_cost"],
      )
      assert len(draws) == 3 and list(by_cost) == ["0.1", "10.0"]
      name = f"{short}_mean_ap_k{entry['k']}_percent"
      mean, low, high = outcome.details["intervals_95"][name]
      assert outcome.results[name] == mean
      assert mean == pytest.approx(np.mean(draws))
      assert mean == pytest.approx(max(by_cost.values()))
      assert by_cost[str(entry["cost"])] == pytest.approx(mean)
      half = 4.3027 * np.std(draws, ddof=1) / np.sqrt(3)
      assert high - mean == pytest.approx(half, abs=1e-3)
      assert mean - low == pytest.approx(half, abs=1e-3)


def test_more_positives_are_better_where_classes_can_be_seen(outcome):
  one, eight = (outcome.results[f"area_mean_ap_k{k}_percent"] for k in (1, 8))
  assert one < eight and eight > 90


def test_what_was_done_is_told(outcome):
  assert outcome.protocol == "low_shot_svm"
  settings = outcome.settings
  assert settings["positives_per_class"] == [1, 2, 8, 900]
  assert settings["negatives_per_class"] == "positives times (classes - 1)"
  assert settings["draws"] == 3 and settings["draw_seed"] == 0
  assert settings["difficult_in_training"] == "ignored"
  notes = " / ".join(outcome.notes)
  assert "k = 900 dropped: a class has fewer" in notes
  assert "best one on the test examples" in notes
  json.dumps([list(outcome[:6]), outcome.tables, outcome.skipped])
  (table,) = outcome.tables
  assert [row[0] for row in table.rows] == [1, 2, 8]
  assert len(table.rows[0]) == len(table.columns) == 9


def test_the_curve_is_a_picture(outcome):
  picture = Image.open(io.BytesIO(outcome.pictures["low_shot.png"]))
  assert picture.format == "PNG" and picture.size[0] > 600


def test_several_splits_are_refused(examples):
  split = annotated_examples.AnnotatedExamples(train=examples.train)
  with pytest.raises(errors.UsageError, match="expected one: low-shot"):
    low_shot_svm.LowShotSvm(examples=split)


def test_settings_that_cannot_be_are_refused_at_once(examples):
  with pytest.raises(errors.UsageError, match="draws is 0"):
    low_shot_svm.LowShotSvm(examples=examples, draws=0)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
