"""The parts of an answer as OpenAPI describes them, told apart by their `kind`; `kinds` makes them. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

Probability = Annotated[float, Field(ge=0, le=1.000001)]
"""Beyond 1 by what float32 rounds, at most."""


class Choice(BaseModel):
    """A symbol that is likely somewhere."""

    symbol: str
    p: Probability


class Bar(BaseModel):
    """A label, and how likely it is."""

    label: str
    p: Probability


class LabelPart(BaseModel):
    """One label, or as many as fit."""

    kind: Literal["label"]
    label: str | None = Field(default=None, description="Where there is one.")
    labels: list[str] | None = Field(default=None, description="Where there may be several.")
    bars: list[Bar] = Field(description="The likeliest first.")
    several: bool = Field(description="Whether each bar is a decision of its own.")


class Span(BaseModel):
    """Tokens from `begin` to before `end`."""

    label: str
    begin: int
    end: int
    p: Probability | None


class SpansPart(BaseModel):
    """What is marked in a text."""

    kind: Literal["spans"]
    tokens: list[str]
    spaced: bool = Field(description="Whether the tokens are written with spaces between them.")
    spans: list[Span]


class SymbolSaid(BaseModel):
    """A symbol that was written."""

    symbol: str
    text: str = Field(description="What it adds to the text.")
    p: Probability
    alternatives: list[Choice] = Field(default=[], description="The likeliest in its place, the likeliest first.")


class TextPart(BaseModel):
    """What was written behind a prompt."""

    kind: Literal["text"]
    prompt: str
    text: str
    symbols: list[SymbolSaid]


class Hypothesis(BaseModel):
    """A target, and what it is ranked by."""

    target: str
    score: float


class Unknown(BaseModel):
    """How many symbols have no name."""

    source: int
    target: int


class AttentionMap(BaseModel):
    """How much each row's symbol looks at each column's; a row sums to 1."""

    rows: list[str]
    columns: list[str]
    weights: list[list[float]]


class PairPart(BaseModel):
    """A target beside its source."""

    kind: Literal["pair"]
    source: str | list[str]
    target: str
    lines: list[str] | None = Field(description="Of a poem.")
    ended: bool = Field(description="False for a target that was cut off.")
    unknown: Unknown
    hypotheses: list[Hypothesis]
    map: AttentionMap | None = Field(description="Where the decoder looked, if that was asked.")
    map_left_out: str | None = Field(description="Why there is no map, although it was asked.")


class Side(BaseModel):
    """What may stand in a blank, as seen from both sides or from the left alone."""

    name: str
    choices: list[Choice]


class Blank(BaseModel):
    """A blank, by the number of its token."""

    place: int
    sides: list[Side]


class ChoicesPart(BaseModel):
    """Blanks, and what may stand there."""

    kind: Literal["choices"]
    tokens: list[str]
    spaced: bool
    unknown: list[str]
    blanks: list[Blank]


class NumberPart(BaseModel):
    """One number."""

    kind: Literal["number"]
    name: str
    value: float
    unit: str


class SeriesPart(BaseModel):
    """Numbers in time."""

    kind: Literal["series"]
    given: list[float] | None
    forecast: list[float]
    low: list[float] | None
    high: list[float] | None
    unit: str


Part = Annotated[
    LabelPart | SpansPart | TextPart | PairPart | ChoicesPart | NumberPart | SeriesPart, Field(discriminator="kind")
]
