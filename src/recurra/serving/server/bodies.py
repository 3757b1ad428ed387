"""What requests hold and what answers hold, for OpenAPI. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

Number = StrictInt | StrictFloat
Input = StrictStr | list[StrictStr]


class Body(BaseModel):
    """What a request holds; an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")


class Options(Body):
    """Each is for some kinds of models alone; GET /api/models says which."""

    top: StrictInt | None = Field(default=None, description="Alternatives of a symbol, a label or a blank.")
    length: StrictInt | None = Field(default=None, description="Symbols to generate.")
    temperature: Annotated[Number, Field(ge=0, le=1000)] | None = Field(
        default=None, description="Below 1 the likely becomes likelier; 0 takes the likeliest always."
    )
    top_k: StrictInt | None = Field(default=None, description="Draw among the so many likeliest symbols only.")
    top_p: Number | None = Field(
        default=None, description="Draw among the likeliest symbols that together have this probability."
    )
    seed: Annotated[StrictInt, Field(ge=0, lt=1 << 62)] | None = Field(
        default=None, description="The same seed draws the same."
    )
    beam: StrictInt | None = Field(default=None, description="Hypotheses kept beside each other in the search.")
    n_best: StrictInt | None = Field(default=None, description="Hypotheses to give, the best first.")
    length_penalty: Number | None = Field(
        default=None, description="0 prefers short targets, more prefers longer ones."
    )
    no_repeat: StrictInt | None = Field(default=None, description="No run of so many symbols stands in a target twice.")
    form: StrictBool | None = Field(default=None, description="Write poems in exactly the form asked for.")
    attention: StrictBool | None = Field(default=None, description="Give the attention map, too.")

    def said(self) -> dict[str, Any]:
        """The options that are said."""
        return {name: value for name, value in self if value is not None}


class Predict(Body):
    """Inputs to be answered, as texts or as lists of tokens."""

    inputs: list[Input] = Field(min_length=1, examples=[["Two men walk home in the rain."]])
    options: Options = Options()


class Generate(Body):
    """What a text is to be generated from: a prompt, or a source to be turned into a target."""

    input: StrictStr = Field(default="", examples=["ROMEO:"])
    options: Options = Options()


class Feed(Body):
    """What a session reads next: a text, symbols by their numbers, or tokens."""

    input: StrictStr | list[StrictInt] | list[StrictStr]
    top: StrictInt = 5


class Inspect(Body):
    """An input to look inside at, and, for a model that translates, a target to follow the errors of."""

    text: StrictStr
    target: StrictStr | None = None


class Answer(BaseModel):
    """What is said of one input, in parts."""

    parts: list[dict[str, Any]] = Field(description="Each has a `kind`: label, spans, text, pair, choices, number …")


class Answers(BaseModel):
    """An answer for each input, in their order."""

    model: str
    answers: list[Answer]


class SessionId(BaseModel):
    """A session that was opened."""

    id: str
    count: int = Field(description="Symbols read since the begin.")


class Fed(BaseModel):
    """An answer for each symbol that was read."""

    count: int
    answers: list[dict[str, Any]]


class Trouble(BaseModel):
    """What is wrong with a request."""

    error: str
    expected: str | None
    got: Any
    next: str | None = Field(description="The next move.")
