"""Reading Dockerfiles, and the Dockerfile of this project."""

import json
import sys

import pytest

from release import dockerfile

_TEXT = """# A comment.
ARG RELEASE=trixie

FROM debian:${RELEASE}-slim AS build
RUN first \\
    # inside
    && second "a  b"
ENV PATH=/opt/bin:$PATH NAME="two words"
ARG EXTRA=
FROM base
ENTRYPOINT ["run", "it"]
"""


def _stages(tmp_path, text, arguments):
  path = tmp_path / "Dockerfile"
  path.write_text(text)
  return dockerfile.stages(path, arguments)


def test_stages_have_their_instructions(tmp_path):
  (build, last), known = _stages(tmp_path, _TEXT, {})
  assert known == {"RELEASE": "trixie"}
  assert (build.base, build.name) == ("debian:trixie-slim", "build")
  assert (last.base, last.name) == ("base", "1")
  run, env, arg = build.instructions
  assert run == (5, "RUN", 'first && second "a  b"')
  assert env.pairs({"PATH": "/bin"}) == {
    "PATH": "/opt/bin:/bin",
    "NAME": "two words",
  }
  assert dockerfile.argument(arg) == ("EXTRA", "")
  assert last.instructions[0].words() == ["run", "it"]


def test_a_build_argument_replaces_the_default(tmp_path):
  (build, _), _ = _stages(tmp_path, _TEXT, {"RELEASE": "forky"})
  assert build.base == "debian:forky-slim"


@pytest.mark.parametrize(
  "line", ["ADD a b", "RUN <<END", "run lower", "ONBUILD RUN x"]
)
def test_what_is_not_understood_is_never_left_out(line):
  with pytest.raises(ValueError, match="line 2"):
    dockerfile.instructions(f"FROM a\n{line}\n")


@pytest.mark.parametrize("value", ["run it", '{"a": 1}', "[1]"])
def test_only_the_json_form_has_words(value):
  instruction = dockerfile.Instruction(3, "CMD", value)
  with pytest.raises(ValueError):
    instruction.words()


def test_the_image_runs_tf_ssl_as_a_user_that_is_not_root(repository):
  stages, _ = dockerfile.stages(repository / "Dockerfile", {})
  last = {each.name: each.value for each in stages[-1].instructions}
  assert json.loads(last["ENTRYPOINT"]) == ["tf-ssl"]
  assert last["USER"] == "1000:1000"


def test_the_image_takes_what_the_build_context_has(repository):
  lines = (repository / ".dockerignore").read_text().splitlines()
  kept = {line[1:] for line in lines if line.startswith("!")}
  assert "*" in lines
  assert all((repository / name).exists() for name in kept)
  assert {"pyproject.toml", "requirements", "tf_ssl", "tools"} <= kept
  assert not kept & {"tests", ".git", "runs", "results"}


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
