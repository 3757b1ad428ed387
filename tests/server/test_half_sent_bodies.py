"""Bodies that never end: nobody without the token keeps others out by them."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from recurra.server.limits import Limits
from recurra.server.models import Models

from .conftest import listening

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
from recurra.server import listening as listening_module

TOKEN = "a-token-of-ours-" * 2
MOST = 6
"""Requests at a time."""
SECONDS = 3.0
"""The seconds allowed for receiving the body."""
PREDICT = "/api/models/classifier/predict"


@pytest.fixture(scope="module")
def guarded(small_runs: dict[str, Any]) -> Iterator[str]:
    """The address of a server with a token that takes few requests at a time."""
    limits = Limits(connections=MOST, body_seconds=SECONDS)
    yield from listening(Models([small_runs["classifier"]], limits), TOKEN)


def half(method: str, path: str, *headers: str) -> bytes:
    """A request of whose body one byte of a thousand has come."""
    lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers)
    return "\r\n".join((*lines, "Content-Length: 1000", "", "{")).encode()


def connect(address: str) -> socket.socket:
    at = urlsplit(address)
    return socket.create_connection((at.hostname, at.port), timeout=10)


def answer(client: socket.socket) -> tuple[int, bytes]:
    """Status and body of what comes next."""
    with client.makefile("rb") as reading:
        status, length = int(reading.readline().split()[1]), 0
        while line := reading.readline().strip().lower():
            name, _, value = line.partition(b":")
            length = int(value) if name == b"content-length" else length
        return status, reading.read(length)


def asked(address: str) -> int:
    """The status that a client with the token is answered by."""
    body = json.dumps({"inputs": ["the fox"]}).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    with connect(address) as client:
        client.sendall(head.encode() + body)
        return answer(client)[0]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/api/health", (), 405),
        ("GET", "/api/health", (), 200),
        ("GET", "/", (), 200),
        ("POST", "/", (), 405),
        ("GET", "/ui/main.js", (), 200),
        ("POST", "/nowhere", (), 404),
        ("POST", "/api/nowhere", (), 401),
        ("POST", "/api/nowhere", (f"Authorization: Bearer {TOKEN}",), 404),
        ("POST", PREDICT, (), 401),
        ("POST", PREDICT, ("Authorization: Bearer another-token-than-ours",), 401),
    ],
)
def test_half_sent_bodies_keep_nobody_out(
    guarded: str, method: str, path: str, headers: tuple[str, ...], status: int
) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(guarded)) for _ in range(2 * MOST + 2)]
        for client in clients:
            client.sendall(half(method, path, *headers))
            time.sleep(0.01)
        began = time.monotonic()
        time.sleep(0.5)  # those that are answered by their heads are, then
        assert asked(guarded) == 200
        assert answer(clients[-1])[0] == status
        assert time.monotonic() - began < SECONDS


def test_what_is_left_of_a_body_nobody_wants_is_waited_for_a_while(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening_module, "IDLE_SECONDS", 1.5)
    with connect(guarded) as prompt, connect(guarded) as slow:
        prompt.sendall(half("POST", "/nowhere"))
        slow.sendall(half("POST", "/nowhere"))
        assert answer(prompt)[0] == answer(slow)[0] == 404
        prompt.sendall(b"x" * 999 + b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert answer(prompt)[0] == 200
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 5:  # bytes that trickle do not prolong it
                slow.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began > 0.7


def test_the_body_of_one_with_the_token_must_come_in_time(guarded: str) -> None:
    with connect(guarded) as client:
        client.sendall(half("POST", PREDICT, f"Authorization: Bearer {TOKEN}"))
        began = time.monotonic()
        status, body = answer(client)
        assert status == 408 and json.loads(body)["expected"] == f"all of it within {SECONDS:g} seconds"
        assert time.monotonic() - began >= SECONDS / 2


def test_a_client_that_leaves_within_a_body_is_no_fault(api: Any, caplog: Any) -> None:
    messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"{", "more_body": True}]
    head = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PREDICT, "raw_path": b"", "query_string": b"", "headers": head}

    async def leave(client: Any) -> Any:
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await api.app(scope, receive, send)
        return sent[0]["status"]

    assert api.during(leave) == 400 and not caplog.records
