"""How what is said lies to what is true: numbers of held-out sequences, beside those that the model gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.asking.answering import answer, questions
from recurra.asking.examples import is_empty
from recurra.data.codecs.contract import forms_of
from recurra.diagnostics.plain import plain
from recurra.errors import DataError
from recurra.model import Model
from recurra.tasks.contract import Answers
from recurra.tasks.options import make_options
from recurra.tasks.writing import Starts
from recurra.types import Example

MOST = 500
"""Examples that are asked about, at most; of more a seeded sample."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """Numbers of one scale, or all where there is but one."""

    scale: str
    true: NDArray[np.float64]
    """[N]."""
    said: NDArray[np.float64]

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found

    @property
    def conclusion(self) -> str:
        """A sentence: by how much it errs, and whether to one side."""
        error = self.said - self.true
        spread = float(self.said.std() / self.true.std()) if self.true.std() > 0 else 1.0
        narrow = " What is said spreads less than what is true: extremes are drawn to the middle." * (spread < 0.8)
        off, to_a_side = float(np.abs(error).mean()), float(error.mean())
        side = f", by {abs(to_a_side):.2g} too {'high' if to_a_side > 0 else 'low'}" * (abs(to_a_side) > off / 4)
        return f"Off by {off:.3g} on average{side}.{narrow}"


def says_a_number(model: Model) -> tuple[str, str] | None:
    """The field of a model's answers that is one number for a whole sequence, and that of an example it is learned
    from; None where there is none."""
    if isinstance(model.task, Starts) or not isinstance(model.task, Answers):
        return None
    for name, field in model.codecs.fields.items():
        if field.learned and not field.along and "number" in forms_of(model.codecs[name].record()["kind"]):
            return name, field.of[0]
    return None


def agreement(model: Model, examples: Sequence[Example], most: int = MOST) -> tuple[Agreement, ...]:
    """What a model says of labelled examples whose target is one number each, by their "scale" where they have one.

    Raises `DataError` for a model whose answers are no numbers, and where no example is labelled.
    """
    task, codecs = model.task, model.codecs
    field = says_a_number(model)
    if field is None:
        raise DataError("its answers are not one number for a whole sequence.")
    name, of = field
    known = [each for each in examples if of in each and not is_empty(each, codecs)]
    if not known:
        raise DataError(
            "there are no examples with their true numbers. Look at the run's own held-out data, without --text and "
            "--file."
        )
    rows = sorted(np.random.default_rng(0).permutation(len(known))[:most].tolist())
    known = [known[row] for row in rows]
    training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        said = answer([model], questions([model], known), make_options(task, {}, {}), device)
    finally:
        model.train(training)
    scales = [str(each.get("scale", "")) for each in known]
    pairs = np.array([[float(each[of]), float(one[name])] for each, one in zip(known, said, strict=True)])
    found = []
    for scale in sorted({*scales}, key=lambda each: (len(each), each)):
        own = pairs[[each == scale for each in scales]]
        found.append(Agreement(scale, own[:, 0], own[:, 1]))
    return tuple(found)
