"""Texts that are generated, on their way from a model's thread to who reads them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from recurra.runs.writing import Writing

UNREAD = 256
"""Events that wait to be read before their text does."""


class Text:
    """A text that is written in the model's thread, and read in the event loop that it was made in; `streamed`: whether
    a client reads it as it is written."""

    def __init__(self, writing: Writing, streamed: bool) -> None:
        self.writing, self.streamed = writing, streamed
        self.begun = False
        """Whether generation has started."""
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    @property
    def full(self) -> bool:
        """Whether its reader is so far behind that it waits."""
        return self.streamed and self._events.qsize() + len(self.writing.events) >= UNREAD

    def send(self, refusal: BaseException | None = None) -> None:
        """Give its reader what was written, or why nothing more is."""
        fresh, self.writing.events = self.writing.events, []
        for event in fresh if refusal is None else [("error", refusal)]:
            self._events.put_nowait(event)

    async def events(self, deadline: float) -> AsyncIterator[tuple[str, Any]]:
        """`symbol` after `symbol`, then `end` or `error`, whose data is None where nothing came until then, by the
        event loop's clock."""
        name, loop = "symbol", asyncio.get_running_loop()
        while name == "symbol":
            name, data = "error", None
            if loop.time() < deadline:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        name, data = await self._events.get()
            yield name, data
