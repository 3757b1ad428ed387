"""Connections of uvicorn, bounded: a request's head must come in time, whoever is idle keeps nobody out, and when
the server closes whoever waits is told so. Needs uvicorn, not torch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, MutableMapping
from itertools import count
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from recurra.server.guard import RAW, App, Receive, Send, refuse
from recurra.server.problems import Problem

HEAD_SECONDS = 10.0
"""In which the head of a request must have come: its first line and its headers."""
LEFTOVER_SECONDS = 2.0
"""In which what is left of a body must come behind an answer that did not wait for it, or the connection is closed."""
CUT_AFTER = 2.5
"""Seconds after which connections that are still open are cut off when the server closes."""
GIVEN_UP_AFTER = 0.5
"""Seconds behind that after which requests that are still being answered are given up."""
CLOSING = 4
"""Seconds after which uvicorn itself would wait no longer, and would say so."""
TURNS = count()
"""In which order connections began to be idle: of a clock, many are made in one tick."""


class Connection(H11Protocol):
    """A client's connection. The next one beyond `most` closes the one that has been idle for longest."""

    most: int
    _head: asyncio.TimerHandle | None = None
    _leftover: asyncio.TimerHandle | None = None
    _turn = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}  # for what is sent to a client that reads nothing
        self._turn = next(TURNS)
        self._watch()
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        if self._leftover is not None:
            self._leftover.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._leftover is not None and self.conn.their_state is not h11.SEND_BODY:
            self._leftover.cancel()
            self._leftover = None
        self._watch()

    def on_response_complete(self) -> None:
        self._turn = next(TURNS)
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and self._leftover is None and not self.transport.is_closing():
            self._leftover = self.loop.call_later(LEFTOVER_SECONDS, self.timeout_keep_alive_handler)

    @property
    def idle(self) -> bool:
        """Whether nothing is asked: what is left of a body that was answered asks for nothing."""
        return self.conn.their_state is h11.IDLE or self._leftover is not None

    @property
    def unread(self) -> bool:
        """Whether something is on its way to the client."""
        return self.transport.get_write_buffer_size() > 0

    def timeout_keep_alive_handler(self) -> None:
        """Close; what the client does not read in as long a time again is thrown away."""
        super().timeout_keep_alive_handler()
        self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no request."""
        expected = "HTTP/1.1, with headers of 64 KiB at most"
        self._refuse(Problem(400, "this is no HTTP request", expected=expected, next="Send another."))

    def _make_room(self) -> None:
        """Close the idle connection that began to be so first: one that has read its answer, else one that has not."""
        there = [each for each in self.connections if isinstance(each, Connection) and not each.transport.is_closing()]
        idle = [each for each in there if each.idle and each is not self]
        if len(there) > self.most and idle:
            oldest = min(idle, key=lambda each: (each.unread, each._turn))
            unread = oldest.unread
            oldest.timeout_keep_alive_handler()
            if unread:
                oldest.transport.abort()

    def _watch(self) -> None:
        """Wait for a head no longer than there is time for it; bytes that trickle in do not prolong it."""
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._late)

    def _unwatch(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _late(self) -> None:
        if self.transport.is_closing():
            return
        if not self.conn.trailing_data[0]:
            self.timeout_keep_alive_handler()
            return
        expected = f"its first line and its headers within {HEAD_SECONDS:g} seconds"
        self._refuse(Problem(408, "the request did not come in time", expected=expected, next="Send it again."))

    def _refuse(self, problem: Problem) -> None:
        """Answer by what is wrong, and close."""
        body = json.dumps(problem.as_json()).encode()
        own = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        headers = [(name.encode(), value.encode()) for name, value in own] + RAW
        reason = STATUS_PHRASES[problem.status]
        answer = h11.Response(status_code=problem.status, headers=headers, reason=reason)
        with contextlib.suppress(h11.LocalProtocolError):  # another answer is under way
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Crowd:
    """An ASGI application that gives another so many requests at a time, and gives them up when it is told to."""

    def __init__(self, app: App, most: int) -> None:
        self._app, self._most = app, most
        self._asked: set[asyncio.Task[Any] | None] = set()
        self._given_up = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif len(self._asked) >= self._most:
            await refuse(_crowded(self._most), send)
        else:
            task = asyncio.current_task()
            self._asked.add(task)
            try:
                await self._app(scope, receive, send)
            except asyncio.CancelledError:
                if not self._given_up:
                    raise
            finally:
                self._asked.discard(task)

    def give_up(self) -> None:
        """Answer nobody any more."""
        self._given_up = True
        for task in self._asked:
            if task is not None:
                task.cancel()


class Server(uvicorn.Server):
    """A server that says `leave` as soon as it closes, and waits for no client; told twice, it cuts off at once."""

    def __init__(self, config: uvicorn.Config, crowd: Crowd, leave: Callable[[], None]) -> None:
        super().__init__(config)
        self._crowd, self._leave = crowd, leave
        self._loop: asyncio.AbstractEventLoop | None = None
        self._at_once = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        if not self.should_exit:
            super().handle_exit(sig, frame)
            return
        self._at_once = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close."""
        self._leave()
        self._loop = asyncio.get_running_loop()
        cut = self._loop.call_later(0 if self._at_once else CUT_AFTER, self._cut)
        await super().shutdown(sockets)
        cut.cancel()

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()
        asyncio.get_running_loop().call_later(GIVEN_UP_AFTER, self._crowd.give_up)


def make_server(app: App, connections: int, leave: Callable[[], None]) -> Server:
    """What serves an application, `connections` requests at a time; `leave` is called as soon as it closes."""
    crowd = Crowd(app, connections)
    config = uvicorn.Config(
        crowd,
        http=type("Connection", (Connection,), {"most": connections}),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=2 * connections,  # of those that are refused, too, and that are refused without JSON
        timeout_keep_alive=30,
        timeout_graceful_shutdown=CLOSING,
        ws="none",
        lifespan="on",
    )
    return Server(config, crowd, leave)


def _crowded(most: int) -> Problem:
    return Problem(
        503,
        "the server has too many requests at once",
        expected=f"{most:,} at a time",
        got=f"{most:,} already",
        next="Try again in 1 second.",
        headers={"Retry-After": "1", "Connection": "close"},
    )
