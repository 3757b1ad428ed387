"""The site of docs/: pages are listed, and a build names whatever is broken in them. `make docs` builds the whole."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BUILD = """
import importlib.util, sys
from sphinx.cmd.build import main

docs, out, own = sys.argv[1:]
if own:
    spec = importlib.util.spec_from_file_location("recurra.own", own)
    sys.modules["recurra.own"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["recurra.own"])
sys.exit(main(["--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", CONF, docs, out]))
""".replace("CONF", repr(str(DOCS / "site")))
SOUND = {
    "index.md": "# All\n\n## First\n\n- [A page](page.md), [its part](page.md#a-part), [names](api/own.md)\n",
    "page.md": (
        "# A page\n\n## A part\n\nOf $`h_t`$ and `$code$`, as [the test](../mine.py) has it:\n\n"
        "```math\n\\begin{aligned} h &= \\tanh(U x) \\\\ y &= V h \\end{aligned}\n```\n\n```sh\necho '$`x`$'\n```\n"
    ),
    "api/own.md": "# recurra.own\n\nWhat is there.\n",
}
BROKEN = {
    "index.md": "# All\n\n## First\n\n- [A page](page.md)\n- [None](missing.md)\n- [The reference](api/own.md)\n",
    "page.md": "# A page\n\n[part](#nowhere) [other](index.md#nowhere) [file](../gone.py) $`\\nosuch`$\n",
    "unlisted.md": "# Nobody finds it\n",
    "api/own.md": "# recurra.own\n",
}
WARNED = [
    "nonexisting document 'missing'",
    "target not found: 'nowhere'",
    "in doc 'index': 'nowhere'",
    "../gone.py, which is not there",
    'Unknown command "\\nosuch"',
    "unlisted.md: WARNING: document isn't included in any toctree",
    *(f"recurra.own.{name} is public and says nothing" for name in ("LIMIT", "Layer", "Layer.step", "run")),
]
OWN = '''
__all__ = ["LIMIT", "Layer", "run"]
LIMIT: int = 3
"""The **most** of `them_`."""

class Layer:
    """A layer_ of |H| units*."""

    def step(self, x: int = LIMIT) -> int:
        """One step."""
        return x

def run(layer: Layer, *, seed: int | None = None) -> list[str]:
    """Go."""
    return []
'''


def build(at: Path, pages: dict[str, str], own: str) -> tuple[int, str, Path]:
    """The exit code of a build of these pages, what was said, and where the site is."""
    for name, text in pages.items():
        (at / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (at / "docs" / name).write_text(text, encoding="utf-8")
    (at / "mine.py").write_text(own, encoding="utf-8")
    words = [sys.executable, "-c", BUILD, str(at / "docs"), str(at / "site"), str(at / "mine.py")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=at)
    return done.returncode, done.stderr, at / "site"


def test_a_sound_site(tmp_path: Path) -> None:
    code, said, site = build(tmp_path, SOUND, OWN)
    assert (code, said) == (0, "")
    page = (site / "page.html").read_text(encoding="utf-8")
    assert page.count("<math") == 2 and "<mtable" in page and "$code$" in page
    assert "the test (<code" in page and "mine.py" in page  # a file that is no page is named
    assert "$`x`$" in page.replace("&#39;", "'")  # code stays as it is
    names = (site / "api" / "own.html").read_text(encoding="utf-8")
    plain = re.sub("<[^>]*>", "", names)
    for said in (
        "class recurra.own.Layer",
        "A layer_ of |H| units*.",
        "One step.",
        "seed: int | None = None",
        "The **most**",
    ):
        assert said in plain
    assert "step" in (site / "searchindex.js").read_text(encoding="utf-8")
    for text in (page, names):  # a reader needs no network
        assert not re.findall(r'(?:src|<link[^>]* href)="[^"]*//[^"]*"', text)


def test_what_is_broken_is_named(tmp_path: Path) -> None:
    bare = OWN.replace('    """A layer_ of |H| units*."""\n', "").replace('        """One step."""\n', "")
    bare = bare.replace('"""The **most** of `them_`."""\n', "").replace('    """Go."""\n', "")
    code, said, _ = build(tmp_path, BROKEN, bare)
    assert code != 0
    for what in WARNED:
        assert what in said, (what, said)


def test_every_page_is_listed() -> None:
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"index.md"}
    listed = re.findall(r"\]\(([^()#]+\.md)\)", (DOCS / "index.md").read_text(encoding="utf-8"))
    assert pages - {*listed} == set(), "docs/index.md has no link to it"
    assert {*listed} - pages == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_pages_beside_it(page: str) -> None:
    targets = re.findall(r"\]\(([^()#:]+)(?:#[^()]*)?\)", (ROOT / page).read_text(encoding="utf-8"))
    assert targets and [each for each in targets if not (ROOT / each).exists()] == []
