"""How much of everything a server takes at a time. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from recurra.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """Raises `ConfigError` for a number below 1."""

    body: int = 1 << 20
    """Bytes of a request's body."""
    body_seconds: float = 20
    """The seconds allowed for receiving the body."""
    inputs: int = 64
    """Inputs of a request."""
    characters: int = 10_000
    """Characters of an input; of one given as tokens, of all of them."""
    squared: int = 2_000
    """The same where time or memory grows with the square: for a translation, and for a Transformer."""
    in_all: int = 100_000
    """Characters of all inputs of a request, and of what is computed at once."""
    file: int = 6 << 20
    """The same of an input that is a file, in base64, and of all of a request."""
    seconds_heard: float = 120
    """Seconds of a recording."""
    blanks: int = 16
    """Blanks of an input."""
    tokens: int = 4_000
    """Tokens of an input that is given as tokens."""
    looked_at: int = 300
    """Symbols that are looked inside at."""
    written: int = 2_000
    """Symbols that are generated for a request, and that a session is fed at once."""
    top: int = 50
    """Alternatives of a symbol or a label."""
    cells: int = 40_000
    """Cells of all attention maps of a request, rows times columns."""
    beam: int = 20
    """Hypotheses beside each other in a search."""
    together: int = 64
    """Inputs computed at once."""
    waiting: int = 256
    """Requests that wait for a model."""
    seconds: float = 60
    """Seconds of a request, those of a stream apart."""
    streams: int = 16
    """Texts of a model that are streamed at once, and predictions of it that are written at once."""
    stream_seconds: float = 300
    """Seconds of a stream."""
    sessions: int = 64
    """Sessions of a model."""
    session_idle: float = 900
    """Seconds after which a session that nobody fed is closed."""
    connections: int = 512
    """Requests of all clients at a time; of more connections, the one that is idle for longest is closed."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < (0.01 if "seconds" in field.name or "idle" in field.name else 1):
                raise ConfigError(f"limit {field.name} = {getattr(self, field.name)}, expected more.")


def size_of(given: str | Sequence[Any]) -> int:
    """The size of an input: its characters, but no token less than one, since an empty one is computed, too; or its
    numbers."""
    if isinstance(given, str):
        return len(given)
    return sum(max(1, len(step)) if isinstance(step, str | list) else 1 for step in given)
