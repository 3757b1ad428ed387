"""A model that fills the blanks of a text."""

from __future__ import annotations

import re
import sys
import unicodedata

import numpy as np

from recurra.answers.notes import NOTHING, is_blank
from recurra.export.clients.common import NOTES, Asked, numbers_of, unknown_in, vocabulary
from recurra.export.clients.tokens import Tokens


def known(symbols: dict, token: str) -> str:
    """A token as the model knows it: as it is, in lower case, without the marks at its ends; or as it is."""
    inner = [k for k, character in enumerate(token) if unicodedata.category(character)[0] != "P"]
    bare = token[inner[0] : inner[-1] + 1] if inner else ""
    tries = (each for each in (token, token.lower(), bare, bare.lower()) if each)
    return next((each for each in tries if numbers_of(symbols, [each])[0]), token)


def answer(text: str, top: int = 5) -> dict:
    """The likeliest symbols of every blank ___ with their probabilities, by what they are guessed from."""
    if is_blank(text):
        NOTES.append(NOTHING)
        return {"notes": [NOTHING]}
    symbols = vocabulary("input")
    tokens, blanks = list[str](), list[int]()
    for k, piece in enumerate(re.split("_{2,}|＿+", text)):
        if k:
            blanks.append(len(tokens))
            tokens.append("___")
        tokens += [known(symbols, token) for token in Tokens.tokens_of(symbols, piece.strip())]
    if not blanks:
        sys.exit("no blank: write ___ where a word is missing")
    read = [symbols["symbols"][0] if token == "___" else token for token in tokens]
    numbers = numbers_of(symbols, read)
    places = np.array([blanks], np.int64)
    said = Asked("model")(input=np.array([numbers]), lengths=np.array([len(numbers)]), blanks=places)
    found: list[dict] = [{"place": place} for place in blanks]
    for side, log_p in said.items():
        log_p[:, :, 0] = -np.inf  # the unknown symbol
        for guess, row in zip(found, log_p[0], strict=True):
            best = np.argsort(-row, kind="stable")[:top]
            guess[side] = [{"symbol": symbols["symbols"][k], "p": float(np.exp(row[k]))} for k in best]
    return {"tokens": tokens, "blanks": found} | unknown_in(symbols, read, numbers)
