"""How far transcripts are from the truth: edits of symbols and of words, and how sure the model was.

All rates are sums over the whole corpus, per cent: (substitutions + deletions + insertions) / symbols of the truth.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from recurra.errors import DataError
from recurra.tasks.scores import Scores, Table

WORST, CONFUSED = 10, 20
"""Rows of the tables of the worst transcripts and of the commonest confusions."""
BINS = 10
"""Of confidences, equally many transcripts in each."""
NOTHING = "∅"
"""Stands in a table for the symbol that is missing on one side."""

S = TypeVar("S")


@dataclass(frozen=True)
class Edits:
    """How one sequence becomes another with the least number of edits: pairs of symbols, None where one is missing."""

    pairs: tuple[tuple[str | None, str | None], ...]

    @property
    def substitutions(self) -> int:
        return sum(a is not None and b is not None and a != b for a, b in self.pairs)

    @property
    def deletions(self) -> int:
        return sum(b is None for _, b in self.pairs)

    @property
    def insertions(self) -> int:
        return sum(a is None for a, _ in self.pairs)

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions


def edits(truth: Sequence[str], guess: Sequence[str]) -> Edits:
    """The edits from truth to guess; of equally few, a symbol in the place of another before one left out or put in."""
    numbers: dict[str, int] = {}
    a, b = (np.array([numbers.setdefault(s, len(numbers)) for s in side], np.int64) for side in (truth, guess))
    column = np.arange(len(b) + 1)
    D = np.empty((len(a) + 1, len(b) + 1), np.int64)
    D[0] = column
    for i in range(len(a)):
        row = np.concatenate(([i + 1], np.minimum(D[i, 1:] + 1, D[i, :-1] + (b != a[i]))))
        D[i + 1] = np.minimum.accumulate(row - column) + column
    pairs: list[tuple[str | None, str | None]] = []
    i, j = len(a), len(b)
    while i or j:
        if i and j and D[i, j] == D[i - 1, j - 1] + (a[i - 1] != b[j - 1]):
            pairs.append((truth[i - 1], guess[j - 1]))
            i, j = i - 1, j - 1
        elif i and D[i, j] == D[i - 1, j] + 1:
            pairs.append((truth[i - 1], None))
            i -= 1
        else:
            pairs.append((None, guess[j - 1]))
            j -= 1
    return Edits(tuple(reversed(pairs)))


def normalised(text: str) -> str:
    """A text as it is compared: composed characters (NFC), white space as single spaces, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def transcription_scores(
    truths: Sequence[str],
    guesses: Sequence[str],
    places: Sequence[str],
    confidences: Sequence[float] | None = None,
) -> Scores:
    """ "symbol_error_rate", "word_error_rate", "exact_match" (whole transcripts right) and, with `confidences`, the
    expected "calibration_error": Σ_b n_b/N |right_b − confidence_b| over `BINS` bins of equally many, 0 to 1.

    Tables: "edits" of both kinds, "confusions", "worst" with the `places` where they come from. Symbols are characters,
    words what stands between white space. Raises DataError where there is nothing to compare.
    """
    if len(truths) != len(guesses):
        raise DataError(f"{len(guesses)} transcripts, expected {len(truths)}: one for each example, in their order.")
    if not truths:
        raise DataError("a score over 0 transcripts means nothing. Evaluate on one example or more.")
    pairs = [(normalised(truth), normalised(guess)) for truth, guess in zip(truths, guesses, strict=True)]
    of_symbols = [edits(truth, guess) for truth, guess in pairs]
    of_words = [edits(truth.split(), guess.split()) for truth, guess in pairs]
    lengths = sum(len(truth) for truth, _ in pairs), sum(len(truth.split()) for truth, _ in pairs)
    if not lengths[0]:
        raise DataError("all true transcripts are empty. Is the right field read as the transcript?")
    right = np.array([truth == guess for truth, guess in pairs])
    metrics = {
        "symbol_error_rate": 100 * sum(each.errors for each in of_symbols) / lengths[0],
        "word_error_rate": 100 * sum(each.errors for each in of_words) / lengths[1],
        "exact_match": 100 * float(right.mean()),
    }
    tables = {
        "edits": _edit_table(("symbols", of_symbols, lengths[0]), ("words", of_words, lengths[1])),
        "confusions": _confusions(of_symbols),
        "worst": _worst(pairs, of_symbols, places),
    }
    if confidences is not None:
        metrics["calibration_error"], tables["confidence"] = calibration(np.array(confidences), right)
    note = "Compared in composed characters (NFC), upper and lower case as they are, white space as single spaces."
    return Scores(metrics, {name: table for name, table in tables.items() if table["rows"]}, [note])


def calibration(confidence: np.ndarray, right: np.ndarray) -> tuple[float, Table]:
    """The expected calibration error, 0 to 1, and a table of confidence and share right (per cent) by bins."""
    order = np.argsort(confidence, kind="stable")
    error, rows = 0.0, list[list[str | float]]()
    for bin_ in np.array_split(order, min(BINS, len(order))):
        sure, share = float(confidence[bin_].mean()), float(right[bin_].mean())
        error += len(bin_) / len(order) * abs(sure - share)
        low, high = confidence[bin_].min(), confidence[bin_].max()
        rows.append([f"{low:.2f} to {high:.2f}", len(bin_), 100 * sure, 100 * share])
    return error, Table(columns=["confidence", "transcripts", "mean", "right"], rows=rows)


def fitted_temperature(log_p: np.ndarray, right: np.ndarray) -> float:
    """The τ for which confidences p^(1/τ) make what was right and what was wrong most likely; 1 where there is nothing
    to go by. Between 1/32 and 32; a weak prior keeps it at 1 where few transcripts were wrong."""
    if not len(log_p):
        return 1.0

    def loss(log_t: float) -> float:
        c = np.clip(np.exp(log_p / np.exp(log_t)), 1e-9, 1 - 1e-9)
        return float(-np.where(right, np.log(c), np.log1p(-c)).sum() + 0.5 * log_t**2)

    grid = np.linspace(-np.log(32), np.log(32), 281)
    return float(np.exp(_least(loss, grid)))


def _least(loss: Callable[[float], float], grid: np.ndarray) -> float:
    values = [loss(float(each)) for each in grid]
    return float(grid[int(np.argmin(values))])


def _edit_table(*kinds: tuple[str, Sequence[Edits], int]) -> Table:
    rows: list[list[str | float]] = [
        [
            name,
            total,
            sum(each.substitutions for each in some),
            sum(each.deletions for each in some),
            sum(each.insertions for each in some),
            100 * sum(each.errors for each in some) / total,
        ]
        for name, some, total in kinds
    ]
    return Table(columns=["of", "in the truth", "substitutions", "deletions", "insertions", "error rate"], rows=rows)


def _confusions(some: Sequence[Edits]) -> Table:
    counts = Counter(pair for each in some for pair in each.pairs if pair[0] != pair[1])
    best = sorted(counts.items(), key=lambda each: (-each[1], str(each[0])))[:CONFUSED]
    rows: list[list[str | float]] = [[a or NOTHING, b or NOTHING, n] for (a, b), n in best]
    return Table(columns=["true", "written", "times"], rows=rows)


def _worst(pairs: Sequence[tuple[str, str]], some: Sequence[Edits], places: Sequence[str]) -> Table:
    shares = [
        (each.errors / max(1, len(truth)), k) for k, (each, (truth, _)) in enumerate(zip(some, pairs, strict=True))
    ]
    worst = sorted((share for share in shares if share[0] > 0), key=lambda each: (-each[0], each[1]))[:WORST]
    rows: list[list[str | float]] = [[places[k], pairs[k][0], pairs[k][1], some[k].errors] for _, k in worst]
    return Table(columns=["place", "true", "written", "errors"], rows=rows)
