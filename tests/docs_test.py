"""Tests of what docs/ holds for others to run."""

import json
import os
import subprocess
import sys

import pytest
import yaml


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


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
