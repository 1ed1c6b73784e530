"""Running the steps of a Dockerfile without Docker."""

import os
import subprocess
import sys

import pytest

from release import image_root

_DOCKERFILE = """
ARG RELEASE=trixie
FROM debian:${RELEASE}-slim AS build
RUN apt-get update
ENV WHO=you
ARG EXTRA=none
WORKDIR /opt/source
COPY pyproject.toml project/
COPY . .
RUN printf '%s %s %s %s' "$WHO" "$EXTRA" "$RELEASE" "$PIP_CERT" >/opt/said \\
    && python3 -c "import sys; print(*sys.argv)" /opt/a >/opt/ran
FROM debian:${RELEASE}-slim
COPY --from=build /opt/said /opt/said
ENV PATH=/opt/tools:$PATH
USER 1000:1000
WORKDIR /work
ENTRYPOINT ["cat"]
CMD ["/opt/said"]
"""


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path):
  root = tmp_path / "checkout"
  (root / "tf_ssl" / "__pycache__").mkdir(parents=True)
  (root / "tf_ssl" / "a.py").write_text("1")
  (root / "tf_ssl" / "__pycache__" / "a.pyc").write_text("1")
  (root / "pyproject.toml").write_text("2")
  (root / "secret").write_text("3")
  (root / ".dockerignore").write_text(
    "# Kept:\n*\n!tf_ssl\n!pyproject.toml\n**/__pycache__\n"
  )
  (root / "Dockerfile").write_text(_DOCKERFILE)
  return root


def _build(checkout, tmp_path, arguments=None):
  place = image_root.OneFolder(tmp_path / "roots", sys.executable)
  image = image_root.build(
    checkout / "Dockerfile", place, arguments or {}, {"PIP_CERT": "/ca"}
  )
  return image, place


def test_each_step_runs_with_its_variables(checkout, tmp_path, capfd):
  image, place = _build(checkout, tmp_path, {"EXTRA": "gpu"})
  said = image.root / "opt" / "said"
  assert said.read_text() == "you gpu  /ca"  # RELEASE is not of the stage.
  ran = (image.root / "opt" / "ran").read_text()
  assert ran == f"-c {image.root}/opt/a\n"
  printed = capfd.readouterr().out
  assert "RUN apt-get update" in printed and "left out" in printed
  assert image.user == "1000:1000" and image.folder == "/work"
  assert image.environment["PATH"].startswith("/opt/tools:/usr/local/sbin:")
  place.run(
    image.root,
    [*image.entry_point, *image.command],
    user=image.user,
    folder=image.folder,
    environment=image.environment,
  )
  assert capfd.readouterr().out == "you gpu  /ca"


def test_the_context_has_only_what_dockerignore_lets_in(checkout, tmp_path):
  image, _ = _build(checkout, tmp_path)
  source = image.root / "opt" / "source"
  found = {
    str(path.relative_to(source))
    for path in source.rglob("*")
    if path.is_file()
  }
  assert found == {"pyproject.toml", "project/pyproject.toml", "tf_ssl/a.py"}


def test_a_step_that_fails_ends_the_build(checkout, tmp_path):
  (checkout / "Dockerfile").write_text("FROM debian:trixie-slim\nRUN false\n")
  with pytest.raises(subprocess.CalledProcessError):
    _build(checkout, tmp_path)


def test_a_base_that_debootstrap_cannot_make_is_refused(tmp_path, checkout):
  (checkout / "Dockerfile").write_text("FROM python:3.13\n")
  place = image_root.DebianRoots(tmp_path, [])
  with pytest.raises(ValueError, match="expected debian:RELEASE-slim"):
    image_root.build(checkout / "Dockerfile", place, {}, {})


def test_an_image_that_runs_as_root_is_refused(tmp_path):
  place = image_root.OneFolder(tmp_path, sys.executable)
  with pytest.raises(ValueError, match="runs as root"):
    image_root.try_image(image_root.Image(tmp_path), place)


def test_a_missing_python_is_named(tmp_path):
  with pytest.raises(ValueError, match="--python=python9"):
    image_root.OneFolder(tmp_path, "python9")
  assert os.listdir(tmp_path) in ([], ["commands"])


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
