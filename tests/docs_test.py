"""Tests of the programs and configs in docs/."""

import json
import os
import re
import subprocess
import sys
import tomllib

import gin
import numpy as np
import pytest
import yaml
from PIL import Image

from tools import train


@pytest.mark.parametrize("index", [0, 3])
def test_the_kubernetes_job_gives_each_pod_its_tf_config(repository, index):
  text = (repository / "docs" / "kubernetes_job.yaml").read_text()
  service, job = yaml.safe_load_all(text)
  assert service["kind"] == "Service" and job["kind"] == "Job"
  [container] = job["spec"]["template"]["spec"]["containers"]
  [script] = container["args"]
  before, _ = script.split("exec tf-ssl")
  done = subprocess.run(
    [*container["command"], before + "printenv TF_CONFIG"],
    env={**os.environ, "JOB_COMPLETION_INDEX": str(index)},
    capture_output=True,
    text=True,
    check=True,
  )
  config = json.loads(done.stdout)
  workers = config["cluster"]["worker"]
  assert len(workers) == job["spec"]["completions"] == 4
  name = service["metadata"]["name"]
  port = service["spec"]["ports"][0]["port"]
  assert workers[3] == f"{job['metadata']['name']}-3.{name}:{port}"
  assert config["task"] == {"type": "worker", "index": index}


def test_the_kubernetes_job_runs_the_image_of_this_version(repository):
  text = (repository / "docs" / "kubernetes_job.yaml").read_text()
  _, job = yaml.safe_load_all(text)
  pod = job["spec"]["template"]["spec"]
  project = tomllib.loads((repository / "pyproject.toml").read_text())
  version = project["project"]["version"]
  [container] = pod["containers"]
  assert container["image"].endswith(f"/tf-ssl:{version}-gpu")
  assert f"--tag\n# {container['image']} ." in text
  security = pod["securityContext"]
  user = f"{security['runAsUser']}:{security['runAsGroup']}"
  dockerfile = (repository / "Dockerfile").read_text()
  assert f"\nUSER {user}\n" in dockerfile
  assert f"tf-ssl:{version}-gpu" in dockerfile
  assert f"tf-ssl:{version} " in (repository / "README.md").read_text()


@pytest.mark.slow
def test_the_monitor_of_the_documentation_measures_a_run(
  repository, tmp_path, monkeypatch
):
  text = (repository / "docs" / "own_monitor.md").read_text()
  blocks = dict(re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL))
  (tmp_path / "weight_norm.py").write_text(blocks["python"])
  (tmp_path / "my_monitors.gin").write_text(blocks["gin"])
  monkeypatch.syspath_prepend(tmp_path)
  rng = np.random.default_rng(0)
  (tmp_path / "photos").mkdir()
  for i in range(24):
    image = rng.integers(0, 256, [20, 20, 3], np.uint8)
    Image.fromarray(image).save(tmp_path / "photos" / f"{i}.png")
  bindings = [
    f"IMAGES='{tmp_path}/photos'",
    "IMAGE_SIZE=16",
    "BATCH_SIZE=8",
    "QUEUE_SIZE=16",
    "STEPS=2",
    "moco.build_moco.encoder=@resnet.resnet18",
    "resnet.resnet18.width=0.0625",
    "weight_norm.WeightNorm.every=1",
    "settings.Pretraining.best_metric='weight_norm'",
  ]
  gin.clear_config()
  train.TOOL.call(
    [
      "--gin_file=gin_configs/pretrain/moco_v2_folder.gin",
      f"--gin_file={tmp_path}/my_monitors.gin",
      *(f"--gin_bindings={binding}" for binding in bindings),
      f"--model_dir={tmp_path}/run",
    ]
  )
  gin.clear_config()
  lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
  norms = [json.loads(line)["weight_norm"] for line in lines]
  assert len(norms) == 3 and len(set(norms)) == 3 and min(norms) > 0
  assert (tmp_path / "run" / "checkpoints" / "best").is_dir()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
