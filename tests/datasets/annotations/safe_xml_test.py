"""XML that is fine, damaged, or written to do harm."""

import sys

import pytest

from tf_ssl.datasets.annotations import safe_xml


def test_elements_and_their_text_are_read(tmp_path):
  file = tmp_path / "a.xml"
  file.write_text("<a><b>1 &amp; 2</b><b/></a>")
  root = safe_xml.parse(str(file))
  assert root.tag == "a" and root.findtext("b") == "1 & 2"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_grow_are_never_expanded(tmp_path, encoding):
  entities = '<!ENTITY e0 "ha">' + "".join(
    f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12)
  )
  file = tmp_path / "bomb.xml"
  file.write_text(
    f'<?xml version="1.0"?><!DOCTYPE a [{entities}]><a>&e11;</a>', encoding
  )
  with pytest.raises(ValueError, match="^XML with a document type$"):
    safe_xml.parse(str(file))


def test_other_files_are_never_read(tmp_path):
  (tmp_path / "secret").write_text("secret")
  file = tmp_path / "a.xml"
  file.write_text(
    f'<!DOCTYPE a [<!ENTITY x SYSTEM "{tmp_path}/secret">]><a>&x;</a>'
  )
  with pytest.raises(ValueError, match="^XML with a document type$"):
    safe_xml.parse(str(file))


@pytest.mark.parametrize(
  "content",
  [b"", b"<a>", b"\xff\xd8\xff", b"<a>&x;</a>", b"<?xml encoding='no-such'?>"],
)
def test_what_is_not_xml_is_refused(tmp_path, content):
  (tmp_path / "a.xml").write_bytes(content)
  with pytest.raises(ValueError, match="^not XML$"):
    safe_xml.parse(str(tmp_path / "a.xml"))


def test_a_file_that_is_too_large_or_a_folder_is_refused(tmp_path, monkeypatch):
  (tmp_path / "a.xml").write_text("<a>1</a>")
  with pytest.raises(ValueError, match="^XML that cannot be read$"):
    safe_xml.parse(str(tmp_path))
  monkeypatch.setattr(safe_xml, "_MAX_BYTES", 7)
  with pytest.raises(ValueError, match="^XML of more than 7 bytes$"):
    safe_xml.parse(str(tmp_path / "a.xml"))
  with pytest.raises(FileNotFoundError):
    safe_xml.parse(str(tmp_path / "b.xml"))


if __name__ == "__main__":
  sys.exit(pytest.main([__file__]))
