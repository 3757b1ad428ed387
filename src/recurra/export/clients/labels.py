"""A model that labels texts or their words."""

from __future__ import annotations

import numpy as np

from recurra.answers.notes import NOTHING, is_blank
from recurra.export.clients.common import NOTES, Asked, numbers_of, unknown_in, vocabulary
from recurra.export.clients.tokens import Tokens


def spelled(tokens: list[str]) -> dict:
    """The characters of each token, for a model that reads them."""
    symbols = {symbol: number for number, symbol in enumerate(vocabulary("characters")["symbols"])}
    short = [token if len(token) <= 64 else token[:32] + token[-32:] for token in tokens]
    rows = [[symbols.get(character, 0) for character in token] for token in short]
    table = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, numbers in zip(table, rows, strict=True):
        row[: len(numbers)] = numbers
    return {
        "spellings": table,
        "spelling_lengths": np.array([len(row) for row in rows]),
        "spelling": np.arange(len(rows))[None],
    }


def best_path(said: dict) -> list[int]:
    """The tags of the highest score: emissions, transitions between neighbours, start and end."""
    emissions, steps = said["tags"][0], said["transitions"]
    score, came = said["start"] + emissions[0], []
    for emission in emissions[1:]:
        sums = score[:, None] + steps
        came.append(sums.argmax(0))
        score = sums.max(0) + emission
    path = [int((score + said["end"]).argmax())]
    for before in reversed(came):
        path.append(int(before[path[-1]]))
    return path[::-1]


def answer(text: str) -> dict:
    """What the model says of a text: "tags", one a token; "label"; "labels"."""
    if is_blank(text):
        NOTES.append(NOTHING)
        return {"notes": [NOTHING]}
    model, tokens = Asked("model"), Tokens.tokens_of(vocabulary("input"), text)
    numbers = numbers_of(vocabulary("input"), tokens)
    inputs = {"input": np.array([numbers]), "lengths": np.array([len(tokens)])}
    if any(each.name == "spellings" for each in model.model.get_inputs()):
        inputs |= spelled(tokens)
    said, found = model(**inputs, **model.start()), {"tokens": tokens}
    if "tags" in said:
        best = best_path(said) if "transitions" in said else said["tags"][0].argmax(1)
        found["tags"] = [vocabulary("tags")["symbols"][number] for number in best]
    if "label" in said:
        found["label"] = vocabulary("label")["symbols"][said["label"][0].argmax()]
    if "labels" in said:
        found["labels"] = [vocabulary("label")["symbols"][k] for k in np.flatnonzero(said["labels"][0] > 0)]
    return found | unknown_in(vocabulary("input"), tokens, numbers)
