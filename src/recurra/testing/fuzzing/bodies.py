"""Requests to the server's addresses, in this process: no answer but a sound one or a refusal of the API's own form."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random
from typing import Any

from recurra.runs.run import load_run
from recurra.server.api import make_app
from recurra.server.limits import Limits
from recurra.server.models import Models
from recurra.testing.fuzzing.mutations import CHARACTERS, json_text, mutated, mutated_bytes, mutated_value, odd_value
from recurra.testing.fuzzing.runs import make_runs

_INPUTS = ("the quick", "", "flights from Rome to Oslo", "the ___ dog", "Rome dog", "x" * 300, "\n", *CHARACTERS)
_OPTIONS: dict[str, tuple[Any, ...]] = {
    "top": (0, 1, 5, 50, 51, -1),
    "length": (0, 1, 5, 60, -1, 10**6),
    "temperature": (0, 0.5, 1, 1000, 1e-300, -1, 1001),
    "top_k": (0, 1, 5, 10**9, -1),
    "top_p": (0, 0.5, 1, 1.5, 1e-300, -1),
    "seed": (0, 1, 2**61, -1, 2**62),
    "beam": (0, 1, 3, 20, 21),
    "n_best": (0, 1, 3, 30),
    "length_penalty": (0, 0.6, 1e9, 1e308, -1, 10**400),
    "no_repeat": (0, 1, 3, 10**9, -1),
    "form": (True, False),
    "attention": (True, False),
}
_REFUSAL = {"error", "expected", "got", "next"}
LIMITS = Limits(body=1 << 16, written=60, seconds=20, stream_seconds=20, sessions=8, looked_at=60)


class Bodies:
    """Bodies, addresses and headers that are odd, to a server of small runs."""

    name = "bodies"

    def __init__(self, folder: Path) -> None:
        (folder / "trained").mkdir(exist_ok=True)
        runs = [load_run(path, device="cpu") for path in make_runs(folder / "trained").values()]
        self._names = tuple(run.path.name for run in runs)
        self._loop = asyncio.new_event_loop()
        self._models = Models(runs, LIMITS)
        self._app = make_app(self._models, None, ("127.0.0.1",))
        self._sessions: dict[str, str] = {}

    def make(self, random: Random) -> bytes:
        name = random.choice(self._names)
        verb = random.choice(
            ("predict", "predict", "predict", "generate", "inspect", "feed", "feed", "sessions", "fork")
        )
        path, method, body = self._asked(name, verb, random)
        raw = json.dumps(body).encode() if body is not None else b""
        if body is not None and random.random() < 0.8:
            body = mutated_value(body, random) if random.random() < 0.8 else odd_value(random)
            raw = json_text(body, random).encode("utf-8", errors="surrogatepass")
            if random.random() < 0.1:
                raw = (
                    mutated_bytes(raw, random)
                    if random.random() < 0.5
                    else mutated(raw.decode("utf-8", "replace"), random)
                )
        if random.random() < 0.05:
            path = mutated(path, random).decode("utf-8", "replace")
        kind = (
            "application/json" if random.random() < 0.97 else random.choice(("text/plain", "", "application/json; x=é"))
        )
        if random.random() < 0.03:
            method = random.choice(("GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "X"))
        return "\x1e".join((method, path, kind)).encode("utf-8", "surrogatepass") + b"\x1e" + raw

    def _asked(self, name: str, verb: str, random: Random) -> tuple[str, str, Any]:
        at = f"/api/models/{name}/"
        given = random.choice(_INPUTS)
        options = {
            key: random.choice(_OPTIONS[key]) for key in random.sample(list(_OPTIONS), random.choice((0, 0, 1, 2)))
        }
        tokens = [random.choice(_INPUTS) for _ in range(random.choice((0, 1, 5)))]
        if verb == "predict":
            inputs: list[Any] = [given] if random.random() < 0.8 else [given, tokens]
            return at + verb, "POST", {"inputs": inputs, "options": options}
        if verb == "generate":
            options = {key: value for key, value in options.items() if key in ("length", "top_k", "top_p", "seed")}
            return at + verb, "POST", {"input": given, "options": options}
        if verb == "inspect":
            return at + verb, "POST", {"text": given, "target": random.choice((None, None, "x", "Oslo"))}
        if verb == "feed":
            numbers = [random.choice((0, 1, 5, 10**6, -1)) for _ in range(random.choice((0, 1, 1, 3)))]
            return (
                at + "sessions/ID/feed",
                "POST",
                {"input": random.choice((given, tokens, numbers)), "top": random.choice((1, 5, 0))},
            )
        if verb == "fork":
            return at + "sessions/ID/fork", "POST", None
        return random.choice(((at + verb, "POST", None), (at + "sessions/ID", "DELETE", None), (at[:-1], "GET", None)))

    def take(self, given: bytes) -> bool:
        head = given.split(b"\x1e", 3)
        method, path, kind = (part.decode("utf-8", "replace") for part in head[:3])
        for name in self._names:
            if f"/{name}/sessions/ID" in path:
                path = path.replace("ID", self._sessions.get(name, "none"))
        status, body = self._loop.run_until_complete(self._send(method, path, kind, head[3]))
        assert status < 500 or status == 503, f"{status}: {body[:500]!r}"
        if status >= 400:
            assert method == "HEAD" or set(json.loads(body)) == _REFUSAL, f"{status}: {body[:500]!r}"
            if status == 429:  # as many sessions as there may be
                self._models.find(path.split("/")[3]).sessions.__init__(LIMITS)  # type: ignore[misc]
            return False
        if status == 201 and path.startswith("/api/models/"):
            self._sessions[path.split("/")[3]] = json.loads(body)["id"]
        return True

    async def _send(self, method: str, path: str, kind: str, body: bytes) -> tuple[int, bytes]:
        """The status and body that a request is answered by."""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "query_string": query.encode("utf-8", "replace"),
            "root_path": "",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
            "headers": [(b"host", b"127.0.0.1"), (b"content-type", kind.encode("latin-1", "replace"))],
        }
        asked, status, parts = False, 0, []

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()  # the client stays until it is answered
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return status, b"".join(parts)
