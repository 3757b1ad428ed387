"""What requests hold. Needs no torch."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

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
Input = StrictStr | Tokens


class Body(BaseModel):
    """What a request holds; an unknown field is refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _one_unknown(cls, said: Any) -> Any:
        """A body of unknown fields is refused for the first of them."""
        if not isinstance(said, dict) or len(said) <= len(cls.model_fields):
            return said
        unknown = next(name for name in said if name not in cls.model_fields)
        return {name: value for name, value in said.items() if name in cls.model_fields or name == unknown}


class Options(Body):
    """Each is for some kinds of models alone; GET /api/models says which."""

    top: Whole | None = Field(default=None, description="Alternatives of a symbol, a label or a blank.")
    length: Whole | None = Field(default=None, description="Symbols to generate.")
    temperature: Annotated[Number, Field(ge=0, le=1000)] | None = Field(
        default=None, description="Below 1 the likely becomes likelier; 0 takes the likeliest always."
    )
    top_k: Whole | None = Field(default=None, description="Draw among the so many likeliest symbols only.")
    top_p: Number | None = Field(
        default=None, description="Draw among the likeliest symbols that together have this probability."
    )
    seed: Annotated[StrictInt, Field(ge=0, lt=1 << 62)] | None = Field(
        default=None, description="The same seed draws the same."
    )
    beam: Whole | None = Field(default=None, description="Hypotheses kept beside each other in the search.")
    n_best: Whole | None = Field(default=None, description="Hypotheses to give, the best first.")
    length_penalty: Number | None = Field(
        default=None, description="0 prefers short targets, more prefers longer ones."
    )
    no_repeat: Whole | None = Field(default=None, description="No run of so many symbols stands in a target twice.")
    form: StrictBool | None = Field(default=None, description="Write poems in exactly the form asked for.")
    attention: StrictBool | None = Field(default=None, description="Give the attention map, too.")

    def said(self) -> dict[str, Any]:
        """The options that are said."""
        return {name: value for name, value in self if value is not None}


class Predict(Body):
    """Inputs to be answered, as texts or as lists of tokens."""

    inputs: Annotated[list[Input], First] = Field(min_length=1, examples=[["Two men walk home in the rain."]])
    options: Options = Options()


class Generate(Body):
    """What a text is to be generated from: a prompt, or a source to be turned into a target."""

    input: StrictStr = Field(default="", examples=["ROMEO:"])
    options: Options = Options()


class Feed(Body):
    """What a session reads next: a text, symbols by their numbers, or tokens."""

    input: StrictStr | Numbers | Tokens
    top: Whole = 5


class Inspect(Body):
    """An input to look inside at, and, for a model that translates, a target to follow the errors of."""

    text: StrictStr
    target: StrictStr | None = None
