"""What OpenAPI says of every address, held against what the addresses answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from recurra.answers import KINDS

from .conftest import TASKS

TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}
SAID = {"fill": "the ___ fox"}


class Document:
    """The description of a server."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found

    def of(self, path: str, method: str = "post", status: int | str = 200, media: str = "application/json") -> Any:
        """The schema of an answer."""
        return self.found["paths"][f"/api/{path}"][method]["responses"][str(status)]["content"][media]["schema"]

    def wrong(self, value: Any, schema: Any, place: str = "") -> Iterator[str]:
        """Each place where a value is not as it is described; a field that nothing is said of is one."""
        if "$ref" in schema:
            schema = self.found["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        either = schema.get("anyOf") or schema.get("oneOf")
        if either:
            each = [list(self.wrong(value, one, place)) for one in either]
            if all(each):
                yield from min(each, key=len)
            return
        if not schema.keys() - {"title", "description"}:
            return
        if "const" in schema and value != schema["const"]:
            yield f"{place}: {value!r}, expected {schema['const']!r}"
        kind = TYPES[schema["type"]]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield f"{place}: {value!r}, expected {schema['type']}"
            return
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value) if kind == int | float else False:
            yield f"{place}: {value} is out of range"
        for k, item in enumerate(value if kind is list else ()):
            inner = schema["prefixItems"][k] if "prefixItems" in schema else schema["items"]
            yield from self.wrong(item, inner, f"{place}.{k}")
        if kind is dict:
            yield from self.wrong_fields(value, schema, place)

    def wrong_fields(self, value: dict[str, Any], schema: Any, place: str) -> Iterator[str]:
        fields, others = schema.get("properties", {}), schema.get("additionalProperties", False)
        yield from (f"{place}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, inner in value.items():
            if name in fields:
                yield from self.wrong(inner, fields[name], f"{place}.{name}")
            elif others is False:
                yield f"{place}.{name} is not described"
            elif others is not True:
                yield from self.wrong(inner, others, f"{place}.{name}")

    def check(self, value: Any, *where: Any) -> None:
        assert list(self.wrong(value, self.of(*where))) == []


@pytest.fixture(scope="module")
def document(api: Any) -> Document:
    return Document(api.ask("openapi.json"))


def test_the_checker_finds_what_is_wrong(document: Document) -> None:
    schema = document.of("models/{name}/sessions", "post", 201)
    assert list(document.wrong({"id": "a", "count": 1}, schema)) == []
    assert list(document.wrong({"id": 1, "x": 2}, schema)) == [
        ".count is missing",
        ".id: 1, expected string",
        ".x is not described",
    ]
    assert list(document.wrong({"id": "a", "count": True}, schema)) == [".count: True, expected integer"]
    parts = document.of("models/{name}/predict")
    right = {"model": "a", "answers": [{"parts": [{"kind": "label", "several": False}], "notes": []}]}
    assert list(document.wrong(right, parts)) == []
    del right["answers"][0]["parts"][0]["kind"]  # type: ignore[index]
    assert list(document.wrong(right, parts)) == [".answers.0.parts.0.kind is missing"]


def test_health_and_cards_are_as_described(api: Any, document: Document) -> None:
    document.check(api.ask("health"), "health", "get")
    document.check(api.ask("models"), "models", "get")
    document.check(api.ask("models/writer"), "models/{name}", "get")


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_as_described(api: Any, document: Document, name: str) -> None:
    text = SAID.get(name, "the quick fox")
    options: dict[str, Any] = {"n_best": 2, "beam": 2} if name in ("pairs", "blind") else {}
    options |= {"attention": True} if name == "pairs" else {"length": 5} if name == "writer" else {}
    found = api.ask(f"models/{name}/predict", {"inputs": [text, text], "options": options})
    document.check(found, "models/{name}/predict")
    assert {part["kind"] for part in found["answers"][0]["parts"]} <= set(KINDS)
    document.check(api.ask(f"models/{name}/inspect", {"text": text}), "models/{name}/inspect")


@pytest.mark.parametrize("name", ["writer", "pairs"])
def test_events_are_as_described(api: Any, document: Document, name: str) -> None:
    described = document.found["paths"]["/api/models/{name}/generate"]["post"]
    assert "text/event-stream" in described["responses"]["200"]["content"]
    for top in (0, 3):
        *symbols, (last, whole) = api.events(name, "the", length=4, top=top)
        assert last == "end" and set(whole) == {"text", "symbols"}
        for event, data in symbols:
            assert event == "symbol" and set(data) == {"symbol", "text", "p", *(["alternatives"] if top else [])}
            assert all(f"`{field}`" in described["description"] for field in data)


@pytest.mark.parametrize("name", ["writer", "tagger", "classifier", "labels", "pos"])
def test_sessions_are_as_described(api: Any, document: Document, name: str) -> None:
    path = f"models/{name}/sessions"
    opened = api.send("POST", f"/api/{path}")
    document.check(opened.json(), "models/{name}/sessions", "post", opened.status_code)
    path = f"{path}/{opened.json()['id']}"
    fed = api.ask(f"{path}/feed", {"input": "the quick fox"})
    assert len(fed["answers"]) == fed["count"] > 1
    document.check(fed, "models/{name}/sessions/{id}/feed")
    forked = api.send("POST", f"/api/{path}/fork")
    document.check(forked.json(), "models/{name}/sessions/{id}/fork", "post", forked.status_code)
    closed = api.send("DELETE", f"/api/{path}")
    assert str(closed.status_code) in document.found["paths"]["/api/models/{name}/sessions/{id}"]["delete"]["responses"]
    assert not closed.content


def test_refusals_are_as_described(api: Any, document: Document) -> None:
    for path, body, status, where in (
        ("models/writr", None, 404, ("models/{name}", "get")),
        ("models/classifier/predict", {}, 422, ("models/{name}/predict", "post")),
        ("models/writer/generate", {"options": {"beam": 2}}, 422, ("models/{name}/generate", "post")),
        ("models/writer/sessions/abc/feed", {"input": "a"}, 404, ("models/{name}/sessions/{id}/feed", "post")),
    ):
        document.check(api.refused(status, path, body), *where, "default")


def test_every_address_says_how_it_refuses_and_whether_it_wants_the_token(document: Document) -> None:
    for path, methods in document.found["paths"].items():
        for described in methods.values():
            schema = described["responses"]["default"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Refusal"} and "422" not in described["responses"]
            assert (path != "/api/health") == (described.get("security") == [{"token": []}])
    assert document.found["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
