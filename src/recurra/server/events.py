"""Server-sent events of a text that is being generated, and the same gathered into one answer. Needs no torch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from starlette.responses import StreamingResponse

from recurra.server.problems import Problem, of_model, too_slow

PING = 10.0
"""Seconds of silence after which a comment is sent, so that nobody between takes the connection for dead."""
READING = 10.0
"""Seconds that a client has, when its stream's time is over, to read what was sent."""
LAST = ("end", "error")
EVENTS = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Events(Protocol):
    """Where a text's events come from."""

    events: asyncio.Queue[tuple[str, Any]]


class Leaves(Protocol):
    """A text that nobody may be waiting for any more."""

    gone: bool
    begun: bool


class Streaming(StreamingResponse):
    """The events of a text, for no longer than its time, whether the client reads them or not; `left` is called when
    nothing of it is sent any more."""

    def __init__(self, channel: Events, writing: Leaves, seconds: float, left: Callable[[], None]) -> None:
        super().__init__(streamed(channel, writing, seconds), media_type=EVENTS, headers=HEADERS)
        self._writing, self._longest, self._left = writing, seconds + READING, left

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send all, until the client leaves; one that does not read is cut off."""
        sending = asyncio.ensure_future(self.stream_response(send))
        leaving = asyncio.ensure_future(self.listen_for_disconnect(receive))
        both = (sending, leaving)
        try:
            await asyncio.wait(both, timeout=self._longest, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
            elif not leaving.done():
                scope.get("state", {}).get("abort", _nothing)()
        finally:
            self._writing.gone = True
            self._left()
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def streamed(channel: Events, writing: Leaves, seconds: float) -> AsyncIterator[bytes]:
    """Events as they come, `symbol` after `symbol`, then `end` or `error`; what has come meanwhile goes together."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    try:
        while True:
            left = deadline - loop.time()
            if left <= 0:
                yield rendered("error", too_slow(seconds, True))
                return
            try:
                some = [await asyncio.wait_for(channel.events.get(), min(PING, left))]
            except TimeoutError:
                if left > PING:
                    yield b":\n\n"
                continue
            while not channel.events.empty():
                some.append(channel.events.get_nowait())
            yield b"".join(rendered(*event) for event in some)
            if some[-1][0] in LAST:
                return
    finally:
        writing.gone = True


async def gathered(channel: Events, writing: Leaves, seconds: float, of: float) -> tuple[str, list[dict[str, Any]]]:
    """The whole text and its symbols. Raises `Problem` where it takes longer than `seconds`, those that are left `of`
    a request's, or cannot be written."""
    symbols: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            while True:
                name, data = await channel.events.get()
                if name == "error":
                    raise data if isinstance(data, Problem) else of_model()
                if name == "end":
                    return str(data["text"]), symbols
                symbols.append(data)
    except TimeoutError:
        raise too_slow(of, writing.begun) from None
    finally:
        writing.gone = True


def rendered(name: str, data: Any) -> bytes:
    """One event."""
    if isinstance(data, BaseException):
        data = (data if isinstance(data, Problem) else of_model()).as_json()
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _nothing() -> None:
    pass
