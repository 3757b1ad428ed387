"""Streams that clients hold by an id: so many at a time, and none for longer than it is used. Needs no torch."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from recurra.server.limits import Limits
from recurra.server.problems import Problem, too_many

TOO_SLOW = 504
PERHAPS_READ = 'The symbols may have been read all the same: feed "", whose count says how many were, before going on.'


@dataclass
class Held:
    """A session, when it was used last, and whether it is being fed."""

    session: Any
    used: float
    fed: bool = False


class Sessions:
    """The sessions of one model, in the event loop's thread."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        oldest = self._clock() - self._limits.session_idle
        self._held = {name: held for name, held in self._held.items() if held.used >= oldest or held.fed}
        return len(self._held)

    def check_room(self) -> None:
        """Raise `Problem` where there are as many as there may be."""
        if len(self) >= self._limits.sessions:
            raise too_many("sessions of this model", self._limits.sessions, 60)

    def add(self, session: Any) -> str:
        """Hold a session; its id, which nobody can guess."""
        self.check_room()
        name = secrets.token_urlsafe(12)
        self._held[name] = Held(session, self._clock())
        return name

    def find(self, name: str) -> Any:
        """The session of an id, which is now in use. Raises `Problem` for one there is not."""
        return self._find(name).session

    @contextmanager
    def fed(self, name: str) -> Iterator[Any]:
        """The session of an id, which is fed inside by nobody else, so that symbols are read in the order they were
        sent. Raises `Problem` for one that is being fed; what takes too long inside says that it may have been read."""
        held = self._find(name)
        if held.fed:
            expected = "one request at a time, so that its symbols stay in order"
            move = "Wait for the answer to the other, or fork the session."
            raise Problem(409, "this session is being fed", expected=expected, got=name, next=move)
        held.fed = True
        try:
            yield held.session
        except Problem as problem:
            if problem.status_code == TOO_SLOW:
                problem.body["next"] = PERHAPS_READ
            raise
        finally:
            held.fed, held.used = False, self._clock()

    def drop(self, name: str) -> None:
        """Close a session. Raises `Problem` for one there is not."""
        self._find(name)
        del self._held[name]

    def _find(self, name: str) -> Held:
        if not len(self) or name not in self._held:
            expected = f"the id of one that was used in the last {self._limits.session_idle:g} seconds"
            move = "Open another: POST to …/sessions."
            raise Problem(404, "there is no such session", expected=expected, got=name, next=move)
        held = self._held[name]
        held.used = self._clock()
        return held
