import subprocess
import sys

import pytest

from tf_ssl.rendering import factors, workers

WORLD = {"seed": 3, "image_size": 16}
VIDEO = {"seed": 0, "num_frames": 7, "image_size": (48, 64), "fps": 8.0}


def shown(*names):
  return {
    name: factors.random_factors(3, number) for number, name in enumerate(names)
  }


def contents(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob("*.*")
  }


@pytest.mark.parametrize(
  ("kind", "items", "world", "total"),
  [
    ("still", shown("0.png", "1.png", "2.png"), WORLD, 3),
    ("scene", {0: 4, 1: 5}, {"seed": 0, "image_size": (48, 64)}, 2),
    ("video", {12: 3, 13: 4}, VIDEO, 14),
  ],
)
def test_two_processes_write_the_files_of_one(
  tmp_path, capsys, kind, items, world, total
):
  folders = [tmp_path / "one", tmp_path / "two"]
  for processes, folder in enumerate(folders, 1):
    for name in ("images", "masks", "boxes"):
      (folder / name).mkdir(parents=True)
    workers.render(kind, folder, items, world=world, processes=processes)
    assert f"{total}/{total}" in capsys.readouterr().err
  first, second = map(contents, folders)
  assert first == second and len(first) >= len(items)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_cannot_be_written_is_an_os_error(tmp_path, processes):
  items = shown("a.png", "no/such/folder.png")
  with pytest.raises(OSError, match="no/such/folder.png"):
    workers.render("still", tmp_path, items, world=WORLD, processes=processes)


def test_the_reason_of_a_failed_worker_is_passed_on(tmp_path):
  world = {**WORLD, "image_size": 1}
  with pytest.raises(RuntimeError, match="(?s)exit code 1.*image_size=1"):
    workers.render(
      "still", tmp_path, shown("a.png", "b.png"), world=world, processes=2
    )


def test_a_killed_worker_is_named(tmp_path, monkeypatch):
  # Only the workers read this program.
  program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
  monkeypatch.setattr(workers, "_WORKER", program)
  with pytest.raises(RuntimeError, match="SIGKILL"):
    workers.render(
      "still", tmp_path, shown("a.png", "b.png"), world=WORLD, processes=2
    )


def test_few_images_are_rendered_without_workers(tmp_path, monkeypatch):
  monkeypatch.setattr(workers, "_run_workers", None)
  workers.render("still", tmp_path, shown("a.png", "b.png"), world=WORLD)
  assert sorted(contents(tmp_path)) == ["a.png", "b.png"]


def test_workers_do_not_import_tensorflow():
  program = (
    "import sys; from tf_ssl.rendering import workers; "
    "from tf_ssl.rendering import synthetic; "
    "sys.exit('tensorflow' in sys.modules)"
  )
  environment = {"PYTHONPATH": ":".join(sys.path)}
  subprocess.run([sys.executable, "-c", program], check=True, env=environment)


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
