"""What a model may read of a text besides the numbers of its tokens."""

from __future__ import annotations

import numpy as np

from recurra.export.clients.characters import Characters
from recurra.export.clients.common import Asked, vocabulary


def spelled(tokens: list[str]) -> dict:
    """The characters of each token, for a model that reads them."""
    short = [token if len(token) <= 64 else token[:32] + token[-32:] for token in tokens]
    rows = [Characters.numbers_of(vocabulary("characters"), token) for token in short]
    table = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, numbers in zip(table, rows, strict=True):
        row[: len(numbers)] = numbers
    return {
        "spellings": table,
        "spelling_lengths": np.array([len(row) for row in rows]),
        "spelling": np.arange(len(rows))[None],
    }


def counted(tokens: list[str]) -> dict:
    """The n-grams of the tokens and how often each stands there, for a model that counts them."""
    known = vocabulary("ngrams")
    numbers = {words: number for number, words in enumerate(known["ngrams"])}
    found: dict = {}
    for n in range(1, known["settings"]["order"] + 1):
        for k in range(len(tokens) - n + 1):
            number = numbers.get(" ".join(tokens[k : k + n]))
            if number is not None:
                found[number] = found.get(number, 0) + 1
    found = found or {len(numbers): 1}
    return {"ngrams": np.array([list(found)]), "ngram_counts": np.array([list(found.values())])}


def further(model: Asked, tokens: list[str]) -> dict:
    """Those of these inputs that a model has."""
    names = {each.name for each in model.model.get_inputs()}
    return {**(spelled(tokens) if "spellings" in names else {}), **(counted(tokens) if "ngrams" in names else {})}
