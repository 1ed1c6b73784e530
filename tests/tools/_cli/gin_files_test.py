"""From gin files and bindings to a configured function."""

import sys

import gin
import pytest

from tf_ssl import errors
from tools._cli import gin_files

_LIBRARY = """
class Optimizer:
  def __init__(self, rate: float = 0.1, milestones: tuple[int, ...] = ()):
    self.rate = rate
    self.milestones = milestones

def train(
    *, images: str, steps: int = 3, optimizer=None, labels: str | None = None
):
  return images, steps, optimizer.rate

def needy(*, size): return inner(size)
def inner(size): return needy()
"""

_CONFIG = """
# Trains a little.
from __gin__ import dynamic_registration
import little_library
include "fragment.gin"
little_library.train.images = %IMAGES
little_library.train.steps = %STEPS
little_library.train.labels = %LABELS
little_library.train.optimizer = @little_library.Optimizer()
IMAGES = %gin.REQUIRED
LABELS = None
STEPS = 3
"""

_FRAGMENT = """
from __gin__ import dynamic_registration
import little_library
little_library.Optimizer.rate = %RATE
RATE = 0.5
"""


@pytest.fixture(scope="module", autouse=True)
def library(tmp_path_factory):
  """The module `little_library`, imported once: gin remembers its functions."""
  folder = tmp_path_factory.mktemp("library")
  (folder / "little_library.py").write_text(_LIBRARY)
  (folder / "defect.py").write_text("import not_installed_anywhere\n")
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(folder)
    yield


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """A working directory with a config, and gin without settings."""
  (tmp_path / "run.gin").write_text(_CONFIG)
  (tmp_path / "fragment.gin").write_text(_FRAGMENT)
  monkeypatch.chdir(tmp_path)
  yield tmp_path
  _forget()


def _forget():
  gin.clear_config()


def _run(*bindings, files=("run.gin",), function="train"):
  gin_files.load(files, bindings)
  import little_library

  return gin_files.configured(getattr(little_library, function))()


def test_files_and_bindings_reach_the_function():
  assert _run('IMAGES="photos/"') == ("photos/", 3, 0.5)


def test_bindings_override_macros_and_use_the_imports_of_the_files():
  bindings = ('IMAGES="a"', "STEPS=7", "little_library.Optimizer.rate=2")
  assert _run(*bindings) == ("a", 7, 2)


def test_the_operative_config_reproduces_the_run(folder):
  first = _run('IMAGES="a b"', "STEPS=9")
  (folder / "again.gin").write_text(gin.operative_config_str())
  _forget()
  assert _run(files=["again.gin"]) == first


@pytest.mark.parametrize(
  ("bindings", "message"),
  [
    ([], """IMAGES must be set: --gin_bindings='IMAGES="..."'"""),
    (["IMAGES=photos/"], """needs quotes of its own.*'IMAGES="photos/"'"""),
    (['IMAGES="a"', "STEP=4"], "STEP is set.*did you mean STEPS?"),
    (['IMAGES="a"', 'STEPS="4"'], "STEPS='4': expected int .*train.steps"),
    (["IMAGES=4"], r"IMAGES=4: expected str .*--gin_bindings='IMAGES=\"...\"'"),
    (["LABELS=4", 'IMAGES="a"'], r"LABELS=4: expected str \| None"),
    (["RATE=True", 'IMAGES="a"'], "RATE=True: expected float"),
    (
      ["little_library.Optimizer.milestones=(1, 2.5)", 'IMAGES="a"'],
      r"milestones=\(1, 2.5\): expected tuple\[int",
    ),
    (["little_library.tran.steps=1"], "has no tran; did you mean train?"),
    (["litle_library.train.steps=1"], "did you mean little_library?"),
    (["little_library.train.stps=1"], "no parameter stps; did you mean steps?"),
    (["STEPS"], "--gin_bindings=STEPS: Couldn't parse"),
  ],
)
def test_a_wrong_binding_is_named_with_what_was_meant(bindings, message):
  with pytest.raises(errors.UsageError, match=message):
    _run(*bindings)


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ('include "nowhere.gin"', "wrong.gin:2: no such file: nowhere.gin"),
    ("import nowhere", "wrong.gin:2: No module named 'nowhere'"),
    ("import little_library\nlittle_library.train.steps = = 3", "wrong.gin:3"),
    ("import little_library\nlittle_library.train.stps = 3", "wrong.gin:3"),
    (
      "import little_library\nlittle_library.train.steps = %N",
      "N must be set: --gin_bindings='N=...'",
    ),
    (
      "import little_library\nlittle_library.train.images = %gin.REQUIRED",
      r"little_library.train.images must be set: .*train.images=\"...\"'",
    ),
    (
      "import little_library\nlittle_library.train.steps = 3",
      "train needs 'images'",
    ),
  ],
)
def test_a_wrong_file_is_named_with_its_line(folder, text, message):
  (folder / "wrong.gin").write_text(
    f"from __gin__ import dynamic_registration\n{text}\n"
  )
  with pytest.raises(errors.UsageError, match=message):
    _run(files=["wrong.gin"])


def test_a_file_for_another_tool_is_refused():
  with pytest.raises(errors.UsageError, match="set nothing of .*inner"):
    _run('IMAGES="a"', function="inner")


def test_later_lines_replace_included_and_earlier_ones(folder):
  (folder / "later.gin").write_text(_CONFIG + "STEPS = 5\nRATE = 0.25\n")
  assert _run('IMAGES="a"', files=["later.gin"]) == ("a", 5, 0.25)


def test_an_include_replaces_earlier_lines_and_errors_keep_their_lines(folder):
  text = (
    "from __gin__ import dynamic_registration\n"
    "import little_library\n"
    "RATE = 7\n"
    'include "fragment.gin"\n'
    "little_library.train.steps = 3\n"
    'little_library.train.images = "a"\n'
    "little_library.train.optimizer = @little_library.Optimizer()\n"
  )
  (folder / "before.gin").write_text(text)
  assert _run(files=["before.gin"]) == ("a", 3, 0.5)
  (folder / "before.gin").write_text(text + "little_library.train.stps = 3\n")
  with pytest.raises(errors.UsageError, match="before.gin:8.*steps"):
    _run(files=["before.gin"])


def test_a_missing_file_suggests_similar_ones(folder, monkeypatch):
  (folder / "gin_configs/pretrain").mkdir(parents=True)
  (folder / "gin_configs/pretrain/quickstart.gin").write_text("")
  monkeypatch.setattr(gin_files, "_ROOT", folder)
  with pytest.raises(
    errors.UsageError,
    match="quikstart.gin: no such file; did you mean "
    "gin_configs/pretrain/quickstart.gin?",
  ):
    gin_files.find("pretrain/quikstart.gin")


def test_a_file_is_found_in_the_checkout_from_anywhere(folder, monkeypatch):
  (folder / "elsewhere").mkdir()
  monkeypatch.setattr(gin_files, "_ROOT", folder)
  monkeypatch.chdir(folder / "elsewhere")
  assert _run('IMAGES="a"') == ("a", 3, 0.5)


def test_a_defect_in_an_imported_module_keeps_its_exception(folder):
  (folder / "wrong.gin").write_text("import defect\n")
  with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
    _run(files=["wrong.gin"])


def test_a_wrong_call_inside_the_library_keeps_its_exception(folder):
  (folder / "needy.gin").write_text(
    "from __gin__ import dynamic_registration\n"
    "import little_library\n"
    "little_library.needy.size = 3\n"
  )
  with pytest.raises(TypeError, match="missing 1 required"):
    _run(files=["needy.gin"], function="needy")


def test_the_list_has_each_config_with_its_first_comment(
  folder, monkeypatch, capsys
):
  (folder / "gin_configs/pretrain").mkdir(parents=True)
  (folder / "gin_configs/base").mkdir(parents=True)
  (folder / "gin_configs/base/b.gin").write_text("# A fragment.\n")
  (folder / "gin_configs/pretrain/a.gin").write_text(
    "\n# Learns from cats.\n# At length.\n"
  )
  monkeypatch.setattr(gin_files, "_ROOT", folder)
  gin_files.print_list(["pretrain", "video"])
  assert capsys.readouterr().out == (
    "gin_configs/pretrain/a.gin  Learns from cats.\n"
  )


def test_files_of_spreadsheets_and_windows_are_read(folder):
  for encoding in ("utf-8-sig", "utf-16"):
    (folder / "other.gin").write_bytes(_CONFIG.encode(encoding))
    _run("IMAGES = 'x'", files=["other.gin"])
    _forget()


def test_a_file_that_is_not_text_is_refused(folder):
  (folder / "latin.gin").write_bytes(b"# caf\xe9\n")
  with pytest.raises(errors.UsageError, match="latin.gin.*UTF-8"):
    _run(files=["latin.gin"])


def test_a_binding_that_is_not_utf_8_is_refused():
  with pytest.raises(errors.UsageError, match=r"IMAGES='\\xff': .*UTF-8"):
    _run("IMAGES='\udcff'")


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
