"""Connections over sockets: a head in time, silent ones beside others, too many requests, a close in the midst."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
from recurra.server import listening
from recurra.server.limits import Limits
from recurra.server.listening import Server

HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


class Client:
    """A connection that sends and reads bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def rest(self) -> bytes:
        """All that comes until the connection is closed."""
        with contextlib.suppress(ConnectionResetError):
            return await asyncio.wait_for(self._reader.read(), 20)
        return b""

    async def answer(self) -> tuple[int, Any]:
        """Status and body of one answer."""
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 20)).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        return int(head.split()[1]), await self._reader.readexactly(length)


Connect = Callable[[], Awaitable[Client]]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


def served(app: Any, most: int, work: Callable[[Connect, Any], Awaitable[Any]], close: bool = True) -> Any:
    """What work comes to, with an application behind `most` connections; work is given the server, too."""

    async def lasting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await app(scope, receive, send)
            return
        for name in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{name}"
            await send({"type": f"lifespan.{name}.complete"})

    async def done() -> Any:
        async def connect() -> Client:
            return Client(*await asyncio.open_connection("127.0.0.1", port))

        return await work(connect, server)

    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        server = Server(lasting, bound, Limits(connections=most), lambda: None)
        server.start()
        try:
            while not server.uvicorn.started:
                time.sleep(0.01)
            return asyncio.run(done())
        finally:
            if close:
                server.close()


def count(server: Any) -> int:
    """How many connections are open."""
    return len(server.uvicorn.server_state.connections)


async def left(server: Any) -> int:
    """How many connections are open after a while, if there are any."""
    for _ in range(100):
        if not count(server):
            break
        await asyncio.sleep(0.05)
    return count(server)


def test_a_head_must_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "IDLE_SECONDS", 0.6)

    async def work(connect: Connect, server: Any) -> Any:
        silent, slow, again = [await connect() for _ in range(3)]
        again.send(HEAD + b"\r\n")  # one that was answered may not be slow with the next, either
        assert await again.answer() == (200, b"hello")
        slow.send(HEAD)
        began = time.monotonic()

        async def trickle() -> None:
            for _ in range(40):
                slow.send(b"X")
                again.send(b"X")
                await asyncio.sleep(0.05)

        trickling = asyncio.ensure_future(trickle())
        found = [await one.rest() for one in (silent, slow, again)]
        seconds = time.monotonic() - began
        trickling.cancel()
        good = await connect()
        good.send(HEAD + b"\r\n")
        return found, seconds, await good.answer()

    found, seconds, good = served(hello, 8, work)
    assert found == [b""] * 3 and 0.2 < seconds < 1.9 and good == (200, b"hello")


def test_the_silent_keep_nobody_out() -> None:
    async def work(connect: Connect, server: Any) -> Any:
        silent = [await connect() for _ in range(6)]
        kept = await connect()
        kept.send(HEAD + b"\r\n")
        first = await kept.answer()
        later = await connect()
        later.send(HEAD + b"\r\n")
        found = first, await later.answer()
        return found, [await one.rest() for one in silent[:4]], count(server)

    found, closed, number = served(hello, 4, work)
    assert found == ((200, b"hello"),) * 2
    assert closed == [b""] * 4 and number == 4


def test_too_many_requests_are_refused_in_words() -> None:
    free = threading.Event()

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(free.wait, 20)
        await hello(scope, receive, send)

    async def work(connect: Connect, server: Any) -> Any:
        clients = []
        for _ in range(3):
            clients.append(await connect())
            clients[-1].send(HEAD + b"\r\n")
            await asyncio.sleep(0.1)
        refused = await clients[2].answer()
        free.set()
        return refused, [await one.answer() for one in clients[:2]]

    (status, body), answered = served(waiting, 2, work)
    assert status == 503 and json.loads(body)["error"] == "there are too many requests to the server"
    assert answered == [(200, b"hello")] * 2


def test_what_is_no_request() -> None:
    async def work(connect: Connect, server: Any) -> Any:
        clients = [await connect() for _ in range(2)]
        clients[0].send(b"what is this\r\n\r\n")
        clients[1].send(HEAD + b"X: " + b"x" * (listening.HEAD + 1))
        return [await one.rest() for one in clients]

    assert all(each.startswith(b"HTTP/1.1 400 ") for each in served(hello, 2, work))


def test_a_close_cuts_off_what_does_not_end(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(listening, "CUT_AFTER", 0.3)
    lost: list[Any] = []

    async def unending(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
            lost.append(1)
        except asyncio.CancelledError:
            lost.append("cancelled")
            raise

    async def work(connect: Connect, server: Any) -> Any:
        client = await connect()
        client.send(HEAD + b"\r\n")
        await asyncio.sleep(0.1)
        await asyncio.to_thread(server.close)  # while the client stays

    served(unending, 2, work, close=False)
    assert lost == [1] and not caplog.records


@pytest.mark.parametrize("at_once", [False, True])
def test_a_close_gives_up_what_does_not_heed_it(monkeypatch: pytest.MonkeyPatch, at_once: bool) -> None:
    monkeypatch.setattr(listening, "CUT_AFTER", 60 if at_once else 0.1)
    monkeypatch.setattr(listening, "CLOSING", 1)

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def work(connect: Connect, server: Any) -> Any:
        clients = [await connect() for _ in range(2)]
        for client in clients:
            client.send(HEAD + b"\r\n")
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await asyncio.to_thread(server.close, at_once)
        return time.monotonic() - began, [await one.rest() for one in clients]

    seconds, rests = served(deaf, 2, work, close=False)
    assert seconds < 3 and rests == [b""] * 2


def test_an_answer_nobody_reads_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "IDLE_SECONDS", 0.2)

    async def long(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * (1 << 25)})

    async def work(connect: Connect, server: Any) -> Any:
        reading = socket.create_connection(server.uvicorn.servers[0].sockets[0].getsockname())
        with reading:
            reading.sendall(HEAD + b"\r\n")
            await asyncio.sleep(0.15)
            return count(server), await left(server)

    assert served(long, 2, work) == (1, 0)


def test_answers_nobody_reads_keep_nobody_out() -> None:
    async def long(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            await hello(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * (1 << 24)})

    async def work(connect: Connect, server: Any) -> Any:
        at = server.uvicorn.servers[0].sockets[0].getsockname()
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                unreading = stack.enter_context(socket.create_connection(at))
                unreading.sendall(HEAD.replace(b"GET", b"PUT") + b"\r\n")
                await asyncio.sleep(0.05)
            client = await connect()
            client.send(HEAD + b"\r\n")
            return await client.answer(), count(server)

    assert served(long, 4, work) == ((200, b"hello"), 4)


def test_a_request_that_never_ends_is_cut_off() -> None:
    """A stream, or an answer behind another, that its client does not read holds up what writes it."""
    ended: list[bool] = []

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(500):
            await send({"type": "http.response.body", "body": b"x" * (1 << 16), "more_body": True})
        ended.append(True)

    async def work(connect: Connect, server: Any) -> Any:
        server.connections._seconds = 0.2
        with socket.create_connection(server.uvicorn.servers[0].sockets[0].getsockname()) as reading:
            reading.sendall(HEAD + b"\r\n")
            await asyncio.sleep(0.1)
            return count(server), len(ended), await left(server), len(ended)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listening, "IDLE_SECONDS", 0.2)
        assert served(endless, 2, work) == (1, 0, 0, 1)
