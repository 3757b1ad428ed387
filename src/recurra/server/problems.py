"""Every refusal of the server: a status and one JSON object `{"error", "expected", "got", "next"}`. Needs no torch."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException

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
    # Where a value may be of several types, there is an error for each: the one that got furthest was meant.
    field = [part for part in errors[0]["loc"] if part not in TYPES][:1]
    of_it = [each for each in errors if [part for part in each["loc"] if part not in TYPES][:1] == field]
    first = max(of_it, key=lambda each: (each["type"] == "too_long", _numbers(each["loc"])))
    path = [str(part) for part in first["loc"] if part not in TYPES]
    place = cut(".".join(["options", *path] if options else path)) or "the body"
    if first["type"] == "json_invalid":
        error = f"the body is no JSON at character {first['loc'][-1]}"
        return Problem(400, error, expected="one JSON object in UTF-8", next=OPENAPI)
    if first["type"] == "extra_forbidden":
        expected = f"options of {', '.join(options)}" if options else "a field that there is"
        return Problem(422, f"{place} is unknown", expected=expected, got=place, next=OPENAPI)
    if first["type"] == "missing":
        return Problem(422, f"{place} is missing", expected=f"a body with {place}", next=OPENAPI)
    if first["type"] == "too_long":
        expected, got = "no more elements than the limits say", first["ctx"]["actual_length"]
        move = "GET /api/models names the limits."
        return Problem(422, f"{place} is too long", expected=expected, got=got, next=move)
    expected = str(first["msg"])
    return Problem(422, f"{place} is not what is expected", expected=expected, got=first.get("input"), next=OPENAPI)


def _numbers(place: Sequence[Any]) -> list[int]:
    """The places in lists that lead to a value."""
    return [part for part in place if isinstance(part, int)]


def too_long(what: str, most: int, got: int, unit: str) -> Problem:
    """An input, or a wish, beyond a limit."""
    move = "Send less, or part it into several requests."
    return Problem(422, f"{what} is too long", expected=f"{most:,} {unit} at most", got=got, next=move)


def too_many(what: str, most: int, after: int, status: int = 429) -> Problem:
    """There are as many of something as there may be."""
    return Problem(
        status,
        f"there are too many {what}",
        expected=f"{most:,} at a time",
        got=f"{most:,} already",
        next=f"Try again in {after} second{'' if after == 1 else 's'}.",
        headers={"Retry-After": str(after)},
    )


def too_slow(seconds: float, begun: bool) -> Problem:
    """A request that took too long, in the queue or in the model."""
    if begun:
        move = "Send a shorter input, or ask for less."
        return Problem(504, "the answer took too long", expected=f"an answer within {seconds:g} seconds", next=move)
    return Problem(
        503,
        "the model was busy with others for too long",
        expected=f"a turn within {seconds:g} seconds",
        next="Try again in 5 seconds.",
        headers={"Retry-After": "5"},
    )
