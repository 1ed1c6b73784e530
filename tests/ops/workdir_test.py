"""Atomic replacement, locks and folders with a key, with real processes."""

import errno
import json
import os
import shutil
import signal
import sys
import time

import pytest
import tensorflow as tf

from tf_ssl import errors
from tf_ssl.ops import child_process, workdir

_NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _fill(path, *, overwrite=False, text="new"):
  with workdir.replacing_folder(path, overwrite=overwrite) as folder:
    assert not os.listdir(folder)
    with open(os.path.join(folder, "file"), "w", encoding="utf-8") as file:
      file.write(text)


def test_a_file_appears_when_the_body_ends(tmp_path):
  path = tmp_path / "file"
  path.write_text("old")
  with workdir.replacing_file(path) as temporary:
    temporary.write_text("new")
    assert workdir.is_temporary(temporary)
    assert path.read_text() == "old"
  assert path.read_text() == "new"
  assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [_NO_SPACE, ZeroDivisionError()])
def test_a_failed_write_keeps_the_old_file(tmp_path, error):
  path = tmp_path / "file"
  path.write_text("old")
  with pytest.raises(type(error)), workdir.replacing_file(path) as temporary:
    temporary.write_text("half")
    raise error
  assert path.read_text() == "old"
  assert os.listdir(tmp_path) == ["file"]


def test_a_killed_writer_leaves_the_old_file_and_a_temporary(tmp_path):
  path = tmp_path / "file"
  path.write_text("old")
  code = """
import os, signal, sys
from tf_ssl.ops import workdir
with workdir.replacing_file(sys.argv[1]) as temporary:
  temporary.write_text("half")
  os.kill(os.getpid(), signal.SIGKILL)
"""
  process = child_process.start_python(code, str(path))
  assert process.wait(60) == -signal.SIGKILL
  assert path.read_text() == "old"
  assert len(os.listdir(tmp_path)) == 2

  workdir.remove_temporaries(tmp_path)

  assert os.listdir(tmp_path) == ["file"]


def test_temporaries_of_one_name_can_be_removed(tmp_path):
  for name in ("a" * 60, "a" * 60 + "b"):
    with workdir.replacing_folder(tmp_path / name) as temporary:
      os.mkdir(temporary + "/sub")
      shutil.copytree(temporary, temporary[: -len(".tmp")] + "0.tmp")
  assert sum(map(workdir.is_temporary, os.listdir(tmp_path))) == 2

  workdir.remove_temporaries(tmp_path, "a" * 60)

  (left,) = filter(workdir.is_temporary, os.listdir(tmp_path))
  workdir.remove_temporaries(tmp_path, "a" * 60 + "b")
  assert left not in os.listdir(tmp_path)


def test_a_file_is_replaced_only_if_asked(tmp_path):
  path = tmp_path / "file"
  path.write_text("old")
  with pytest.raises(errors.UsageError, match="file .*overwrite"):
    with workdir.replacing_file(path, overwrite=False):
      pytest.fail("must not be reached")
  assert path.read_text() == "old"


def test_long_names_have_temporaries(tmp_path):
  workdir.write_text(tmp_path / ("ü" * 127), "text")
  assert (tmp_path / ("ü" * 127)).read_text() == "text"


def test_text_that_is_not_unicode_survives(tmp_path):
  name = os.fsdecode(b"caf\xe9.jpg")
  workdir.write_text(tmp_path / "file", name)
  assert (tmp_path / "file").read_bytes() == b"caf\xe9.jpg"


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[" * 100_000])
def test_damaged_json_reads_as_none(tmp_path, content):
  path = tmp_path / "file.json"
  if content is not None:
    path.write_bytes(content)
  assert workdir.read_json(path) is None


def test_json_is_read_as_written(tmp_path):
  workdir.write_json(tmp_path / "file.json", {"a": [1, None]})
  assert workdir.read_json(tmp_path / "file.json") == {"a": [1, None]}


def test_a_folder_appears_with_its_parents(tmp_path):
  _fill(tmp_path / "a" / "b")
  assert (tmp_path / "a" / "b" / "file").read_text() == "new"
  assert os.listdir(tmp_path / "a") == ["b"]


def test_an_empty_folder_is_replaced_without_asking(tmp_path):
  (tmp_path / "b").mkdir()
  _fill(tmp_path / "b")
  assert (tmp_path / "b" / "file").read_text() == "new"


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_a_folder_replaces_others_only_if_asked(tmp_path, kind):
  path = tmp_path / "b"
  if kind == "folder":
    path.mkdir()
    (path / "old").write_text("old")
  elif kind == "file":
    path.write_text("old")
  else:
    path.symlink_to(tmp_path / "nowhere")
  with pytest.raises(errors.UsageError, match="b .*overwrite"):
    _fill(path)

  _fill(path, overwrite=True)

  assert os.listdir(path) == ["file"]
  assert os.listdir(tmp_path) == ["b"]


def test_a_failure_keeps_the_old_folder(tmp_path):
  _fill(tmp_path / "b", text="old")
  with pytest.raises(ZeroDivisionError):
    with workdir.replacing_folder(tmp_path / "b", overwrite=True):
      raise ZeroDivisionError
  assert (tmp_path / "b" / "file").read_text() == "old"
  assert os.listdir(tmp_path) == ["b"]


def test_a_failed_move_restores_the_old_folder(tmp_path, monkeypatch):
  _fill(tmp_path / "b", text="old")
  replace, calls = os.replace, []

  def fail_second(source, target):
    calls.append(source)
    if len(calls) == 2:
      raise _NO_SPACE
    replace(source, target)

  monkeypatch.setattr(os, "replace", fail_second)
  with pytest.raises(errors.UsageError, match=str(tmp_path / "b")):
    _fill(tmp_path / "b", overwrite=True)
  assert (tmp_path / "b" / "file").read_text() == "old"
  assert os.listdir(tmp_path) == ["b"]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
  with pytest.raises(errors.UsageError, match="No space left.*--out"):
    with workdir.replacing_folder(tmp_path / "b", argument="--out"):
      raise _NO_SPACE
  assert not os.listdir(tmp_path)


def test_a_file_as_parent_is_named(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UsageError, match="file/b.*Not a directory"):
    _fill(tmp_path / "file" / "b")


@pytest.mark.parametrize(
  "error",
  [
    _NO_SPACE,
    tf.errors.ResourceExhaustedError(
      None, None, "/a/b.index; No space left on device"
    ),
    tf.errors.FailedPreconditionError(
      None, None, "/a/b.index; Read-only file system"
    ),
  ],
)
def test_write_errors_name_path_and_argument(error):
  with pytest.raises(errors.UsageError, match="/a.*(space|Read-only).*--out"):
    with workdir.writable("/a", "--out"):
      raise error


@pytest.mark.parametrize(
  "error",
  [
    ValueError("a defect"),
    errors.UsageError("another argument"),
    tf.errors.ResourceExhaustedError(
      None, None, "OOM when allocating tensor with shape[1024,1024]"
    ),
  ],
)
def test_other_errors_pass(error):
  with pytest.raises(type(error)) as caught, workdir.writable("/a", "--out"):
    raise error
  assert caught.value is error


def test_a_full_disk_is_told_apart_from_a_missing_file(full_disk, tmp_path):
  with pytest.raises(workdir.WriteError, match="/a.*--out"):
    with workdir.enough_space("/a", "--out"), full_disk(10):
      (tmp_path / "file").write_bytes(bytes(20))
  with pytest.raises(workdir.WriteError, match="/a.*--out"):
    with workdir.enough_space("/a", "--out"), full_disk(10):
      tf.io.write_file(str(tmp_path / "other"), "0" * 20_000)
  with pytest.raises(FileNotFoundError), workdir.enough_space("/a", "--out"):
    (tmp_path / "missing").read_bytes()


@pytest.mark.parametrize("name", ["a[1]", "b*", "c?.d", "plain", "e\\f"])
def test_tensorflow_reads_paths_with_wildcards(tmp_path, name):
  folder = tmp_path / "r[0]"
  variable = tf.Variable([1.0, 2.0])
  prefix = str(folder / name)
  tf.train.Checkpoint(v=variable).write(prefix)
  (folder / f"{name}2.index").write_text("another")
  with workdir.without_wildcards(prefix) as readable:
    reader = tf.train.load_checkpoint(readable)
    assert reader.get_tensor("v/.ATTRIBUTES/VARIABLE_VALUE").tolist() == [1, 2]
  module = tf.Module()
  module.v = variable
  saved = folder / name / "model"
  tf.saved_model.save(module, str(saved))
  for path in (saved, saved.parent):
    with workdir.without_wildcards(path) as readable:
      assert os.path.isdir(readable)
  with workdir.without_wildcards(saved) as readable:
    assert tf.saved_model.load(readable).v.numpy().tolist() == [1, 2]


def test_a_missing_path_with_wildcards_is_missing(tmp_path):
  for path in (tmp_path / "a[1]", tmp_path / "no[1]" / "b"):
    with workdir.without_wildcards(path) as readable:
      assert not os.path.exists(readable)


_HOLD = """
import sys, time
from tf_ssl.ops import workdir
with workdir.locked(sys.argv[1], "--out"):
  print("locked", flush=True)
  time.sleep(600)
"""


def test_kill_9_releases_the_lock(tmp_path):
  holder = child_process.start_python(_HOLD, str(tmp_path), stdout=-1)
  try:
    assert holder.stdout.readline() == b"locked\n"
    with pytest.raises(
      errors.UsageError, match=f"{tmp_path}.*{holder.pid}.*--out"
    ):
      with workdir.locked(tmp_path, "--out"):
        pytest.fail("must not be reached")
    waits = []

    def wait():
      waits.append(holder.poll())
      holder.kill()
      holder.wait()

    with workdir.locked(tmp_path, "--out", wait=wait):
      assert waits == [None]
      assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
  finally:
    holder.kill()
    holder.wait()
    holder.stdout.close()


@pytest.mark.parametrize(
  "code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL]
)
def test_a_file_system_without_locks_is_warned_about_once(
  tmp_path, monkeypatch, code
):
  def flock(*ignored):
    raise OSError(code, os.strerror(code))

  monkeypatch.setattr(workdir.fcntl, "flock", flock)
  with pytest.warns(UserWarning, match=str(tmp_path)) as warned:
    with workdir.locked(tmp_path, "--out"):
      (tmp_path / "file").write_text("written")
  assert len(warned) == 1


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EACCES])
def test_a_lock_of_another_machine_is_in_use(tmp_path, monkeypatch, code):
  def flock(*ignored):
    raise OSError(code, os.strerror(code))

  monkeypatch.setattr(workdir.fcntl, "flock", flock)
  with pytest.raises(errors.UsageError, match=f"{tmp_path} is in use.*--out"):
    with workdir.locked(tmp_path, "--out"):
      pytest.fail("must not be reached")


def test_a_lock_file_that_its_holder_removes_locks_nobody_in(tmp_path):
  with workdir.locked(tmp_path, "--out"):
    (tmp_path / workdir.LOCK_FILE).unlink()
    with workdir.locked(tmp_path, "--out"):
      assert (tmp_path / workdir.LOCK_FILE).exists()


def test_a_lock_that_is_removed_while_another_waits_is_made_again(
  tmp_path, monkeypatch
):
  flock, calls = workdir.fcntl.flock, []

  def removed_in_between(descriptor, operation):
    if not calls:
      (tmp_path / workdir.LOCK_FILE).unlink()
    calls.append(descriptor)
    flock(descriptor, operation)

  monkeypatch.setattr(workdir.fcntl, "flock", removed_in_between)
  with workdir.locked(tmp_path, "--out"):
    with pytest.raises(errors.UsageError, match="in use"):
      with workdir.locked(tmp_path, "--out"):
        pytest.fail("must not be reached")


def test_a_lock_is_free_after_the_body(tmp_path):
  for _ in range(2):
    with workdir.locked(tmp_path, "--out"):
      pass


def test_a_child_that_inherits_the_lock_holds_it(tmp_path):
  with workdir.locked(tmp_path, "--out") as descriptor:
    child = child_process.start(
      ["sleep", "600"], pass_fds=[descriptor], stdin=-3
    )
  try:
    with pytest.raises(errors.UsageError, match=str(tmp_path)):
      with workdir.locked(tmp_path, "--out"):
        pytest.fail("must not be reached")
  finally:
    child.kill()
    child.wait()
  deadline = time.monotonic() + 60
  while time.monotonic() < deadline:
    with workdir.locked(tmp_path, "--out", wait=lambda: time.sleep(0.01)):
      return


def _open(folder, key, **options):
  options["key_file"] = "key.json"
  return workdir.open_keyed(folder, key, "--out", **options)


def test_content_of_one_key_is_resumed(tmp_path):
  folder = tmp_path / "a" / "b"
  assert not _open(folder, {"seed": 1, "size": (2, 3)})
  (folder / "content").write_text("")
  assert _open(folder, {"seed": 1, "size": (2, 3)})
  assert (folder / "content").exists()


def test_content_of_another_key_is_refused(tmp_path):
  _open(tmp_path, {"seed": 1, "size": 2})
  (tmp_path / "content").write_text("")
  with pytest.raises(errors.UsageError) as error:
    _open(tmp_path, {"seed": 2, "size": 2})
  assert "(different: seed)" in str(error.value)
  assert "--out" in str(error.value)
  assert (tmp_path / "content").exists()


def test_content_of_another_key_is_replaced_if_asked(tmp_path):
  lines = []
  with workdir.locked(tmp_path, "--out"):
    _open(tmp_path, {"seed": 1})
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "content").write_text("")
    assert not _open(
      tmp_path, {"seed": 2}, on_change="replace", say=lines.append
    )
    with pytest.raises(errors.UsageError), workdir.locked(tmp_path, "--out"):
      pytest.fail("the lock file must survive a replacement")
  assert len(lines) == 1 and "seed" in lines[0]
  assert sorted(os.listdir(tmp_path)) == [".lock", "key.json"]
  assert json.loads((tmp_path / "key.json").read_text()) == {"seed": 2}


def test_an_interrupted_replacement_is_never_resumed(tmp_path, monkeypatch):
  _open(tmp_path, {"seed": 1})
  (tmp_path / "content").write_text("")
  with monkeypatch.context() as patch:
    patch.setattr(workdir, "_remove", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      _open(tmp_path, {"seed": 2}, on_change="replace")
  assert not _open(tmp_path, {"seed": 1})
  assert os.listdir(tmp_path) == ["key.json"]


def test_files_of_another_origin_are_refused(tmp_path):
  (tmp_path / "thesis.tex").write_text("")
  for on_change in ("refuse", "replace"):
    with pytest.raises(errors.UsageError, match="thesis.tex.*--out"):
      _open(tmp_path, {"seed": 1}, on_change=on_change)
  assert (tmp_path / "thesis.tex").exists()


def test_a_damaged_key_is_another_key(tmp_path):
  _open(tmp_path, {"seed": 1})
  (tmp_path / "key.json").write_text('{"see')
  with pytest.raises(errors.UsageError, match="different: seed"):
    _open(tmp_path, {"seed": 1})


def test_text_with_half_a_character_is_written(tmp_path):
  workdir.write_text(tmp_path / "file", "a\ud800\udcffé")
  assert (tmp_path / "file").read_bytes() == b"a\\ud800\xff" + "é".encode()


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
