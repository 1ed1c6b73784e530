"""Pages that open offline: one style, and templates that never trust names."""

from typing import Any

import jinja2

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
  max-width: 1080px; margin: 0 auto; padding: 1.5em; }
h1 { font-size: 1.8em; line-height: 1.2; margin: 0 0 .4em; }
h2 { font-size: 1.3em; margin: 2em 0 .5em; border-bottom: 1px solid #ddd; }
h3 { font-size: 1.05em; margin: 1.4em 0 .3em; }
img { max-width: 100%; height: auto; display: block; }
table { border-collapse: collapse; font-size: .9em; width: 100%; }
.wide { overflow-x: auto; }
th, td { padding: .3em .6em; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e4e4e4; overflow-wrap: anywhere; }
th { border-bottom: 2px solid #888; overflow-wrap: normal; }
th[scope] { border-bottom: 1px solid #e4e4e4; }
.n { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
figure { margin: .4em 0; }
figcaption { font-size: .85em; color: #555; }
pre { background: #f5f5f5; padding: .6em; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .85em; }
.small { font-size: .88em; color: #555; }
"""


def render(template: str, **values: Any) -> str:
  """Fills a Jinja2 template; whatever values hold is text, never markup.

  Args:
    template: with a name for each value, and none besides.
    **values: of the names.
  """
  environment = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  return environment.from_string(template).render(**values)
