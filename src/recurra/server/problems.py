"""Every refusal of the server: a status and one JSON object `{"error", "expected", "got", "next"}`. Needs no torch."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from recurra.errors import RecurraError

SHOWN = 80
"""Characters of what came that are said back."""
OPENAPI = "/api/openapi.json says what each address takes."
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxlong = SHORT.maxother = SHOWN
CLOSED = 499
"""What is logged of a request whose client has left; nobody reads it."""
TYPES = ("str", "list[str]", "list[constrained-int]")
"""What a place is called by where a value may be of several types."""


class Problem(Exception):
    """A request that is answered by what is wrong with it."""

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
        super().__init__(error)
        self.status, self.error, self.expected, self.next = status, error, expected, next
        self.got = cut(got)
        self.headers = dict(headers or {})

    def as_json(self) -> dict[str, Any]:
        """What the client reads."""
        return {"error": self.error, "expected": self.expected, "got": self.got, "next": self.next}


def cut(value: Any) -> Any:
    """What came, short enough to be said back."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) < 1 << 53:  # nan is not
        return value
    written = value if isinstance(value, str) else SHORT.repr(value)
    text = written[: SHOWN + 1].encode("utf-8", "replace").decode()
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def left() -> Problem:
    """A request whose client has left."""
    return Problem(CLOSED, "the client has left")


def of_recurra(error: RecurraError, path: str = "", name: str = "") -> Problem:
    """What a run refuses, in its own words, which name what was expected and the next move; where the run lies on the
    server is nobody's business, so its `name` stands in the place of its `path`, where that is a word of its own. A
    path of dots alone says nothing, and would be found in every sentence."""
    said = str(error)
    if re.search(r"\w", path):
        said = re.sub(rf"(?<![\w./\\-]){re.escape(path)}(?![\w-]|\.\w)", lambda _: name, said)
    return Problem(422, said, next="Change the request as the sentence says.")


def of_model() -> Problem:
    """A fault of ours, whose traceback the server's log has and the client need not."""
    return Problem(
        500,
        "the model failed on this input",
        expected="an answer",
        next="The server's log says where. Try another input, and report this one.",
    )


def of_validation(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """What a body lacks, by the first thing that is wrong with it."""
    # Where a value may be of several types, each says what is wrong with it: the one that got furthest was meant.
    field = errors[0]["loc"][:1]
    of_it = [each for each in errors if each["loc"][:1] == field]
    first = max(of_it, key=lambda each: (each["type"] == "too_long", _numbers(each["loc"])))
    place = cut(".".join(str(part) for part in first["loc"] if part not in TYPES)) or "the body"
    expected = str(first["msg"])
    if first["type"] == "extra_forbidden":
        return Problem(422, f"{place} is unknown", expected="a field or option that there is", got=place, next=OPENAPI)
    if first["type"] == "missing":
        return Problem(422, f"{place} is missing", expected=f"a body with {place}", next=OPENAPI)
    if first["type"] == "too_long":
        return Problem(
            422,
            f"{place} is too long",
            expected="no more elements than the limits say",
            got=first["ctx"]["actual_length"],
            next="GET /api/models names the limits.",
        )
    return Problem(422, f"{place} is not what is expected", expected=expected, got=first.get("input"), next=OPENAPI)


def _numbers(place: Sequence[Any]) -> list[int]:
    """The places in lists that lead to a value."""
    return [part for part in place if isinstance(part, int)]


def too_long(what: str, most: int, got: int, unit: str) -> Problem:
    """An input, or a wish, beyond a limit."""
    return Problem(
        422,
        f"{what} is too long",
        expected=f"{most:,} {unit} at most",
        got=got,
        next="Send less, or part it into several requests.",
    )


def too_many(what: str, most: int, after: int) -> Problem:
    """There are as many of something as there may be."""
    return Problem(
        429,
        f"there are too many {what}",
        expected=f"{most:,} at a time",
        got=f"{most:,} already",
        next=f"Try again in {after} second{'' if after == 1 else 's'}.",
        headers={"Retry-After": str(after)},
    )


def too_slow(seconds: float, begun: bool) -> Problem:
    """A request that took too long, in the queue or in the model."""
    if not begun:
        return Problem(
            503,
            "the model was busy with others for too long",
            expected=f"a turn within {seconds:g} seconds",
            next="Try again in 5 seconds.",
            headers={"Retry-After": "5"},
        )
    return Problem(
        504,
        "the answer took too long",
        expected=f"an answer within {seconds:g} seconds",
        next="Send a shorter input, or ask for less.",
    )
