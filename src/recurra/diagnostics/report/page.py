"""One HTML file that needs nothing but itself: no network, no script of others."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources

from recurra.diagnostics.report.findings import Inspection
from recurra.diagnostics.report.sections import SECTIONS, ordered
from recurra.diagnostics.report.summary import TITLES, read_of
from recurra.figures.drawing import drawings_in, style
from recurra.figures.shown import escaped

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(found: Inspection) -> str:
    """The page as one string, to be written in UTF-8. Whatever the text holds is shown and never run."""
    drawn = {key: "".join(SECTIONS[key](found)) for key in ordered(found)}
    parts = {key: (TITLES[key], content) for key, content in drawn.items() if content}
    lead = f"Looked at while it read {read_of(found)}, {escaped(found.origin)}."
    return document(f"{escaped(found.name)} – recurra inspect", found.name, found.about, lead, parts, _left_out(found))


def figures(found: Inspection) -> dict[str, str]:
    """Every drawing of the page as an SVG file of its own, by name: its section and number."""
    return {
        f"{key}-{n}.svg": svg
        for key in ordered(found)
        for n, svg in enumerate(drawings_in("".join(SECTIONS[key](found))), 1)
    }


def document(
    title: str, name: str, about: str, lead: str, parts: Mapping[str, tuple[str, str]], last: Iterable[str] = ()
) -> str:
    """A whole page of parts, each a key with a title and HTML. `title` and `lead` are HTML, `name` and `about` text."""
    links = "".join(f'<a href="#{key}">{named}</a>' for key, (named, _) in parts.items())
    sections = [f'<section id="{key}"><h2>{named}</h2>{content}</section>' for key, (named, content) in parts.items()]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{title}</title>
<style>
{style()}{_file("page.css")}</style>
</head>
<body>
<header><div><h1>{escaped(name)}</h1><div class="soft">{html.escape(about)}</div></div>
<button id="look" type="button">dark / light</button></header>
<p class="soft">{lead}</p>
<nav>{links}</nav>
<main>
{"".join(sections[:1])}
<div class="rest">
{"".join(sections[1:])}
{"".join(last)}</div>
</main>
<div id="status" role="status"></div>
<script>
{_file("page.js")}</script>
</body>
</html>
"""


def _left_out(found: Inspection) -> Iterator[str]:
    if found.left_out:
        yield '<section id="left_out"><h2>Left out</h2>'
        for key, sentence in found.left_out.items():
            yield f'<p><b>{html.escape(TITLES.get(key, key))}.</b> <span class="soft">{escaped(sentence)}</span></p>'
        yield "</section>"


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
