"""Whatever the server refuses: each limit, and what is said of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from recurra.errors import ConfigError, RecurraError
from recurra.server.limits import Limits
from recurra.server.problems import of_recurra
from recurra.server.sessions import Sessions

PREDICT = "models/classifier/predict"
LONG = "x" * 10_001


@pytest.mark.parametrize(
    ("status", "path", "body", "said"),
    [
        (404, "models/writr", None, {"error": "there is no model of this name: did you mean 'writer'?"}),
        (404, "nothing", None, {"error": "there is nothing at this address", "got": "GET /api/nothing"}),
        (405, PREDICT, None, {"error": "this address is not asked in this way"}),
        (422, PREDICT, {"inputs": []}, {"error": "inputs is not what is expected"}),
        (422, PREDICT, {"inputs": [3]}, {"error": "inputs.0 is not what is expected", "got": 3}),
        (422, PREDICT, {}, {"error": "inputs is missing"}),
        (422, PREDICT, {"inputs": ["a"], "input": 1}, {"error": "input is unknown"}),
        (422, PREDICT, {"inputs": ["a"], "options": {"tpo": 1}}, {"error": "options.tpo is unknown"}),
        (422, PREDICT, {"inputs": ["a"], "options": {"top": "1"}}, {"error": "options.top is not what is expected"}),
        (
            422,
            PREDICT,
            {"inputs": ["a"], "options": {"beam": 1}},
            {"error": "options.beam is unknown", "expected": "options of top", "got": "options.beam"},
        ),
        (422, PREDICT, {"inputs": ["a"], "options": {"top": 51}}, {"expected": "0 to 50", "got": 51}),
        (422, PREDICT, {"inputs": ["a"] * 65}, {"error": "there are too many inputs", "got": 65}),
        (422, PREDICT, {"inputs": [LONG]}, {"error": "an input is too long", "expected": "10,000 characters at most"}),
        (422, PREDICT, {"inputs": [["x"] * 4001]}, {"expected": "4,000 tokens at most", "got": 4001}),
        (422, "models/fill/predict", {"inputs": ["the fox"]}, {"next": "Change the request as the sentence says."}),
        (422, "models/pairs/predict", {"inputs": ["a"], "options": {"beam": 21}}, {"expected": "1 to 20"}),
        (422, "models/pairs/predict", {"inputs": ["a"], "options": {"beam": 2, "seed": 1}}, {"expected": None}),
        (422, "models/writer/predict", {"inputs": [["a"]]}, {"error": "a text is continued, not tokens"}),
        (422, "models/writer/generate", {"options": {"length": 2001}}, {"expected": "0 to 2,000", "got": 2001}),
        (
            422,
            "models/writer/generate",
            {"options": {"temperature": -1}},
            {"error": "options.temperature is not what is expected"},
        ),
        (422, "models/writer/generate", {"options": {"top_p": 0}}, {"expected": None}),
        (422, PREDICT, {"inputs": ["x" * 10_000] * 11}, {"expected": "100,000 characters in all at most"}),
        (422, "models/pairs/predict", {"inputs": ["x" * 2001]}, {"expected": "2,000 characters at most", "got": 2001}),
        (422, "models/fill/predict", {"inputs": ["___ a " * 17]}, {"expected": "16 blanks at most", "got": 17}),
        (422, "models/writer/predict", {"inputs": ["a"] * 7}, {"expected": "2,000 symbols in all at most"}),
        (422, "models/writer/generate", {"input": LONG}, {"error": "an input is too long"}),
        (
            422,
            "models/pairs/generate",
            {"input": "a", "options": {"beam": 2}},
            {
                "error": "options.beam is unknown",
                "expected": "options of length, top, temperature, top_k, top_p, seed",
            },
        ),
        (422, "models/pairs/generate", {"input": " "}, {"error": "the input is empty, so nothing is answered"}),
        (
            422,
            "models/writer/generate",
            {"options": {"form": True}},
            {"error": "options.form is unknown"},
        ),
        (422, "models/pairs/generate", {"input": "a", "options": {"form": True}}, {"error": "options.form is unknown"}),
        (422, "models/fill/generate", {"input": "a"}, {"error": "this model generates no text symbol by symbol"}),
        (422, "models/writer/inspect", {"text": "x" * 301}, {"expected": "300 symbols at most", "got": 301}),
        (422, "models/writer/inspect", {"text": ""}, {"expected": None}),
        (404, "models/writer/sessions/abc/feed", {"input": "a"}, {"error": "there is no such session", "got": "abc"}),
        (422, "models/slots/sessions", {}, {"next": "Change the request as the sentence says."}),
    ],
)
def test_what_cannot_be_answered(api: Any, status: int, path: str, body: Any, said: dict[str, Any]) -> None:
    found = api.refused(status, path, body)
    assert found == {**found, **said}
    assert "/" not in found["error"] or "/api" in found["error"]


def test_names_origins_and_headers(api: Any) -> None:
    foreign = api.send("GET", "/api/health", headers={"Host": "evil.example"})
    assert foreign.status_code == 400 and foreign.text == "Invalid host header"
    assert foreign.headers["content-security-policy"]
    origins = (("http://evil.example", 403), ("null", 403), ("http://[", 403), ("http://127.0.0.1:8000", 200))
    for origin, status in origins:
        answer = api.send("GET", "/api/health", headers={"Origin": origin})
        assert answer.status_code == status and "access-control-allow-origin" not in answer.headers
        assert status == 200 or answer.json()["got"] == origin
    assert api.send("GET", "/api/health", headers={"Host": "localhost:1"}).status_code == 200


def test_a_token_is_asked_for_where_there_is_one(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["classifier"], token="a token of ours".replace(" ", "-"))
    assert api.send("GET", "/").status_code == api.send("GET", "/api/health").status_code == 200
    none = api.send("GET", "/api/models")
    assert none.status_code == 401 and none.headers["www-authenticate"] == "Bearer" and none.json()["got"] == "no token"
    for given, status in (("Bearer other", 401), ("Basic a-token-of-ours", 401), ("bearer a-token-of-ours", 200)):
        assert api.send("GET", "/api/models", headers={"Authorization": given}).status_code == status


def test_behind_a_token_the_origin_is_nobodys_business(serve: Any, small_runs: dict[str, Any]) -> None:
    """A proxy may call the server by another name than the browser does; a page elsewhere has no token."""
    api = serve(small_runs["classifier"], token="a-token-of-ours-" * 2)
    for given, status in ((None, 401), ("Bearer a-token-of-ours-a-token-of-ours-", 200)):
        headers = {"Origin": "https://models.example", **({"Authorization": given} if given else {})}
        assert api.send("GET", "/api/models", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("path", "said", "expected"),
    [
        ("/srv/a.b/run", "/srv/a.b/run has no end. Train it.", "NAME has no end. Train it."),
        (
            "/srv/run",
            "those of /srv/run. See /srv/run/report.json, (/srv/run)",
            "those of NAME. See NAME/report.json, (NAME)",
        ),
        ("/srv/run", "/srv/run2 /srv/run-b /srv/run.toml x/srv/run", "/srv/run2 /srv/run-b /srv/run.toml x/srv/run"),
        (
            "run",
            "run cannot be streamed: run `recurra train`, rerun, a/run",
            "NAME cannot be streamed: NAME `recurra train`, rerun, a/run",
        ),
        (".", "a word. Another… and 0.5 of ./b", "a word. Another… and 0.5 of ./b"),
        ("..", "a word.. and ../b", "a word.. and ../b"),
        ("", "a word.", "a word."),
    ],
)
def test_where_a_run_lies_is_not_said(path: str, said: str, expected: str) -> None:
    assert str(of_recurra(RecurraError(said), path, "NAME")) == expected
    assert str(of_recurra(RecurraError(said), path, "a\\1")) == expected.replace("NAME", "a\\1")


class Held:
    """A model's thread that waits until it is let go."""

    def __init__(self, api: Any, name: str) -> None:
        self.worker, self.free, self.begun = api.models.by_name[name].worker, threading.Event(), threading.Event()

    def hold(self) -> None:
        self.begun.set()
        self.free.wait(20)

    async def __aenter__(self) -> Held:
        self.task = asyncio.ensure_future(self.worker.call(self.hold, 20))
        await asyncio.to_thread(self.begun.wait, 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.free.set()
        await self.task


def test_a_full_queue_and_a_long_wait(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["classifier"], waiting=2, seconds=0.3)
    body = {"inputs": ["the fox"]}

    async def crowd(client: Any) -> Any:
        async with Held(api, "classifier"):
            waiting = [asyncio.ensure_future(client.post(f"/api/{PREDICT}", json=body)) for _ in range(2)]
            await asyncio.sleep(0.05)
            full = await client.post(f"/api/{PREDICT}", json=body)
            return full, await asyncio.gather(*waiting)

    full, late = api.during(crowd)
    assert full.status_code == 429 and full.headers["retry-after"] == "1"
    assert full.json()["expected"] == "2 at a time"
    assert [answer.status_code for answer in late] == [503, 503] and "busy" in late[0].json()["error"]
    assert api.parts("classifier", "the fox")


def test_an_answer_that_takes_too_long(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["classifier"], seconds=0.2)
    worker, free = api.models.by_name["classifier"].worker, threading.Event()
    compute = worker._compute

    def slow(key: Any, inputs: Any) -> Any:
        free.wait(20)
        return compute(key, inputs)

    worker._compute = slow
    said = api.refused(504, PREDICT, {"inputs": ["the fox"]})
    assert said["error"] == "the answer took too long" and said["expected"] == "an answer within 0.2 seconds"
    free.set()


def test_streams_and_sessions_are_counted(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["writer"], streams=1, sessions=1, stream_seconds=0.05)

    async def crowd(client: Any) -> Any:
        async with Held(api, "writer"):
            first = asyncio.ensure_future(client.post("/api/models/writer/generate", json={"input": "a"}))
            await asyncio.sleep(0.02)
            second = await client.post("/api/models/writer/generate", json={"input": "a"})
            await asyncio.sleep(0.1)
            return (await first).text, second

    text, second = api.during(crowd)
    assert second.status_code == 429 and second.json()["error"] == "there are too many texts being generated"
    assert text.startswith("event: error") and "the answer took too long" in text
    assert api.send("POST", "/api/models/writer/sessions").status_code == 201
    full = api.send("POST", "/api/models/writer/sessions")
    assert full.status_code == 429 and full.headers["retry-after"] == "60"


def test_a_session_nobody_uses_is_closed() -> None:
    now = [0.0]
    sessions = Sessions(Limits(session_idle=10), lambda: now[0])
    one, two = sessions.add("one"), sessions.add("two")
    assert one != two and len(one) >= 16
    now[0] = 8
    assert sessions.find(one) == "one"
    now[0] = 15
    assert len(sessions) == 1 and sessions.find(one) == "one"
    with pytest.raises(Exception, match="there is no such session"):
        sessions.find(two)


def test_a_session_is_fed_so_much_at_once(api: Any) -> None:
    name = api.send("POST", "/api/models/writer/sessions").json()["id"]
    for given in ("x" * 2001, [1] * 2001):
        said = api.refused(422, f"models/writer/sessions/{name}/feed", {"input": given})
        assert said["expected"] == "2,000 symbols at once at most"
    for number in (999, -1, 1 << 61, -(1 << 61)):
        for given in ([number], [1, number]):
            said = api.refused(422, f"models/writer/sessions/{name}/feed", {"input": given, "top": 2})
            assert said["error"].startswith(f"symbol number {number} is outside the vocabulary")


def test_limits_are_positive() -> None:
    with pytest.raises(ConfigError, match="limit waiting = 0, expected more"):
        Limits(waiting=0)


def test_a_fault_of_ours_says_nothing_of_itself(serve: Any, small_runs: dict[str, Any], caplog: Any) -> None:
    api = serve(small_runs["classifier"])

    def broken(key: Any, inputs: Any) -> Any:
        raise RuntimeError("secret")

    api.models.by_name["classifier"].worker._compute = broken
    said = api.refused(500, PREDICT, {"inputs": ["the fox"]})
    assert said["error"] == "the model failed on this input" and "secret" not in str(said)
    assert "secret" in caplog.text


def test_a_text_that_breaks_off(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["writer"])
    worker = api.models.by_name["writer"].worker
    advance, rounds = worker._advance, iter(range(99))

    def broken(texts: Any) -> Any:
        if next(rounds) == 3:
            raise RuntimeError("broken")
        return advance(texts)

    worker._advance = broken
    events = api.events("writer", "the", length=9)
    assert [name for name, _ in events] == ["symbol", "symbol", "error"]  # the first round reads the prompt
    assert events[-1][1]["error"] == "the model failed on this input"
    worker._advance = lambda texts: (_ for _ in ()).throw(RuntimeError("broken"))
    assert api.refused(500, "models/writer/predict", {"inputs": ["the"]})["error"] == "the model failed on this input"
