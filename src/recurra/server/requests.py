"""What requests hold. Needs no torch."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    create_model,
    model_validator,
)

MOST = 1 << 62
"""A number is no further from 0: JSON knows no bound, but what computes with it does."""
Whole = Annotated[StrictInt, Field(ge=-MOST, le=MOST)]
Number = Annotated[StrictInt | StrictFloat, Field(ge=-MOST, le=MOST)]  # which nan is not, either
LISTED = 100_000
"""Elements of a list that are looked at, whatever the limits are."""
First = Field(fail_fast=True, max_length=LISTED)
"""Of a list of what it should not hold, the first is said: errors for all of them would take seconds."""
Tokens = Annotated[list[StrictStr], First]
Numbers = Annotated[list[Whole], First]
Step = Number | Annotated[list[Number], First]
Input = StrictStr | Tokens | Annotated[list[Step], First]
"""A text, its tokens, or numbers: one a step, or several."""
Measured = Annotated[list[Number | Annotated[list[Number | None], First] | None], First]
"""Numbers, one a step or several, null where one is missing."""


class Body(BaseModel):
    """What a request holds; an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _one_unknown(cls, given: Any) -> Any:
        """A body of unknown fields is refused for the first of them."""
        if not isinstance(given, dict) or len(given) <= len(cls.model_fields):
            return given
        unknown = next(name for name in given if name not in cls.model_fields)
        return {name: value for name, value in given.items() if name in cls.model_fields or name == unknown}


class Predict(Body):
    """Inputs to be answered, as texts or as lists of tokens."""

    inputs: Annotated[list[Input], First] = Field(min_length=1, examples=[["Two men walk home in the rain."]])
    options: dict[str, Any] = Field(default={}, description="Those of the model's card.", examples=[{"top": 5}])


class Generate(Body):
    """What a text is to be generated from: a prompt, or a source to be turned into a target."""

    input: StrictStr = Field(default="", examples=["ROMEO:"])
    options: dict[str, Any] = Field(default={}, description="Those of the model's card.", examples=[{"length": 80}])


class Feed(Body):
    """What a session reads next: a text, symbols by their numbers, tokens, or the numbers of steps, null where one is
    missing; and how long ago each step before was, in units of the usual step, where it was not one. Of a model that
    hears recordings samples: in base64 a WAV file or whole numbers of 16 bits, the lower byte first, or a list of
    numbers from −1 to 1."""

    input: StrictStr | Numbers | Tokens | Measured
    top: Whole = 5
    dt: Number | Annotated[list[Number], First] | None = None
    rate: Annotated[StrictInt, Field(ge=1_000, le=768_000)] | None = Field(
        default=None, description="Of samples, in Hz; the model's own where none is said."
    )
    ended: StrictBool = Field(default=False, description="Whether the recording is over: what is left is answered.")


class Inspect(Body):
    """An input to look inside at, and, for a model that translates, a target to follow the errors of."""

    text: StrictStr
    target: StrictStr | None = None


KINDS: dict[Any, Any] = {bool: StrictBool, int: Whole, float: Number}


@cache
def body_of(name: str, options: tuple[tuple[str, type, Any], ...]) -> type[Body]:
    """A body with some options, each by name and type, which may be left out or null; bounds are in pydantic's words
    (`ge`, `lt` …)."""
    found: Any = {}
    for option, kind, bounds in options:
        found[option] = (Annotated[KINDS.get(kind, StrictStr), Field(**dict(bounds or ()))] | None, None)
    return create_model(name, __base__=Body, **found)
