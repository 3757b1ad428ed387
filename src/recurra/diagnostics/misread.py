"""What a model that writes transcripts reads worst: inputs as pictures, and where each symbol was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.answers import Transcript
from recurra.asking.answering import answer, questions
from recurra.data.seen import seen
from recurra.diagnostics.plain import plain
from recurra.errors import DataError
from recurra.model import Model
from recurra.tasks.contract import Answers
from recurra.tasks.error_rates import edit_distances
from recurra.tasks.options import make_options
from recurra.tasks.writing import Starts
from recurra.types import Example

MOST = 200
"""Examples that are asked about, at most; of more a seeded sample."""
SHOWN = 6
"""Those that are shown."""


@dataclass(frozen=True, eq=False)
class Misread:
    """An input, what is true and what was written for it."""

    place: str
    true: str
    written: str
    confidence: float
    errors: int
    """Edits between the two."""
    picture: NDArray[np.float32]
    """[W, T], 0 to 1, as `recurra.data.seen` makes it."""
    end: float
    """Where the input ends, in `unit`."""
    unit: str
    symbols: Sequence[Mapping[str, Any]]
    """Of each symbol written `{symbol, begin, end, p}`."""

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values but the picture."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self) if each.name != "picture"}


def writes_transcripts(model: Model) -> bool:
    """Whether it reads numbers and answers by symbols that lie somewhere in them."""
    if isinstance(model.task, Starts) or not isinstance(model.task, Answers):
        return False
    return any(each.aligned for each in model.codecs.fields.values()) and not hasattr(model.codecs["input"], "symbols")


def misread(model: Model, examples: Sequence[Example]) -> tuple[Misread, ...]:
    """The inputs with the most errors for their length among labelled examples, the worst first, and then others, so
    that there are `SHOWN` where there are as many.

    Raises `DataError` for a model that writes no transcripts of numbers, and where no example is labelled.
    """
    task, codecs = model.task, model.codecs
    if not writes_transcripts(model):
        raise DataError("it writes no transcripts of numbers.")
    known = [each for each in examples if any(name in each for name in codecs.fields["target"].of)]
    if not known:
        raise DataError("there are no labelled examples to ask about. Look at the run's own held-out data.")
    rows = sorted(np.random.default_rng(0).permutation(len(known))[:MOST].tolist())
    known = [known[row] for row in rows]
    options, device = make_options(task, {}, {"alignment": True}), next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        answers = answer([model], questions([model], known), options, device)
    finally:
        model.train(training)
    parts = [each.parts[0] for each in answers]
    truths = [str(codecs.value("target", each)) for each in known]
    found = [part if isinstance(part, Transcript) else Transcript("", 0.0) for part in parts]
    errors = edit_distances([(truth, part.written) for truth, part in zip(truths, found, strict=True)])
    shares = errors / np.maximum(1, [len(truth) for truth in truths])
    worst = np.argsort(-shares, kind="stable")[:SHOWN].tolist()
    return tuple(_shown(known[k], truths[k], found[k], int(errors[k]), codecs) for k in worst)


def _shown(example: Example, truth: str, part: Transcript, errors: int, codecs: Any) -> Misread:
    picture, end = seen(codecs["input"], codecs.value("input", example))
    place = str(example.get("place", ""))
    return Misread(place, truth, part.written, part.confidence, errors, picture, end, part.unit, part.symbols)
