"""What of a data set is scored on: as much as the time pays for, drawn by a seed; a little is scored to find out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import DataError
from recurra.progress import duration
from recurra.types import Example

FEWEST, FEWEST_STEPS = 16, 4_000
"""Examples, or steps of a long sequence, that are scored on at least."""
SMALL = 16
"""By how much a data set is larger than that, where it is found out what it costs though there is time for all."""
MEASURED, MEASURED_SHARE = 0.5, 0.1
"""Seconds of scoring that say what all costs, and the share of the time there is that these are at most."""
MORE, AGAIN = 8, 4
"""By how much more is scored next, where that took less; and where it took more than there is time for all."""
LEAST_SLOPE = 0.1
"""Share of a scoring's seconds that are taken to grow with the examples at least."""
ROOM, PART = 0.9, 0.5
"""Shares of the time left that all examples may take, and a part of them where all would take more: what comes after it
needs time, too, and a few are not like all."""
SAID = 10.0
"""Seconds of a scoring that are said before it begins."""
Found = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """A share of examples; of long sequences, each is cut to a piece that begins anywhere. `field`: the input's."""

    examples: Sequence[Example]
    seed: int
    field: str | None
    """The input of a long sequence; None: each example is drawn or not."""

    @property
    def least(self) -> float:
        """The share that is scored on at least."""
        return min(1.0, (FEWEST if self.field is None else FEWEST_STEPS) / max(1, self.count(1.0)))

    def count(self, share: float) -> int:
        """How many examples, or steps, a share is."""
        whole = len(self.examples) if self.field is None else sum(len(each[self.field]) for each in self.examples)
        return min(whole, max(1, round(share * whole)))

    def draw(self, share: float) -> Sequence[Example]:
        """The examples of a share; the same ones for the same share and seed, in their order."""
        if share >= 1:
            return self.examples
        random = np.random.default_rng(self.seed)
        if self.field is not None:
            return [_piece(each, self.field, share, random) for each in self.examples]
        rows = random.permutation(len(self.examples))[: self.count(share)]
        return [self.examples[row] for row in sorted(rows.tolist())]

    def words(self, share: float) -> str:
        """How many that are: `1,200 of 25,000 examples`."""
        texts = self.field is not None and isinstance(self.examples[0][self.field], str)
        unit = "examples" if self.field is None else "characters" if texts else "steps"
        of = "" if share >= 1 else f"{self.count(share):,} of "
        return f"{of}{self.count(1.0):,} {unit}"


def score_affordable(
    sample: Sample,
    score: Callable[[Sequence[Example]], Found],
    seconds: float,
    told: Callable[[float, float], None] = lambda whole, share: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Found, float]:
    """What `score` makes of as many examples as can be scored in so many seconds, and which share these are.

    `told`: the seconds that all would take and the share that is scored, once they are known.
    """
    begun, share = clock(), sample.least
    if seconds == math.inf and share > 1 / SMALL:
        return score(sample.examples), 1.0
    former: tuple[float, float] | None = None  # a smaller share, and the seconds it took
    again = True
    while True:
        started = clock()
        try:
            found = score(sample.draw(share))
        except DataError:
            if share >= 1:
                raise
            share = min(1.0, share * MORE)  # so few may hold nothing that can be scored
            continue
        took, left = clock() - started, seconds - (clock() - begun)
        if share >= 1:
            return found, share
        slope = took / share
        if former is not None:  # what is not of the examples, such as a kernel that is compiled, does not grow
            slope = max((took - former[1]) / (share - former[0]), LEAST_SLOPE * slope)
        whole = took + slope * (1 - share)
        if took < min(MEASURED, MEASURED_SHARE * seconds):
            factor = MORE
        elif again and whole > min(left, SAID) and AGAIN * took < (SAID if left == math.inf else left / 2):
            again, factor = False, AGAIN
        else:
            break
        former, share = (share, took), min(1.0, share * factor)
    chosen = 1.0 if whole <= ROOM * left else share + (PART * left - took) / slope
    told(whole, max(chosen, share))
    return (found, share) if chosen <= share else (score(sample.draw(chosen)), chosen)


def forecast(part: str, sample: Sample, whole: float, share: float) -> str | None:
    """A sentence about what it takes to score a part, where that is worth saying before it begins."""
    if share < 1:
        return (
            f"To score all {sample.words(1.0)} of the {part} would take about {duration(whole)}, longer than "
            f"--max-minutes leaves: {sample.words(share)}, drawn by the seed, are scored."
        )
    return f"Scoring {sample.words(1.0)} of the {part} takes about {duration(whole)}." if whole >= SAID else None


def _piece(example: Mapping[str, Any], field: str, share: float, random: np.random.Generator) -> Example:
    """A piece of a long sequence, of all fields that are as long as its input; of a text it begins with a line."""
    value = example[field]
    length = min(len(value), max(1, round(share * len(value))))
    start = int(random.integers(len(value) - length + 1))
    if isinstance(value, str):
        start = value.find("\n", start, start + length) + 1 or start
    return {
        name: each[start : start + length] if _steps(each) == len(value) and name != "place" else each
        for name, each in example.items()
    }


def _steps(value: Any) -> int:
    """How long a value of a field is; 0 of one that has no steps."""
    return len(value) if isinstance(value, (str, list, tuple)) or np.ndim(value) else 0
