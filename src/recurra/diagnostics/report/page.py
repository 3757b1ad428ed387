"""One HTML file that needs nothing but itself: no network, no script of others."""

from __future__ import annotations

import html
from collections.abc import Iterator
from importlib import resources

from recurra.diagnostics.report.findings import Inspection
from recurra.diagnostics.report.sections import SECTIONS
from recurra.diagnostics.report.shown import escaped
from recurra.diagnostics.report.summary import TITLES, read_of

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(found: Inspection) -> str:
    """The page as one string, to be written in UTF-8. Whatever the text holds is shown and never run."""
    drawn = {key: "".join(draw(found)) for key, draw in SECTIONS.items()}
    names = {key: TITLES[key] for key, content in drawn.items() if content}
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title in names.items())
    sections = "".join(f'<section id="{key}"><h2>{title}</h2>{drawn[key]}</section>' for key, title in names.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escaped(found.name)} – recurra inspect</title>
<style>
{_file("page.css")}</style>
</head>
<body>
<header><div><h1>{escaped(found.name)}</h1><div class="soft">{html.escape(found.about)}</div></div>
<button id="look" type="button">dark / light</button></header>
<p class="soft">Looked at while it read {read_of(found)}, {escaped(found.origin)}.</p>
<nav>{links}</nav>
<main>
{sections}
{"".join(_left_out(found))}</main>
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
