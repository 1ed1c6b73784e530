"""Checks the built site in a headless Chromium, opened from files.

  python docs/check_site.py build/docs [FOLDER_OF_SCREENSHOTS]

No link leads nowhere, no page loads anything from elsewhere, logs an error, has
a broken picture or is wider than a screen of 390 px, and the search finds what
it should. Exits with 1 and a line for each problem. Needs no package; the
environment variable CHROMIUM names another browser than `chromium`.
"""

import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

WIDTHS = (1280, 390)
# Words to search, and the page that has to be among those found.
SEARCHES = {
  "queue_size": "reference/methods.html",
  "collapse": "troubleshooting.html",
  "measure_invariance": "reference/commands.html",
}
# Seconds for all pages, on a busy machine.
_PATIENCE = 1800
# Pages of Sphinx' own without text.
_NOT_TEXT = ("genindex.html", "search.html", "py-modindex.html")
# Opens each frame, one after the other, and replaces its own text by JSON.
_HARNESS = """<!doctype html><meta charset="utf-8"><script>
const frames = FRAMES, found = [];
const pause = path => path.includes("?") ? 2000 : 50;  // A search takes time.
function load(path, width) {
  return new Promise(done => {
    const frame = document.createElement("iframe");
    frame.style = `width: ${width}px; height: 900px; border: 0`;
    frame.onload = () => setTimeout(() => done(frame), pause(path));
    frame.src = "SITE/" + path;
    document.body.append(frame);
  });
}
async function run() {
  for (const [path, width] of frames) {
    const frame = await load(path, width), page = frame.contentDocument;
    const row = {path, width};
    if (page) {
      const results = page.querySelectorAll("ul.search li > a");
      row.wide = page.documentElement.scrollWidth;
      row.broken = [...page.images]
        .filter(x => x.complete && !x.naturalWidth).map(x => x.src);
      row.results = [...results].map(x => x.href);
    }
    found.push(row);
    frame.remove();
  }
  document.body.innerHTML = "";
  document.body.textContent = "FOUND" + JSON.stringify(found) + "END";
}
addEventListener("load", run);
</script><body></body>"""


class _Page(html.parser.HTMLParser):
  """Links, loads and anchors of a page."""

  def __init__(self):
    super().__init__()
    self.links, self.loads, self.anchors = [], [], {""}

  def handle_starttag(self, tag, attrs):
    for name, value in attrs:
      if name in ("id", "name") and value:
        self.anchors.add(value)
      elif name == "href" and tag == "a":
        self.links.append(value or "")
      elif name in ("src", "href", "data", "poster", "srcset", "action"):
        self.loads.append(value or "")


class Frame(NamedTuple):
  """A page to open.

  Attributes:
    path: path in the site, with a query if it is a search.
    width: width of the screen in px.
  """

  path: str
  width: int


def main(site: pathlib.Path, screenshots: pathlib.Path | None) -> list[str]:
  """Returns a line for each problem; `screenshots` gets a picture per page."""
  problems = [*problems_of_files(site)]
  pages = sorted(
    path.relative_to(site).as_posix() for path in site.rglob("*.html")
  )
  searches = [f"search.html?q={word}" for word in SEARCHES]
  wide, narrow = (
    [Frame(path, width) for path in [*pages, *searches]] for width in WIDTHS
  )
  problems += problems_of_console(site, wide)
  problems += problems_of_layout(site, narrow)
  if screenshots:
    screenshots.mkdir(parents=True, exist_ok=True)
    for page in pages:
      if page not in _NOT_TEXT:
        for width in WIDTHS:
          _screenshot(site / page, width, screenshots)
  print(f"{len(pages)} pages of {site}: {len(problems)} problems")
  return problems


def problems_of_files(site: pathlib.Path) -> Iterator[str]:
  """Yields links that lead nowhere, and what would be loaded from elsewhere."""
  pages = {}
  for path in sorted(site.rglob("*.html")):
    pages[path] = _Page()
    pages[path].feed(path.read_text(encoding="utf-8"))
  for path, page in pages.items():
    name = path.relative_to(site)
    for address in page.loads:
      if _is_outside(address):
        yield f"{name} loads {address}"
    for address in [*page.links, *page.loads]:
      if _is_outside(address) or address.startswith(("mailto:", "data:")):
        continue
      target, _, anchor = urllib.parse.unquote(address).partition("#")
      file = (path.parent / target.partition("?")[0]).resolve()
      file = path if not target else file
      if not file.exists():
        yield f"{name} links to {address}, which does not exist"
      elif file in pages and anchor not in pages[file].anchors:
        yield f"{name} links to {address}, which has no such anchor"
  for path in sorted(site.rglob("*.css")):
    for address in re.findall(
      r"(?:url\(|@import)\s*[\"']?([^\"')]+)", path.read_text(encoding="utf-8")
    ):
      if _is_outside(address):
        yield f"{path.relative_to(site)} loads {address}"


def problems_of_console(
  site: pathlib.Path, frames: Sequence[Frame]
) -> list[str]:
  """Returns what pages log as errors, with the rights of any opened file."""
  text, log = _run(site, frames, [])
  if "FOUND" not in text:
    return [f"Chromium ended without a result: {log[-1000:]}"]
  return sorted(set(re.findall(r"INFO:CONSOLE[^\]]*\] (.*)", log)))


def problems_of_layout(
  site: pathlib.Path, frames: Sequence[Frame]
) -> Iterator[str]:
  """Yields broken pictures, pages that scroll sideways, and failed searches."""
  text, log = _run(site, frames, ["--allow-file-access-from-files"])
  match = re.search(r"FOUND(\[.*?\])END", text, re.DOTALL)
  if not match:
    yield f"Chromium ended without a result: {log[-1000:]}"
    return
  rows = json.loads(html.unescape(match[1]))
  for row in rows:
    name = f"{row['path']} at {row['width']} px"
    if row["wide"] > row["width"]:
      yield f"{name} is {row['wide']} px wide"
    for address in row["broken"]:
      yield f"{name} has a broken picture, {address}"
    _, is_search, word = row["path"].partition("?q=")
    if is_search and not any(SEARCHES[word] in x for x in row["results"]):
      yield f"a search for {word} finds {row['results'][:5]}"


def _run(
  site: pathlib.Path, frames: Sequence[Frame], options: Sequence[str]
) -> tuple[str, str]:
  """Opens pages one after the other; returns the document and the log."""
  text = _HARNESS.replace("FRAMES", json.dumps(frames))
  text = text.replace("SITE", site.resolve().as_uri())
  with tempfile.TemporaryDirectory() as folder:
    harness = pathlib.Path(folder) / "harness.html"
    harness.write_text(text, encoding="utf-8")
    done = _chromium([*options, "--dump-dom", harness.as_uri()])
  return done.stdout, done.stderr


def _screenshot(page: pathlib.Path, width: int, folder: pathlib.Path) -> None:
  name = f"{page.parent.name}-{page.stem}-{width}.png"
  _chromium(
    [
      "--hide-scrollbars",
      f"--window-size={width},1600",
      f"--screenshot={folder.resolve() / name}",
      page.resolve().as_uri(),
    ]
  )


def _chromium(options: Sequence[str]) -> subprocess.CompletedProcess:
  with tempfile.TemporaryDirectory() as profile:
    return subprocess.run(
      [
        browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--virtual-time-budget=600000",
        f"--user-data-dir={profile}",
        *options,
      ],
      capture_output=True,
      text=True,
      timeout=_PATIENCE,
    )


def browser() -> str:
  """Returns the path of Chromium; "" if there is none."""
  return shutil.which(os.environ.get("CHROMIUM", "chromium")) or ""


def _is_outside(address: str) -> bool:
  return bool(re.match(r"(https?:)?//|ftp:", address.strip()))


if __name__ == "__main__":
  _, site_folder, *rest = sys.argv
  found = main(pathlib.Path(site_folder), pathlib.Path(*rest) if rest else None)
  print("\n".join(found), end="\n" if found else "")
  sys.exit(bool(found))
