"""Settings of the documentation's site: `make docs`."""

import pathlib
import sys

_DOCS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_DOCS.parent))

from docutils import nodes  # noqa: E402
from pygments.lexers import python, special  # noqa: E402

from docs._generate import pages, sources  # noqa: E402

project = "tf_ssl"
release = str(sources.literal("tf_ssl", "__version__"))
author = "the authors of tf_ssl"
copyright = author

extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["_generate"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
default_role = "code"
smartquotes = False  # Keeps the two hyphens of flags.
highlight_language = "none"
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False

html_theme = "furo"
html_title = f"tf_ssl {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
# Browsers refuse to read other files from a page that is opened as a file.
html_show_search_summary = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _with_dashes(app, doctree):
  """Replaces the hyphens that Sphinx writes after a parameter's name."""
  del app
  for text in list(doctree.findall(nodes.Text)):
    if text == " -- ":
      text.parent.replace(text, nodes.Text(" – "))


def setup(app):
  """Fills in the parts of pages that are made from other files."""

  def fill(app, docname, source):
    page = pathlib.Path(app.env.doc2path(docname))
    source[0] = pages.filled(source[0], page)

  app.add_lexer("gin", python.PythonLexer)
  # That of Bash takes the values of flags for keywords.
  app.add_lexer("bash", special.TextLexer)
  app.connect("source-read", fill)
  app.connect("doctree-read", _with_dashes)
