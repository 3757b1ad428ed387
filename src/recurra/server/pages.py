"""The page's files: a fixed few, read once, found by their names. Needs no torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
INDEX = "index.html"


@dataclass(frozen=True)
class File:
    """A file's content, its media type, and a mark that changes with it."""

    content: bytes
    media_type: str
    mark: str


def page_files() -> dict[str, File]:
    """The files by name."""
    folder = resources.files("recurra.server") / "ui"
    found = {}
    for each in folder.iterdir():
        kind = each.name.rpartition(".")[2]
        if kind in TYPES:
            content = each.read_bytes()
            found[each.name] = File(content, TYPES[kind], f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return found
