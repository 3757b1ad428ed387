"""Connections over sockets: a head in time, silent ones beside others, too many requests, a close in the midst."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
from recurra.server import connections, events
from recurra.server.connections import make_server
from recurra.server.events import Streaming

HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


class Client:
    """A connection that sends and reads bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def rest(self) -> bytes:
        """All that comes until the connection is closed."""
        return await asyncio.wait_for(self._reader.read(), 20)

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


def served(app: Any, most: int, work: Callable[[Connect, Any], Awaitable[Any]]) -> Any:
    """What work comes to, with an application behind `most` connections."""

    async def lasting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await app(scope, receive, send)
            return
        for name in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{name}"
            await send({"type": f"lifespan.{name}.complete"})

    server = make_server(lasting, most, lambda: None)

    async def done() -> Any:
        with socket.create_server(("127.0.0.1", 0)) as bound:
            port = bound.getsockname()[1]
            task = asyncio.ensure_future(server.serve([bound]))
            while not server.started:
                await asyncio.sleep(0.01)

            async def connect() -> Client:
                return Client(*await asyncio.open_connection("127.0.0.1", port))

            try:
                return await work(connect, server)
            finally:
                server.should_exit = True
                await asyncio.wait_for(task, 20)

    factory = getattr(server.config, "get_loop_factory", lambda: None)()  # of the loop that serves
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(done())


async def left(server: Any) -> int:
    """How many connections are open after a while, if there are any."""
    for _ in range(100):
        if not server.server_state.connections:
            break
        await asyncio.sleep(0.05)
    return len(server.server_state.connections)


def test_a_head_must_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)

    async def work(connect: Connect, server: Any) -> Any:
        silent, slow, again, good = [await connect() for _ in range(4)]
        for one in (again, good):  # one that was answered may not be slow with the next, either
            one.send(HEAD + b"\r\n")
            assert await one.answer() == (200, b"hello")

        async def trickle() -> None:
            for _ in range(40):
                slow.send(b"X")
                again.send(b"X")
                await asyncio.sleep(0.05)

        slow.send(HEAD)
        trickling = asyncio.ensure_future(trickle())
        found = await asyncio.gather(silent.rest(), slow.answer(), again.answer())
        good.send(HEAD + b"\r\n")
        trickling.cancel()
        return *found, await good.answer()

    silent, slow, again, good = served(hello, 8, work)
    assert silent == b"" and good == (200, b"hello")
    for status, body in (slow, again):
        assert status == 408 and json.loads(body)["expected"] == "its first line and its headers within 0.3 seconds"


def test_the_silent_keep_nobody_out() -> None:
    async def work(connect: Connect, server: Any) -> Any:
        silent = [await connect() for _ in range(6)]
        kept = await connect()
        kept.send(HEAD + b"\r\n")
        first = await kept.answer()
        later = await connect()
        later.send(HEAD + b"\r\n")
        found = first, await later.answer()
        return found, [await one.rest() for one in silent[:4]], len(server.server_state.connections)

    found, closed, count = served(hello, 4, work)
    assert found == ((200, b"hello"),) * 2
    assert closed == [b""] * 4 and count == 4


def test_too_many_requests_are_refused_in_words() -> None:
    free: list[asyncio.Event] = []

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await free[0].wait()
        await hello(scope, receive, send)

    async def work(connect: Connect, server: Any) -> Any:
        free.append(asyncio.Event())
        clients = []
        for _ in range(3):
            clients.append(await connect())
            clients[-1].send(HEAD + b"\r\n")
            await asyncio.sleep(0.1)
        refused = await clients[2].answer()
        free[0].set()
        return refused, [await one.answer() for one in clients[:2]]

    (status, body), answered = served(waiting, 2, work)
    assert status == 503 and json.loads(body)["error"] == "the server has too many requests at once"
    assert answered == [(200, b"hello")] * 2


def test_what_is_no_request(caplog: Any) -> None:
    async def work(connect: Connect, server: Any) -> Any:
        client = await connect()
        client.send(b"what is this\r\n\r\n")
        return await client.answer()

    status, body = served(hello, 2, work)
    assert status == 400 and json.loads(body)["error"] == "this is no HTTP request"


def test_a_close_cuts_off_what_does_not_end(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(connections, "CUT_AFTER", 0.3)
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

    served(unending, 2, work)
    assert lost == [1] and not caplog.records


@pytest.mark.parametrize("times", [1, 2])
def test_a_close_gives_up_what_does_not_heed_it(monkeypatch: pytest.MonkeyPatch, caplog: Any, times: int) -> None:
    monkeypatch.setattr(connections, "CUT_AFTER", 0.1 if times == 1 else 60)
    monkeypatch.setattr(connections, "GIVEN_UP_AFTER", 0.1)
    asked: list[asyncio.Task[Any] | None] = []

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        asked.append(asyncio.current_task())
        await asyncio.Event().wait()

    async def work(connect: Connect, server: Any) -> Any:
        for _ in range(2):
            (await connect()).send(HEAD + b"\r\n")
        await asyncio.sleep(0.1)
        for _ in range(times):
            server.handle_exit(signal.SIGINT, None)
        server._captured_signals.clear()  # or they would end pytest

    began = time.monotonic()
    served(deaf, 2, work)
    assert [task.cancelled() for task in asked if task] == [False, False] and not caplog.records
    assert time.monotonic() - began < connections.CLOSING


def test_an_answer_nobody_reads_is_thrown_away() -> None:
    async def long(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * (1 << 25)})

    async def work(connect: Connect, server: Any) -> Any:
        server.config.timeout_keep_alive = 0.2
        reading = socket.create_connection(server.servers[0].sockets[0].getsockname())
        with reading:
            reading.sendall(HEAD + b"\r\n")
            await asyncio.sleep(0.15)
            return len(server.server_state.connections), await left(server)

    assert served(long, 2, work) == (1, 0)


def test_answers_nobody_reads_keep_nobody_out() -> None:
    async def long(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            await hello(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * (1 << 24)})

    async def work(connect: Connect, server: Any) -> Any:
        at = server.servers[0].sockets[0].getsockname()
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                unreading = stack.enter_context(socket.create_connection(at))
                unreading.sendall(HEAD.replace(b"GET", b"PUT") + b"\r\n")
                await asyncio.sleep(0.05)
            client = await connect()
            client.send(HEAD + b"\r\n")
            return await client.answer(), len(server.server_state.connections)

    assert served(long, 4, work) == ((200, b"hello"), 4)


def test_a_stream_nobody_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(events, "READING", 0.1)
    ended: list[bool] = []

    class Text:
        gone = begun = False

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        channel: asyncio.Queue[Any] = asyncio.Queue()
        text = Text()

        class Channel:
            events = channel

        for _ in range(500):
            channel.put_nowait(("symbol", {"text": "x" * (1 << 16)}))
        await Streaming(Channel(), text, 0.2, lambda: ended.append(text.gone))(scope, receive, send)

    async def work(connect: Connect, server: Any) -> Any:
        reading = socket.create_connection(server.servers[0].sockets[0].getsockname())
        with reading:
            reading.sendall(HEAD + b"\r\n")
            await asyncio.sleep(0.15)
            return len(server.server_state.connections), len(ended), await left(server), len(ended)

    assert served(endless, 2, work) == (1, 0, 0, 1)
    assert ended == [True] and not caplog.records
