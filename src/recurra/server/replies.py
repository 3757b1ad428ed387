"""What requests are answered. Needs no torch."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from recurra.answers import KINDS
from recurra.server.limits import Limits


class Refusal(BaseModel):
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


class Card(BaseModel):
    """A model in words and numbers."""

    name: str
    task: str
    continues: bool = Field(description="Whether it writes on from a beginning, symbol by symbol.")
    file: str | None = Field(
        description='What it reads where an input is the bytes of a file in base64: "image", "sound".'
    )
    drawn: bool = Field(description="Whether such a picture may be drawn by hand: a line of writing.")
    imagines: bool = Field(description="Whether it draws by chance, of nothing too, which is an empty input.")
    description: str = Field(description="What it is, of which data, how large, how long it was trained.")
    core: dict[str, Any]
    parameters: int
    vocabulary: dict[str, int]
    verb: str
    asks: str
    example: str
    longest: int = Field(description="Characters of an input.")
    options: dict[str, dict[str, dict[str, Any]]] = Field(description="By what is asked: their default and the most.")
    can: list[str]
    scores: list[dict[str, Any]] = Field(description="Metrics of the model, and of what stands beside it.")
    data: Any = Field(description="How the data was parted.")
    trained: dict[str, Any]


class Cards(BaseModel):
    """All that is served."""

    models: list[Card]
    limits: Limits


class Part(BaseModel):
    """One of the parts of an answer, with the fields of its kind."""

    model_config = ConfigDict(extra="allow")
    kind: str = Field(examples=list(KINDS))


class Answer(BaseModel):
    """What is said of one input."""

    parts: list[Part] = Field(description="None where the input is empty.")
    notes: list[str] = Field(description="What there is to know of it, a sentence each.")


class Answers(BaseModel):
    """An answer for each input, in their order."""

    model: str
    answers: list[Answer]


class SessionId(BaseModel):
    """A session that was opened."""

    id: str
    count: int = Field(description="Symbols read since the begin.")


class Fed(BaseModel):
    """What is said of each symbol that was read: its probability and what is expected next, or its labels."""

    count: int
    answers: list[dict[str, Any]]


class Inspection(BaseModel):
    """Everything that can be said of one input, as `recurra.diagnostics` says it; None is what does not apply."""

    tokens: list[str]
    gradient_flow: dict[str, Any] | None = Field(description="How much of an error arrives so many steps before it.")
    gates: dict[str, Any] | None = Field(description="Every gate's mean, how often it is shut or open, and over time.")
    units: list[dict[str, Any]] = Field(description="The states that change most, after each token.")
    next_symbols: list[dict[str, Any]] | None = Field(description="How likely each symbol was where it stands.")
    alignment: dict[str, Any] | None = Field(description="Where the decoder looks.")
    self_attention: list[dict[str, Any]] | None = Field(description="Where each head looks.")
    mutations: dict[str, Any] | None = Field(None, description="What a change of each base would do to the label.")
    tree_reach: dict[str, Any] | None = Field(None, description="How much of the root's error arrives at what depth.")
    left_out: dict[str, str] = Field(description="What does not apply, and why.")
