"""Every refusal of the server: a status and one JSON object `{"error", "expected", "got", "next"}`. Needs no torch."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from recurra.errors import RecurraError

SHOWN = 80
"""Characters of what came that are said back."""
OPENAPI = "/api/openapi.json says what each address takes."
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxlong = SHORT.maxother = SHOWN
TYPES = ("body", "str", "list[str]", "list[constrained-int]")
"""Names in the place of an error that lead to no field: of the body, and of a value's possible types."""


class Problem(HTTPException):
    """The HTTP error, as status and JSON body."""

    def __init__(
        self,
        status: int,
        error: str,
        *,
        expected: str | None = None,
        got: Any = None,
        next: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, error, headers)
        self.body = {"error": error, "expected": expected, "got": cut(got), "next": next}

    def __str__(self) -> str:
        return str(self.detail)

    def response(self) -> JSONResponse:
        """What the client reads."""
        return JSONResponse(self.body, self.status_code, self.headers)


def cut(value: Any) -> Any:
    """What came, short enough to be said back."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) < 1 << 53:  # nan is not
        return value
    written = value if isinstance(value, str) else SHORT.repr(value)
    text = written[: SHOWN + 1].encode("utf-8", "replace").decode()
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def of_recurra(error: RecurraError, path: str = "", name: str = "") -> Problem:
    """A run's own refusal. Where the run lies on the server is nobody's business, so its `name` stands in the place of
    its `path`, where that is a word of its own; a path of dots alone would be found in every sentence."""
    sentence = str(error)
    if re.search(r"\w", path):
        sentence = re.sub(rf"(?<![\w./\\-]){re.escape(path)}(?![\w-]|\.\w)", lambda _: name, sentence)
    return Problem(422, sentence, next="Change the request as the sentence says.")


def of_model() -> Problem:
    """A fault of ours, whose traceback the server's log has and the client need not."""
    move = "The server's log says where. Try another input, and report this one."
    return Problem(500, "the model failed on this input", expected="an answer", next=move)


def of_validation(errors: Sequence[Mapping[str, Any]], options: Sequence[str] = ()) -> Problem:
    """The first thing that is wrong with a body, or with its options, of which those named here are known."""
    paths = [[part for part in each["loc"] if part not in TYPES] for each in errors]
    of_first = [(each, path) for each, path in zip(errors, paths, strict=True) if path[:1] == paths[0][:1]]
    # Where a value may be of several types, there is an error for each: the one that got furthest was meant.
    first, path = max(of_first, key=lambda one: (one[0]["type"] == "too_long", [k for k in one[1] if type(k) is int]))
    place = cut(".".join(map(str, ["options", *path] if options else path))) or "the body"
    error, expected, got, move = f"{place} is not what is expected", str(first["msg"]), first.get("input"), OPENAPI
    if first["type"] == "json_invalid":
        error = f"the body is no JSON at character {path[-1]}"
        return Problem(400, error, expected="one JSON object in UTF-8", next=move)
    if first["type"] == "extra_forbidden":
        error, got = f"{place} is unknown", place
        expected = f"options of {', '.join(options)}" if options else "a field that there is"
    elif first["type"] == "missing":
        error, expected, got = f"{place} is missing", f"a body with {place}", None
    elif first["type"] == "too_long":
        error, expected = f"{place} is too long", "no more elements than the limits say"
        got, move = first["ctx"]["actual_length"], "GET /api/models names the limits."
    return Problem(422, error, expected=expected, got=got, next=move)


def too_long(what: str, most: int, got: int, unit: str) -> Problem:
    """An input, or a wish, beyond a limit."""
    move = "Send less, or part it into several requests."
    return Problem(422, f"{what} is too long", expected=f"{most:,} {unit} at most", got=got, next=move)


def too_many(what: str, most: int, after: int, status: int = 429) -> Problem:
    """There are as many of something as there may be; `after` so many seconds another try makes sense."""
    expected, got = f"{most:,} at a time", f"{most:,} already"
    move, headers = f"Try again in {after} second{'' if after == 1 else 's'}.", {"Retry-After": str(after)}
    return Problem(status, f"there are too many {what}", expected=expected, got=got, next=move, headers=headers)


def too_slow(seconds: float, begun: bool) -> Problem:
    """A request that took too long, in the queue or in the model."""
    if begun:
        expected, move = f"an answer within {seconds:g} seconds", "Send a shorter input, or ask for less."
        return Problem(504, "the answer took too long", expected=expected, next=move)
    error, expected = "the model was busy with others for too long", f"a turn within {seconds:g} seconds"
    return Problem(503, error, expected=expected, next="Try again in 5 seconds.", headers={"Retry-After": "5"})
