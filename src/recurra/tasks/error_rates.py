"""Error rates of answers where several may be right: pronunciations of words, answers to questions.

All shares are per cent, counted from texts alone: a model and its baselines are measured by the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.errors import DataError
from recurra.tasks.lengths import by_length
from recurra.tasks.scores import Scores, Table

PAIRS = 4096
"""Pairs of sequences whose distances are computed at once: as many as keep the rows in the processor's cache."""


def pronunciation_scores(sources: Sequence[str], allowed: Sequence[Sequence[str]], predicted: Sequence[str]) -> Scores:
    """ "word_error_rate" and "phoneme_error_rate" of pronunciations, each word with one or more allowed ones.

    WER = words whose prediction is none of the allowed ones / words;
    PER = Σ distance to the nearest allowed one / Σ phonemes of that one; of equally near ones the first counts.
    The distance is the least number of phonemes to insert, delete or replace. Phonemes stand between white space, or,
    where no allowed answer holds any, are single characters. A table "length" has both rates by characters of a word.

    Raises DataError where there are no words, not as many predictions, or no phoneme.
    """
    check_answers(allowed, predicted)
    spaced = any(len(answer.split()) > 1 for answers in allowed for answer in answers)
    truths = [[answer.split() if spaced else list(answer.strip()) for answer in answers] for answers in allowed]
    guesses = [guess.split() if spaced else list(guess.strip()) for guess in predicted]
    pairs = [(answer, guess) for answers, guess in zip(truths, guesses, strict=True) for answer in answers]
    found = iter(edit_distances(pairs).tolist())
    errors, lengths = [], []  # of the nearest allowed answer of each word
    for answers in truths:
        distance, length = min(((next(found), len(answer)) for answer in answers), key=lambda pair: pair[0])
        errors.append(distance)
        lengths.append(length)
    if not sum(lengths):
        raise DataError("the allowed answers hold no phoneme. Is the right field read as the target?")
    rows: list[list[str | float]] = []
    for name, places in by_length([len(source) for source in sources]):
        rows.append([name, len(places), *_rates([errors[k] for k in places], [lengths[k] for k in places])])
    wer, per = _rates(errors, lengths)
    table = Table(columns=["characters", "words", "word_error_rate", "phoneme_error_rate"], rows=rows)
    notes = [] if spaced else ["The answers hold no white space: their characters are counted as phonemes."]
    return Scores({"word_error_rate": wer, "phoneme_error_rate": per}, {"length": table}, notes)


def exact_scores(allowed: Sequence[Sequence[str]], predicted: Sequence[str]) -> Scores:
    """ "exact_match": the share of predictions that are an allowed answer, word for word; white space is no matter.

    Raises DataError where there are no answers, or not as many predictions.
    """
    check_answers(allowed, predicted)
    right = [
        guess.split() in [answer.split() for answer in answers]
        for answers, guess in zip(allowed, predicted, strict=True)
    ]
    return Scores({"exact_match": 100 * sum(right) / len(right)})


def edit_distances(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> NDArray[np.int64]:
    """The Levenshtein distance of each pair of sequences: the least number of symbols to insert, delete or replace.

    D[i, 0] = i,  D[0, j] = j,  D[i, j] = min(D[i−1, j] + 1, D[i, j−1] + 1, D[i−1, j−1] + (a_i ≠ b_j)).
    Shapes: N pairs, result [N].
    """
    numbers: dict[str, int] = {}
    rows = [tuple([numbers.setdefault(s, len(numbers)) for s in side] for side in pair) for pair in pairs]
    found = np.zeros(len(rows), np.int64)
    order = sorted(range(len(rows)), key=lambda k: (max(map(len, rows[k])), k))  # like lengths together
    for start in range(0, len(rows), PAIRS):
        places = order[start : start + PAIRS]
        found[places] = _distances([rows[k][0] for k in places], [rows[k][1] for k in places])
    return found


def _distances(a: Sequence[Sequence[int]], b: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """One row of all the pairs' tables after the other; N pairs side by side."""
    A, m = _padded(a, -1)  # [N, I]
    B, n = _padded(b, -2)  # [N, J]
    column = np.arange(B.shape[1] + 1)
    D = np.tile(column, (len(a), 1))  # [N, 1 + J], row i = 0 of each table
    found = np.take_along_axis(D, n[:, None], 1)[:, 0]
    for i in range(A.shape[1]):
        above = D
        D = np.empty_like(above)
        D[:, 0] = i + 1
        D[:, 1:] = np.minimum(above[:, 1:] + 1, above[:, :-1] + (A[:, i, None] != B))
        # D[i, j] = min over k ≤ j of what stands at k and j − k insertions
        D = np.minimum.accumulate(D - column, 1) + column
        ended = m == i + 1
        found[ended] = D[ended, n[ended]]
    return found


def _padded(rows: Sequence[Sequence[int]], filler: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sequences [N, T] and their lengths [N]."""
    lengths = np.array([len(row) for row in rows], np.int64)
    padded = np.full((len(rows), int(lengths.max(initial=0))), filler, np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = [number for row in rows for number in row]
    return padded, lengths


def check_answers(allowed: Sequence[Sequence[str]], predicted: Sequence[str]) -> None:
    """Raise DataError where there are no examples, no prediction for one, or no allowed answer of one."""
    if len(allowed) != len(predicted):
        raise DataError(f"{len(predicted)} predictions, expected {len(allowed)}: one for each example, in their order.")
    if not allowed:
        raise DataError("a score over 0 examples means nothing. Evaluate on one example or more.")
    for n, answers in enumerate(allowed, 1):
        if not answers:
            raise DataError(f"example {n}: no allowed answer, expected one or more. Leave examples without one away.")


def _rates(errors: Sequence[int], lengths: Sequence[int]) -> tuple[float, float]:
    """The shares of words with errors, and of errors among their phonemes, per cent."""
    wrong = sum(error > 0 for error in errors)
    return 100 * wrong / len(errors), 100 * sum(errors) / max(1, sum(lengths))
