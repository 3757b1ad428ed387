"""Streams that clients hold by an id: so many at a time, and none for longer than it is used. Needs no torch."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from recurra.serving.server.limits import Limits
from recurra.serving.server.problems import Problem, too_many


class Sessions:
    """The sessions of one model, in the event loop's thread."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._held: dict[str, tuple[Any, float]] = {}

    def __len__(self) -> int:
        self._expire()
        return len(self._held)

    def check_room(self) -> None:
        """Raise `Problem` where there are as many as there may be."""
        if len(self) >= self._limits.sessions:
            raise too_many("sessions of this model", self._limits.sessions, 60)

    def add(self, session: Any) -> str:
        """Hold a session; its id, which nobody can guess."""
        self.check_room()
        name = secrets.token_urlsafe(12)
        self._held[name] = (session, self._clock())
        return name

    def find(self, name: str) -> Any:
        """The session of an id, which is now in use. Raises `Problem` for one there is not."""
        self._expire()
        if name not in self._held:
            raise Problem(
                404,
                "there is no such session",
                expected=f"the id of one that was used in the last {self._limits.session_idle:g} seconds",
                got=name,
                next="Open another: POST to …/sessions.",
            )
        session, _ = self._held[name]
        self._held[name] = (session, self._clock())
        return session

    def drop(self, name: str) -> None:
        """Close a session. Raises `Problem` for one there is not."""
        self.find(name)
        del self._held[name]

    def _expire(self) -> None:
        oldest = self._clock() - self._limits.session_idle
        for name in [name for name, (_, used) in self._held.items() if used < oldest]:
            del self._held[name]
