import subprocess
import sys

import cv2
import numpy as np
import pytest

from tf_ssl.rendering import factors, stills, workers


def test_several_processes_write_what_one_would(tmp_path, capsys):
  files = {f"{number}.png": number for number in range(5)}
  workers.render_files(tmp_path, files, seed=1, image_size=16, processes=2)
  for name, index in files.items():
    image = cv2.imread(str(tmp_path / name))[..., ::-1]
    np.testing.assert_array_equal(image, stills.render_index(1, index, 16))
  assert "5/5" in capsys.readouterr().err


def test_several_processes_render_stills_of_given_factors(tmp_path):
  files = {
    f"{number}.png": factors.random_factors(3, number) for number in range(5)
  }
  workers.render_stills(tmp_path, files, seed=3, image_size=16, processes=2)
  for name, shown in files.items():
    image = cv2.imread(str(tmp_path / name))[..., ::-1]
    expected = stills.render(shown, image_size=16, seed=3)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_cannot_be_written_is_an_os_error(tmp_path, processes):
  files = {"a.png": 0, "no/such/folder.png": 1}
  with pytest.raises(OSError, match="no/such/folder.png"):
    workers.render_files(
      tmp_path, files, seed=1, image_size=16, processes=processes
    )


def test_a_worker_that_fails_says_why(tmp_path):
  files = {"a.png": 0, "b.png": 1}
  with pytest.raises(RuntimeError, match="(?s)rendering process.*image_size=1"):
    workers.render_files(tmp_path, files, seed=1, image_size=1, processes=2)


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
