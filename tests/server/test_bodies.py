"""Bodies that are no JSON, too long, too slow, or hold the wrong thing over and over."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from pydantic import ValidationError

from recurra.server import requests
from recurra.server.requests import MOST, body_of

PREDICT = "models/classifier/predict"


@pytest.mark.parametrize(
    ("kind", "said", "most"),
    [
        (requests.Predict, {"inputs": [0] * 5_000}, 6),
        (requests.Predict, {"inputs": [["a", *[0] * 5_000]]}, 6),
        (body_of("Options", (("beam", int, None),)), {f"a{k}": 1 for k in range(5_000)}, 1),
        (requests.Predict, {f"a{k}": 1 for k in range(5_000)}, 2),
        (requests.Feed, {"input": [{}] * 5_000}, 6),
    ],
)
def test_errors_are_not_made_for_every_element(kind: Any, said: Any, most: int) -> None:
    with pytest.raises(ValidationError) as found:
        kind.model_validate(said)
    assert found.value.error_count() <= most


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        (requests.Predict, {"inputs": ["a", 3]}, {"error": "inputs.1 is not what is expected", "got": 3}),
        (requests.Predict, {"inputs": [["a", 3]]}, {"error": "inputs.0.1 is not what is expected", "got": 3}),
        (requests.Predict, {"inputs": [""] * 100_001}, {"error": "inputs is too long", "got": 100_001}),
        (requests.Feed, {"input": [1] * 100_001}, {"error": "input is too long", "got": 100_001}),
        (requests.Feed, {"input": [1, {}]}, {"expected": "Input should be a valid integer", "got": "{}"}),
        (requests.Feed, {"input": ["a", 1]}, {"error": "input.1 is not what is expected", "got": 1}),
        (
            requests.Predict,
            [0] * 5_000,
            {"error": "the body is not what is expected"},
        ),
        (requests.Feed, {"input": "a", "b": 1, "c": 2, "d": 3}, {"error": "b is unknown", "got": "b"}),
    ],
)
def test_the_first_thing_that_is_wrong_is_said(api: Any, kind: Any, said: Any, expected: dict[str, Any]) -> None:
    path = PREDICT if kind is requests.Predict else "models/writer/sessions/abc/feed"
    found = api.refused(422, path, said)
    assert found == {**found, **expected}


@pytest.mark.parametrize("name", ["x" * 900_000, "\ud800" * 9, "é" * 500])
def test_an_unknown_name_is_said_back_in_short(api: Any, name: str) -> None:
    for body in ({"inputs": ["a"], name: 1}, {"inputs": ["a"], "options": {name: 1}}):
        headers = {"Content-Type": "application/json"}
        answer = api.send("POST", f"/api/{PREDICT}", content=json.dumps(body), headers=headers)
        assert answer.status_code == 422 and len(answer.content) < 600


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        ("{", 400, "the body is no JSON at character 1"),
        ("", 422, "the body is missing"),
        (b'{"inputs": ["\xff"]}', 400, "the body is no JSON"),
        ('{"inputs": ["é"]}'.encode("latin-1"), 400, "the body is no JSON"),
        ("[" * 100_000, 400, "the body is no JSON"),
        ('{"inputs": [%s]}' % ("9" * 9_999), 400, "the body is no JSON"),
        ('{"inputs": [NaN]}', 422, "inputs.0 is not what is expected"),
        ('{"inputs": [%s]}' % ("9" * 99), 422, "inputs.0 is not what is expected"),
    ],
)
def test_a_body_that_is_no_json(api: Any, content: Any, status: int, error: str) -> None:
    answer = api.send("POST", f"/api/{PREDICT}", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"].startswith(error) and answer.json()["next"]


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "NaN", "Infinity", "1" + "0" * 400, "-1" + "0" * 400, str(MOST + 1)]
)
@pytest.mark.parametrize(
    "name", ["temperature", "top_k", "top_p", "seed", "beam", "n_best", "length_penalty", "no_repeat"]
)
def test_a_number_beyond_all_numbers(api: Any, name: str, number: str) -> None:
    content = f'{{"inputs": ["the"], "options": {{"{name}": {number}}}}}'
    answer = api.send(
        "POST", "/api/models/pairs/predict", content=content, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422 and len(answer.text) < 500
    assert answer.json()["error"] == f"options.{name} is not what is expected"


@pytest.mark.parametrize("number", [MOST, -MOST, float(MOST)])
def test_the_largest_numbers_are_answered_in_words(api: Any, number: Any) -> None:
    for name in ("length_penalty", "top_p"):
        said = api.refused(422, "models/pairs/predict", {"inputs": ["the"], "options": {name: number}})
        assert name in said["error"] and "expected" in said["error"]


@pytest.mark.parametrize(("said", "status"), [("application/json; charset=utf-8", 200), ("text/plain", 415), ("", 415)])
def test_a_body_that_is_not_sent_as_json(api: Any, said: str, status: int) -> None:
    """A page elsewhere can send forms and plain text without asking first."""
    answer = api.send("POST", f"/api/{PREDICT}", content='{"inputs": ["a"]}', headers={"Content-Type": said})
    assert answer.status_code == status and (status == 200 or answer.json()["got"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pos/predict", {"inputs": [["a", "\udc00"]]}),
        ("pairs/inspect", {"text": "a", "target": "\udc00"}),
        ("writer/generate", {"input": "\udc00"}),
    ],
)
def test_half_a_character(api: Any, path: str, body: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.send("POST", f"/api/models/{path}", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"] == "an input holds half a character" and answer.json()["got"] == "U+DC00"


def test_a_body_that_is_too_long_or_too_slow(serve: Any, small_runs: dict[str, Any]) -> None:
    api = serve(small_runs["classifier"], body=100, body_seconds=0.05)
    assert api.send("POST", f"/api/{PREDICT}", {"inputs": ["x" * 100]}).status_code == 413

    async def pieces() -> Any:
        for _ in range(3):
            yield b"x" * 50

    unannounced = api.send("POST", f"/api/{PREDICT}", content=pieces())
    assert unannounced.status_code == 413 and unannounced.json()["expected"] == "100 bytes at most"

    async def slow() -> Any:
        yield b"{"
        await asyncio.sleep(1)

    assert api.send("POST", f"/api/{PREDICT}", content=slow()).status_code == 408
