"""What is found inside a model, as OpenAPI describes it; `looking` finds it. Needs no torch."""

from __future__ import annotations

from pydantic import BaseModel, Field

from recurra.server.parts import AttentionMap, Probability

Numbers = list[float | None]
"""None is what JSON has no number for."""


class Flow(BaseModel):
    """How much of an error arrives so many steps before it, in one layer and direction."""

    layer: int
    direction: str
    state: str
    mean: Numbers = Field(description="By lag.")
    bound: Numbers | None
    slope: float | None
    horizon: int | None
    verdict: str
    advice: str


class GradientFlow(BaseModel):
    """The flow of each layer and direction."""

    steps: list[int]
    notes: list[str]
    flows: list[Flow]


class Gate(BaseModel):
    """An activation of the cell's equations."""

    layer: int
    direction: str
    name: str
    function: str
    mean: float
    shut: float | None
    open: float | None
    over_text: Numbers = Field(description="Its mean over the units, at each token.")


class Keeping(BaseModel):
    """How long half of the units keep a state; None: for ever."""

    layer: int
    direction: str
    state: str
    median: float | None


class Gates(BaseModel):
    """All gates."""

    tokens: list[str]
    gates: list[Gate]
    kept: list[Keeping]


class Unit(BaseModel):
    """A unit's state after each token."""

    layer: int
    direction: str
    state: str
    unit: int
    r: float | None
    values: Numbers


class Place(BaseModel):
    """How likely a symbol was where it stands."""

    symbol: str
    p: Probability
    rank: int
    alternatives: list[tuple[str, float]]


class SharpMap(AttentionMap):
    """A map, and how sharp it is."""

    own_answer: bool
    entropy: float
    largest: float


class Head(SharpMap):
    """A head of self-attention."""

    layer: int
    head: int


class Inspection(BaseModel):
    """Everything that can be said of one input; None is what does not apply."""

    tokens: list[str]
    gradient_flow: GradientFlow | None
    gates: Gates | None
    units: list[Unit]
    next_symbols: list[Place] | None
    alignment: SharpMap | None
    self_attention: list[Head] | None
    left_out: dict[str, str] = Field(description="What does not apply, and why.")
