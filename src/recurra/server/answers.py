"""What the server answers, for OpenAPI: nothing is made or checked by these on the way out. Needs no torch."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from recurra.server.limits import Limits
from recurra.server.parts import Choice, Part, Probability, SymbolSaid


class Trouble(BaseModel):
    """What is wrong with a request."""

    error: str
    expected: str | None
    got: Any
    next: str | None = Field(description="The next move.")


class Work(BaseModel):
    """What a model has to do."""

    status: str
    waiting: int
    writing: int
    sessions: int
    computed: int
    batches: int


class Health(BaseModel):
    """Whether the server works."""

    status: str
    version: str
    models: dict[str, Work]


class Option(BaseModel):
    """What an option is where it is not said, and the most it may be."""

    default: bool | int | float | None
    most: int | None


class Scores(BaseModel):
    """Metrics of the model, or of what stands beside it."""

    part: str = Field(description="test, or valid where there is no test.")
    name: str
    metrics: dict[str, float | None]


class Card(BaseModel):
    """A model in words and numbers."""

    name: str
    task: str
    does: str
    description: str
    core: dict[str, Any]
    parameters: int
    vocabulary: dict[str, int]
    verb: str
    asks: str
    example: str
    longest: int = Field(description="Characters of an input.")
    gives: list[str] = Field(description="The kinds of parts of its answers.")
    options: dict[str, dict[str, Option]] = Field(description="By what is asked.")
    can: list[str]
    scores: list[Scores]
    data: Any = Field(description="How the data was parted.")
    trained: dict[str, Any]


class Cards(BaseModel):
    """All that is served."""

    models: list[Card]
    limits: Limits


class Answer(BaseModel):
    """What is said of one input, in parts."""

    parts: list[Part]


class Answers(BaseModel):
    """An answer for each input, in their order."""

    model: str
    answers: list[Answer]


class Written(BaseModel):
    """The event `end`: the whole text."""

    text: str
    symbols: int


Event = SymbolSaid | Written | Trouble
"""The data of the events `symbol`, `end` and `error`."""


class SessionId(BaseModel):
    """A session that was opened."""

    id: str
    count: int = Field(description="Symbols read since the begin.")


class Expected(BaseModel):
    """What was said of a symbol before it was read, and what is expected behind it."""

    symbol: str
    log_p: float | None
    next: list[Choice]


class Labelled(BaseModel):
    """What is said of a token, or of all that was read so far."""

    token: str
    tag: str | None = None
    filtered_tag: str | None = None
    label: str | None = None
    labels: list[str] | None = None
    p: Probability | list[Probability]
    p_tag: Probability | None = None
    p_filtered_tag: Probability | None = None
    p_label: Probability | None = None


class Fed(BaseModel):
    """An answer for each symbol that was read."""

    count: int
    answers: list[Expected | Labelled]
