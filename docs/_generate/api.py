"""The API reference, made from the sources of the public names."""

import re

from docs._generate import sources


def public_names() -> dict[str, str]:
  """Returns the modules that define the public names, by name."""
  return dict(sources.literal("tf_ssl", "_MODULES"))


def page(google_to_fields) -> str:
  """Returns reStructuredText: each public name, and what functions return.

  Args:
    google_to_fields: function that turns a docstring of Google's style and the
      kind of its object into reStructuredText.
  """
  parts, seen = [], set()
  for name, module in public_names().items():
    found = sources.find(f"{module}.{name}")
    returned = _returned(found)
    for each, shown in ((found, f"tf_ssl.{name}"), (returned, None)):
      if each and each.node.name not in seen:
        seen.add(each.node.name)
        parts.append(_entry(each, shown, google_to_fields))
  return "\n\n".join(parts)


def _returned(found: sources.Definition) -> sources.Definition | None:
  """The class of the result, if the function's own module defines it."""
  if found.is_class or found.node.returns is None:
    return None
  name = re.sub(r'[\'"]', "", sources.written(found.node.returns))
  return sources.find(f"{found.module}.{name}")


def _entry(
  found: sources.Definition, name: str | None, google_to_fields
) -> str:
  name = name or f"{found.module}.{found.node.name}"
  kind = "class" if found.is_class else "function"
  lines = [name, "-" * len(name), ""]
  lines += [f".. py:{kind}:: {name}{found.signature()}", ""]
  lines += _indented(google_to_fields(found.docstring, kind))
  if found.is_class:
    for method in found.methods():
      lines += _indented(_method(method, google_to_fields))
  return "\n".join(lines)


def _method(method: sources.Definition, google_to_fields) -> str:
  if method.is_property:
    head = f".. py:property:: {method.node.name}"
    if method.node.returns:
      head += f"\n   :type: {sources.written(method.node.returns)}"
  else:
    head = f".. py:method:: {method.node.name}{method.signature()}"
  body = _indented(google_to_fields(method.docstring, "method"))
  return "\n".join([head, "", *body, ""])


def _indented(text: str) -> list[str]:
  return [f"   {line}" if line else "" for line in text.splitlines()] + [""]
