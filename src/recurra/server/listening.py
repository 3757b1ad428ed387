"""uvicorn, which serves, by its public settings. Needs no torch.

One thing no setting gives: uvicorn never closes a connection that has sent no request or half a one, nor one whose
client reads no answer, so that a few hundred of those would use up its limit and keep everybody out. Therefore every
connection's protocol, uvicorn's own, stands behind one that watches how long nothing is answered.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from recurra.errors import ConfigError
from recurra.server.limits import Limits
from recurra.server.problems import too_many

HEAD = 1 << 16
"""Bytes of a request's first line and headers."""
IDLE_SECONDS = 10
"""Seconds after which a connection is closed that nothing is answered on: its request's head must have come by then,
and what is left of a body that nobody waited for; as many seconds later what its client has not read is thrown away."""
CUT_AFTER = 2.5
"""Seconds after which connections that are still open are cut off when the server closes."""
CLOSING = 4
"""Seconds after which requests are given up then that do not heed it."""


class Connection(asyncio.Protocol):
    """A client's connection: another protocol, and how long it may go on."""

    def __init__(self, protocol: asyncio.Protocol, connections: Connections) -> None:
        self._protocol, self._connections, self.requests = protocol, connections, 0
        for name in ("data_received", "eof_received", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(protocol, name))

    def connection_made(self, transport: Any) -> None:
        self.transport, self.client = transport, tuple(transport.get_extra_info("peername") or ())[:2]
        self._expires = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._late)
        self._connections.add(self)
        self._protocol.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._expires.cancel()
        self._connections.drop(self)
        self._protocol.connection_lost(error)

    def expire(self, seconds: float) -> None:
        """Close it in so many seconds, and throw away later what its client has not read."""
        self._expires.cancel()
        self._expires = asyncio.get_running_loop().call_later(seconds, self._late)

    def _late(self) -> None:
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self.transport.close()
            self.expire(IDLE_SECONDS)


class Connections:
    """The connections of a server, and an ASGI application that gives another `most` requests at a time, none for
    longer than `seconds`. Of more connections, the one that has been idle for longest is closed."""

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app, self._most, self._seconds, self._requests = app, most, seconds, 0
        self._open: dict[Any, Connection] = {}
        self._idle: dict[Any, Connection] = {}
        self.loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            self.loop = asyncio.get_running_loop()
            await self._app(scope, receive, send)
            return
        if self._requests >= self._most:
            await too_many("requests to the server", self._most, 1, status=503).response()(scope, receive, send)
            return
        client = tuple(scope["client"] or ())
        connection = self._open.get(client)
        self._requests += 1
        if connection is not None:
            connection.requests += 1
            connection.expire(self._seconds)
            self._idle.pop(client, None)
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests -= 1
            if connection is not None:
                connection.requests -= 1
                if not connection.requests and self._open.get(client) is connection:
                    connection.expire(IDLE_SECONDS)
                    self._idle[client] = connection

    def add(self, connection: Connection) -> None:
        """A client has connected."""
        self._open[connection.client] = connection
        if len(self._open) > self._most and self._idle:
            self._idle.pop(next(iter(self._idle))).transport.abort()
        self._idle[connection.client] = connection

    def drop(self, connection: Connection) -> None:
        """It has left."""
        self._open.pop(connection.client, None)
        self._idle.pop(connection.client, None)

    def cut(self) -> None:
        """Close all connections at once."""
        for connection in list(self._open.values()):
            connection.transport.abort()


class Server:
    """A server in a thread of its own, so that signals are the main thread's business; `on_close` is called in its
    event loop as soon as it closes."""

    def __init__(self, app: ASGIApp, bound: socket.socket, limits: Limits, on_close: Callable[[], None]) -> None:
        seconds = limits.body_seconds + limits.stream_seconds + IDLE_SECONDS
        self.connections = Connections(app, limits.connections, seconds)
        config = uvicorn.Config(
            self.connections,
            http="h11",
            h11_max_incomplete_event_size=HEAD,
            limit_concurrency=2 * limits.connections,  # of those that are refused, too
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=CLOSING,
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_level="warning",
            ws="none",
            lifespan="on",
        )
        config.load()
        made: Any = config.http_protocol_class
        config.http_protocol_class = lambda **given: Connection(made(**given), self.connections)  # type: ignore[assignment]
        self.uvicorn = uvicorn.Server(config)
        self._bound, self._on_close = bound, on_close
        self._ended = threading.Event()  # a join that a signal interrupts would take the thread for ended

    def start(self) -> None:
        """Begin to serve."""
        threading.Thread(target=self._run, name="recurra serve", daemon=True).start()

    def wait(self) -> None:
        """Wait for its end."""
        while not self._ended.wait(1):  # without a limit no signal is noticed on Windows
            pass

    def close(self, at_once: bool = False) -> None:
        """Answer nobody any more, cut off in a while, or at once, whoever stays, and wait for the end."""
        if self.connections.loop is not None:
            self.connections.loop.call_soon_threadsafe(self._close, 0 if at_once else CUT_AFTER)
        self.uvicorn.should_exit = True  # force_exit would leave the lifespan unfinished
        self._ended.wait(CLOSING + 2)

    def _close(self, seconds: float) -> None:
        self._on_close()
        asyncio.get_running_loop().call_later(seconds, self.connections.cut)

    def _run(self) -> None:
        try:
            self.uvicorn.run([self._bound])
        finally:
            self._ended.set()


def listen(app: ASGIApp, bound: socket.socket, limits: Limits, on_close: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, which both end as `KeyboardInterrupt`; a second one cuts off at once. See
    `Server` for `on_close`. Raises `ConfigError` where it ends by itself."""
    server = Server(app, bound, limits, on_close)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.start()
        server.wait()
        raise ConfigError("the server has ended by itself, and its log says why. Start it anew.")
    except KeyboardInterrupt:
        try:
            server.close()
        except KeyboardInterrupt:
            server.close(at_once=True)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
