"""`recurra serve`: refused before torch is loaded; once it serves, Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from recurra import cli
from recurra.errors import ConfigError
from recurra.server import address
from recurra.server.address import address_of, bind, hosts_of, is_loopback

from .conftest import sentence

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
TOKEN = "sixteen-and-more-letters"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no run is named. Name one or more: recurra serve run"),
        (("gone",), "gone is no run"),
        (("RUN", "gone"), "gone is no run"),
        (("RUN", "--host", "0.0.0.0"), "--host 0.0.0.0 can be reached from other machines, so a token is needed"),
        (("RUN", "--host", "example.org"), "--host example.org can be reached from other machines"),
        (("RUN", "--token", "short"), "a token of 5 characters, expected 16 or more of ASCII and no space"),
        (("RUN", "--token", "a token with spaces in it"), "expected 16 or more of ASCII and no space"),
        (("RUN", "--port", "70000"), "--port 70000, expected 0 (any that is free) to 65535"),
        (
            ("RUN", "--host", "nowhere.invalid", "--token", TOKEN),
            "--host nowhere.invalid is no address of this machine",
        ),
        (("RUN", "--threads", "0"), "--threads = 0, expected 1 or more"),
    ],
)
def test_what_cannot_be_served(run: Path, here: Path, capsys: Any, words: tuple[str, ...], said: str) -> None:
    assert said in sentence(capsys, "serve", *(str(run) if word == "RUN" else word for word in words))


def test_a_port_that_is_taken(run: Path, capsys: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = sentence(capsys, "serve", str(run), "--port", str(port))
    assert f"127.0.0.1:{port} cannot be listened at (Address already in use). Name another, --port" in said


def test_a_missing_package(run: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "PACKAGES", ("no_such_package",))
    said = sentence(capsys, "serve", str(run))
    assert "the package no_such_package is missing, which serving needs: pip install 'recurra[serve]'" in said


def test_refusals_come_before_torch(run: Path) -> None:
    code = (
        "import sys; from recurra import cli; "
        f"codes = [cli.call(['serve', *w]) for w in (['gone'], [{str(run)!r}, '--host', '0.0.0.0'])]; "
        "assert codes == [2, 2] and 'torch' not in sys.modules and 'fastapi' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_addresses() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org")))
    assert hosts_of("0.0.0.0") is None and set(hosts_of("127.0.0.2") or ()) >= {"localhost", "127.0.0.2"}
    with bind("127.0.0.1", 0) as bound:
        assert address_of(bound, "[::1]") == f"http://[::1]:{bound.getsockname()[1]}/"
    with pytest.raises(ConfigError, match="no address of this machine"):
        bind("nowhere.invalid", 0)


def endless_header(port: int) -> bytes:
    """What is answered to a header that does not end, before a mebibyte of it has come."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        with contextlib.suppress(OSError):  # it was refused while it was sent
            for _ in range(16):
                client.sendall(b"x" * (1 << 16))
        return client.recv(1 << 16)


def test_it_serves_until_it_is_interrupted(run: Path) -> None:
    words = [sys.executable, "-m", "recurra", "serve", str(run), str(run), "--port", "0"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "RECURRA_TOKEN": TOKEN}
    ) as served:
        try:
            assert served.stdout is not None
            line = served.stdout.readline()
            assert line.startswith("serving run, run-2 at http://127.0.0.1:")
            address = line.split()[-1]
            request = urllib.request.Request(
                f"{address}api/models/run/predict",
                json.dumps({"inputs": ["the "], "options": {"length": 20, "seed": 4}}).encode(),
                {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = json.load(answer)["answers"][0]["parts"][0]["text"]
            assert endless_header(int(address.rstrip("/").rpartition(":")[2])).startswith(b"HTTP/1.1 400 ")
            served.send_signal(signal.SIGINT)
            out, err = served.communicate(timeout=30)
        finally:
            served.kill()
    assert served.returncode == 0 and out == "closed\n"
    assert err.count("\n") == 1 and "Invalid HTTP request" in err
    from recurra import load

    assert text == load(run).predict("the ", length=20, seed=4)[0]["text"]


def asked(address: str, path: str, body: Any) -> tuple[int, bytes]:
    """Status and content of an answer, whatever it is."""
    said = urllib.request.Request(
        f"{address}api/models/run/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(said, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_streams_nobody_ends_do_not_keep_it_open(run: Path, signals: list[signal.Signals]) -> None:
    words = [sys.executable, "-m", "recurra", "serve", str(run), "--port", "0"]
    body = json.dumps({"input": "a", "options": {"length": 2000, "top": 50}}).encode()
    head = "POST /api/models/run/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += "Content-Length: {}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        stack.callback(served.kill)
        assert served.stdout is not None
        port = int(served.stdout.readline().split()[-1].rstrip("/").rpartition(":")[2])
        for k in range(8):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            client.sendall(head.format("generate", len(body) + (k >= 4)).encode() + body)  # half of them half sent
            if k < 4:
                assert client.recv(15) == b"HTTP/1.1 200 OK"
        time.sleep(1)  # until the half-sent ones are waited for: else nothing keeps it open until the second signal
        for each in signals:
            served.send_signal(each)
            time.sleep(0.3)
        out, err = served.communicate(timeout=30)
    assert (served.returncode, out, err) == (0, "closed\n", "")


def test_requests_in_flight_are_told_that_it_closes(run: Path) -> None:
    words = [sys.executable, "-m", "recurra", "serve", str(run), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            address = served.stdout.readline().split()[-1]
            long = {"length": 2000}
            with ThreadPoolExecutor(7) as pool:
                texts = [
                    pool.submit(asked, address, "predict", {"inputs": ["a"], "options": {**long, "top": 50}})
                    for _ in range(4)
                ]
                streams = [pool.submit(asked, address, "generate", {"input": "a", "options": long}) for _ in range(2)]
                with socket.create_connection(("127.0.0.1", int(address.rstrip("/").rpartition(":")[2]))) as half:
                    half.sendall(
                        b"POST /api/models/run/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"
                    )
                    health = f"{address}api/health"
                    while True:
                        with urllib.request.urlopen(health, timeout=30) as answer:
                            if json.load(answer)["models"]["run"]["writing"] == 6:
                                break
                    served.send_signal(signal.SIGINT)
                    out, err = served.communicate(timeout=30)
                answers = [each.result() for each in (*texts, *streams)]
        finally:
            served.kill()
    assert (served.returncode, out, err) == (0, "closed\n", "")
    for status, content in answers[:4]:
        assert status == 503 and json.loads(content)["error"] == "the server is closing"
    for status, content in answers[4:]:
        assert status == 200 and b'event: error\ndata: {"error": "the server is closing"' in content


def test_the_address_for_programs(run: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recurra.server.listening.listen", lambda app, bound, limits, leave: None)
    assert cli.call(["serve", str(run), "--port", "0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["models"] == ["run"] and said["address"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(("token", "statuses"), [((), (400, 200)), (("--token", TOKEN), (200, 200))])
def test_a_proxy_may_call_it_by_another_name(
    run: Path, monkeypatch: pytest.MonkeyPatch, token: tuple[str, ...], statuses: tuple[int, int]
) -> None:
    """Who has a token is let in by it, under any name; without one the name is all that a page elsewhere has not."""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    apps: list[Any] = []
    monkeypatch.delenv("RECURRA_TOKEN", raising=False)
    monkeypatch.setattr("recurra.server.listening.listen", lambda app, *_: apps.append(app))
    assert cli.call(["serve", str(run), "--port", "0", *token]) == 0

    async def asked() -> tuple[int, ...]:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=apps[0]), headers=headers) as client:
            names = ("https://models.example", "http://127.0.0.1")
            origin = {"Origin": "https://models.example"} if token else {}
            return tuple([(await client.get(f"{name}/api/models", headers=origin)).status_code for name in names])

    assert asyncio.run(asked()) == statuses


def test_help_names_what_there_is(capsys: Any) -> None:
    assert cli.call(["serve", "--help"]) == 0
    assert "--token" in capsys.readouterr().out
