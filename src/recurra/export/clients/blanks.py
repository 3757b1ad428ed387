"""A model that fills the blanks of a text."""

from __future__ import annotations

import re

import numpy as np

from recurra.answers.notes import NOTHING, is_blank
from recurra.export.clients.common import NOTES, Asked, numbers_of, unknown_in, vocabulary
from recurra.export.clients.tokens import Tokens


def answer(text: str, top: int = 5) -> list[dict]:
    """The likeliest symbols of every blank ___ with their probabilities, by what they are guessed from."""
    if is_blank(text):
        NOTES.append(NOTHING)
        return []
    symbols, pieces, blanks = vocabulary("input"), re.split("_{2,}|＿+", text), []
    written: list[str] = []
    numbers: list[int] = []
    for k, piece in enumerate(pieces):
        if k:
            blanks.append(len(numbers))
            numbers.append(0)
            written.append(symbols["symbols"][0])
        tokens = Tokens.tokens_of(symbols, piece.strip())
        numbers += numbers_of(symbols, tokens)
        written += tokens
    unknown_in(symbols, written, numbers)
    if not blanks:
        return []
    places = np.array([blanks], np.int64)
    said = Asked("model")(input=np.array([numbers]), lengths=np.array([len(numbers)]), blanks=places)
    found: list[dict] = [{} for _ in blanks]
    for side, log_p in said.items():
        log_p[:, :, 0] = -np.inf  # the unknown symbol
        for guess, row in zip(found, log_p[0], strict=True):
            best = np.argsort(-row, kind="stable")[:top]
            guess[side] = {symbols["symbols"][number]: round(float(np.exp(row[number])), 4) for number in best}
    return found
