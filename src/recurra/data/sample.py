"""A small sound file of a format, for every reader to show what it reads."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAYAAAAECAAAAACIbxGfAAAAG0lEQVR4nCXIoQEAAAjAIOb/P2uQSAuGYoA+DyGHAgdSQcBzAAAAAElFTkSuQmCC"
)
"""A picture of 6 × 4 pixels, white with 2 × 2 black ones."""


def zipped(*names: str) -> bytes:
    """A zip archive that holds the picture under each name."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        for name in names:
            file.writestr(name, PNG)
    return held.getvalue()


@dataclass(frozen=True)
class Sample:
    """The files that a reader reads together, by name, as text or as bytes, and how many examples are in them.

    Text holds a letter beyond ASCII, so that its encoding can be seen to be heeded.
    """

    files: Mapping[str, str | bytes]
    count: int
    folder: bool = False
    """Whether they are named by their folder."""
    beside: Mapping[str, bytes] = field(default_factory=dict)
    """Files that lie beside them and are not named: recordings."""
    sniffed: bool = True
    """Whether the reader takes such a file by its contents."""
