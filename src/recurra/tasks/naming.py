"""What tasks that name things have in common: their fields, their options, the labels in their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from recurra.answers import Answer, Label
from recurra.errors import ConfigError
from recurra.nn.softmax import IGNORED
from recurra.tasks.scores import Scores
from recurra.types import Example, Field

LABEL = Field(("label",), {"kind": "label"}, learned=True)
LABELS = Field(("labels",), {"kind": "label-set"}, learned=True, record="label")
TAGS = Field(("tags",), {"kind": "tags"}, along=True, learned=True)
NAMED = 3
"""Names that training never saw of which a note speaks."""


@dataclass(frozen=True)
class LabelOptions:
    """What a task that names things takes at prediction."""

    top: int = 0
    """So many of the likeliest to give with their probabilities: labels, tags, symbols, hypotheses; 0: none."""

    def __post_init__(self) -> None:
        if self.top < 0:
            raise ConfigError(f"top = {self.top}, expected 0 or more labels.")


def label_answers(log_p: Tensor, examples: Sequence[Example], names: Sequence[str], top: int) -> list[Answer]:
    """One label each, of log-probabilities [B, L]."""
    best = log_p.argmax(1).tolist()
    return [
        Answer((Label((names[k],), likeliest=ranked(row.exp(), names, top), **shown(example)),))
        for k, row, example in zip(best, log_p.cpu(), examples, strict=True)
    ]


def shown(example: Example) -> dict[str, Any]:
    """What stands beside a label: the tokens it is of, or where a sequence of no tokens comes from."""
    if "tokens" in example:
        return {"tokens": tuple(example["tokens"])}
    return {"place": str(example.get("place", ""))}


def ranked(p: Tensor, names: Sequence[str], top: int) -> list[tuple[str, float]]:
    """The `top` likeliest names of probabilities [L], the likeliest first."""
    best = p.topk(min(top, len(p)))
    return [(names[k], value) for k, value in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def likeliest(key: str, log_p: Tensor, names: Sequence[str], p: str = "p") -> dict[str, Any]:
    """The likeliest name of log-probabilities [L] under a key, and its probability under another."""
    best = int(log_p.argmax())
    return {key: names[best], p: float(log_p[best].exp())}


def likeliest_symbols(log_p: Tensor, codec: Any, top: int) -> list[dict[str, Any]]:
    """The `top` likeliest symbols of log-probabilities [V], the likeliest first."""
    if not top:
        return []
    values, numbers = log_p.topk(min(top, len(log_p)))
    pairs = zip(numbers.tolist(), values.exp().tolist(), strict=True)
    return [{"symbol": codec.symbols[number], "p": p} for number, p in pairs]


def label_counts(encoded: Iterable[Mapping[str, Any]], field: str, L: int) -> list[int]:
    """How many encoded examples have each of L labels, by its number; `field` holds a number or a set of them."""
    counts = np.zeros(L, np.int64)
    for example in encoded:
        value = example.get(field, IGNORED)
        if np.ndim(value):
            counts += np.asarray(value) > 0
        elif value != IGNORED:
            counts[value] += 1
    found: list[int] = counts.tolist()
    return found


def count_unseen(scores: Scores, what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Count names that training never saw, which no model could give, as the metric `unseen_…`, and name some."""
    counts, known = Counter(names), frozenset(known)
    new = sorted(counts.keys() - known, key=lambda name: (-counts[name], name))
    total = sum(counts[name] for name in new)
    scores.metrics[f"unseen_{what}"] = total
    if new:
        some = ", ".join(new[:NAMED]) + (", …" if len(new) > NAMED else "")
        scores.notes.append(
            f"{total:,} of {counts.total():,} {what} were never seen in training ({some}): the model cannot give them."
        )
