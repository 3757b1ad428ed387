"""A small sound file of a format, for every reader to show what it reads."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAYAAAAECAAAAACIbxGfAAAAG0lEQVR4nCXIoQEAAAjAIOb/P2uQSAuGYoA+DyGHAgdSQcBzAAAAAElFTkSuQmCC"
)
"""A picture of 6 × 4 pixels, white with 2 × 2 black ones."""


ARROW = zlib.decompress(
    base64.b64decode(
        "eNrFUisOwkAQfZRtIc2KFYRUIJDI4pD0BCQYND9XiYCEw2Bx3AHTI1RyE3i7nYVmA5qXzL6ZzbydT1ssl4vVFHgSFwAGFik0EsTo"
        "0yM6ijEY9XkqOYGINhe/pp6JsdVncmcR08r1Zl+SK+YYDKhP0HMvGqnX6EYtneXD/nhofPW+t33W5IHEGkPpVLsX0VWufg6PlLF2"
        "XdtZzjJjhA8S/IYWNsI94SzIy4L8iXC7ThTE+BL72X2d+zXdbMe7Zkut/OPpsw/fn+ZWErcJI30ozKQXJfqb6B/CeVD739+4ohXu"
        "n3wBKdYzsw=="
    )
)
"""Two rows, of a `text` and a `label`, as an Arrow file."""


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
