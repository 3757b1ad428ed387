"""Pieces of HTML that the parts of a page share."""

from __future__ import annotations

import html
from collections.abc import Sequence


def lead(shows: str, *here: str) -> str:
    """What a picture shows, and what is to be concluded from it here, a sentence each or some."""
    sentences = "".join(f'<p class="here">{html.escape(each)}</p>' for each in here)
    return f'<p class="shows">{html.escape(shows)}</p>{sentences}'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], raw: bool = False) -> str:
    """`raw`: the cells are HTML already."""
    cells = "".join(
        "<tr>" + "".join(f"<td>{cell if raw else html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return f'<div class="wide" tabindex="0"><table><tr>{names}</tr>{cells}</table></div>'
