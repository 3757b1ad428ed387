"""How early a model can say what a sequence is: the score of its answers to beginnings of sequences, ever longer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recurra.asking.answering import answer, questions
from recurra.asking.examples import beginning, steps_of
from recurra.diagnostics.plain import plain
from recurra.errors import DataError
from recurra.model import Model
from recurra.progress import steps
from recurra.tasks.contract import Answers, ReadsTrees
from recurra.tasks.options import make_options
from recurra.tasks.writing import Starts
from recurra.types import Example

SHARES = tuple(k / 10 for k in range(1, 11))
"""Of a sequence, that are read."""
MOST = 500
"""Examples that are asked about, at most; of more a seeded sample."""
NEARLY = 0.95
"""A beginning is enough where it reaches so much of what the whole does."""


@dataclass(frozen=True, eq=False)
class Earliness:
    """The score by how much of each sequence was read."""

    shares: NDArray[np.float64]
    """[S] of the steps of a sequence, rounded up to whole ones."""
    values: NDArray[np.float64]
    """[S] the task's main metric of the answers to these beginnings."""
    steps: NDArray[np.float64]
    """[S] read on average."""
    metric: str
    direction: Literal["min", "max"]
    examples: int

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = plain(self)
        return found

    @property
    def enough(self) -> int | None:
        """The first beginning that scores at least 95 % of what the whole does, of what is to be small 105 % at most;
        None where no share of a score can be told, as it is not above 0."""
        whole = float(self.values[-1])
        if not whole > 0 or math.isnan(whole):
            return None
        near = self.values >= NEARLY * whole if self.direction == "max" else self.values <= (2 - NEARLY) * whole
        return int(np.flatnonzero(near)[0])

    @property
    def conclusion(self) -> str:
        """A sentence: how early it can say."""
        name, whole, k = self.metric.replace("_", " "), self.values[-1], self.enough
        if k is None:
            return f"With all of a sequence its {name} is {whole:.4g}."
        if k == len(self.shares) - 1:
            return (
                f"It needs nearly all of a sequence: with {self.shares[-2]:.0%} its {name} is {self.values[-2]:.4g}, "
                f"with all {whole:.4g}."
            )
        return (
            f"With {self.shares[k]:.0%} of a sequence, {self.steps[k]:.4g} steps on average, its {name} is "
            f"{self.values[k]:.4g}, with all {whole:.4g}."
        )


def earliness(model: Model, examples: Sequence[Example], most: int = MOST) -> Earliness:
    """Ask for beginnings of labelled examples, 10 % of their steps, 20 % … 100 %, and score the answers.

    Of a causal core and of one that reads in both directions alike: it is given the beginning alone. Empty sequences
    are left out. Raises `DataError` for a model that does not answer a sequence by something for the whole, and where
    no example is labelled.
    """
    task, codecs = model.task, model.codecs
    if isinstance(task, ReadsTrees):
        raise DataError("a tree is answered when all of it is there: it has no beginning.")
    learned = [field for field in codecs.fields.values() if field.learned]
    if isinstance(task, Starts) or not isinstance(task, Answers) or any(field.along for field in learned):
        raise DataError("it answers step by step, or by a sequence of its own, not by one answer for a whole sequence.")
    known = [each for each in examples if all({*field.of} & each.keys() for field in learned)]
    known = [each for each in known if steps_of(each, codecs)]
    if not known:
        raise DataError(
            "there are no labelled examples to ask about. Look at the run's own held-out data, without --text and "
            "--file."
        )
    rows = sorted(np.random.default_rng(0).permutation(len(known))[:most].tolist())
    known = [known[row] for row in rows]
    lengths = np.array([steps_of(each, codecs) for each in known])
    metric, direction = task.main_metric
    options, device = make_options(task, {}, {}), next(model.parameters()).device
    training, values, read = model.training, [], []
    model.eval()
    try:
        for share in steps(SHARES, "asking about beginnings", "shares", len(SHARES)):
            counts = np.ceil(share * lengths).astype(int)
            some = [beginning(each, codecs, count) for each, count in zip(known, counts.tolist(), strict=True)]
            said = answer([model], questions([model], some), options, device)
            values.append(float(task.score(known, said, codecs).metrics[metric]))
            read.append(float(counts.mean()))
    finally:
        model.train(training)
    return Earliness(np.array(SHARES), np.array(values), np.array(read), metric, direction, len(known))
