"""Tests of tf_ssl.training.precision."""

import json
import sys
import threading
from concurrent import futures

import pytest

from tf_ssl.augment import recipes
from tf_ssl.ops import bfloat16
from tf_ssl.training import precision, settings
from tf_ssl.training.distributed import cluster, distribution

NATIVE = bfloat16.Support(True, "the processor has avx512_bf16")
EMULATED = bfloat16.Support(False, "the processor has neither")


def make(**changes):
  return settings.Pretraining(
    images="photos/",
    method=None,
    recipe=recipes.moco_v2(),
    image_size=8,
    batch_size=4,
    steps=10,
    learning_rate=0.5,
    **changes,
  )


@pytest.fixture(name="workers")
def fixture_workers(monkeypatch, capsys):
  """Function of each worker's support -> precision of each, printed lines.

  The workers are threads.
  """
  local = threading.local()
  monkeypatch.setattr(bfloat16, "support", lambda: local.support)
  monkeypatch.setattr(cluster, "read", lambda: local.cluster)

  def run(supports, folders, *, overwrite=False, **changes):
    barrier = threading.Barrier(len(supports), timeout=60)
    votes = [None] * len(supports)

    def any_worker(flag):
      votes[local.cluster.index] = flag
      barrier.wait()
      found = any(votes)
      barrier.wait()
      return found

    monkeypatch.setattr(distribution, "any_worker", any_worker)

    def work(index):
      local.support = supports[index]
      local.cluster = cluster.Cluster(("a:1",) * len(supports), index)
      return precision.decided(
        make(**changes), model_dir=str(folders[index]), overwrite=overwrite
      ).precision

    with futures.ThreadPoolExecutor(len(supports)) as pool:
      found = list(pool.map(work, range(len(supports))))
    return found, capsys.readouterr().err.splitlines()

  return run


def record(folder, **content):
  folder.mkdir()
  (folder / "run.json").write_text(json.dumps({"data": {}, **content}))
  return folder


@pytest.mark.parametrize(
  ("support", "expected"), [(NATIVE, "mixed_bfloat16"), (EMULATED, "float32")]
)
def test_a_new_run_computes_bfloat16_where_hardware_does(
  workers, tmp_path, support, expected
):
  found, lines = workers([support], [tmp_path])
  assert found == [expected]
  assert lines == [f"Precision: {expected}, because {support.reason}."]


@pytest.mark.parametrize("slow", [0, 1, 2])
def test_one_worker_without_it_decides_for_all_and_one_line_says_so(
  workers, tmp_path, slow
):
  supports = [NATIVE] * 3
  supports[slow] = EMULATED
  found, [line] = workers(supports, [tmp_path] * 3)
  assert found == ["float32"] * 3
  assert "float32" in line
  assert (EMULATED.reason if slow == 0 else "a worker") in line


@pytest.mark.parametrize("kept", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("support", [NATIVE, EMULATED])
def test_a_run_keeps_its_precision_on_another_machine(
  workers, tmp_path, kept, support
):
  folder = record(tmp_path / "run", precision=kept)
  found, [line] = workers([support], [folder])
  assert found == [kept]
  assert f"{kept}, with which the run was started" in line
  warned = "much slower" in line and "--model_dir" in line
  assert warned == (kept == "mixed_bfloat16" and support is EMULATED)
  assert precision.recorded(make(), str(folder)).precision == kept


def test_the_record_of_the_chief_counts_for_workers_without_its_disk(
  workers, tmp_path
):
  chief = record(tmp_path / "chief", precision="mixed_bfloat16")
  other = record(tmp_path / "other", precision="float32")
  for folders in ([chief, tmp_path / "none"], [chief, other]):
    found, _ = workers([EMULATED, NATIVE], folders)
    assert found == ["mixed_bfloat16"] * 2


def test_a_run_of_an_earlier_version_is_one_in_float32(workers, tmp_path):
  folder = record(tmp_path / "run")
  assert workers([NATIVE], [folder])[0] == ["float32"]
  assert precision.recorded(make(), str(folder)).precision == "float32"


def test_a_run_that_is_replaced_decides_anew(workers, tmp_path):
  folder = record(tmp_path / "run", precision="float32")
  found, _ = workers([NATIVE], [folder], overwrite=True)
  assert found == ["mixed_bfloat16"]


@pytest.mark.parametrize("policy", settings.POLICIES)
def test_a_precision_that_is_set_is_kept_without_a_line(
  workers, tmp_path, policy
):
  folder = record(tmp_path / "run", precision="float32")
  assert workers([EMULATED], [folder], precision=policy) == ([policy], [])
  kept = precision.recorded(make(precision=policy), str(folder))
  assert kept.precision == policy


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
