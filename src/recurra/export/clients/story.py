"""A model that answers questions about stories."""

from __future__ import annotations

import numpy as np

from recurra.answers.notes import NOTHING, is_blank
from recurra.export.clients.common import NOTES, Asked, numbers_of, read, vocabulary


def answer(text: str, top: int = 0) -> str | dict:
    """The answer to a story's last sentence, which asks: "Mary is in the kitchen. Where is Mary?"; of `top` with the
    probabilities of so many of the likeliest."""
    if is_blank(text):
        NOTES.append(NOTHING)
        return ""
    sentences: list[list[str]] = []
    for token in read(vocabulary("input"), text)[0]:
        ended = bool(sentences) and sentences[-1][-1][-1] in ".?!。？！"
        if not sentences or (ended and token not in ".?!。？！"):
            sentences.append([])
        sentences[-1].append(token)
    rows = [numbers_of(vocabulary("input"), sentence) for sentence in sentences]
    table = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, numbers in zip(table, rows, strict=True):
        row[: len(numbers)] = numbers
    said = Asked("model")(
        input=table,
        lengths=np.array([len(row) for row in rows]),
        sentences=np.arange(max(1, len(rows) - 1))[None],
        counts=np.array([len(rows) - 1]),
        questions=np.array([len(rows) - 1]),
    )
    names, p = vocabulary("label")["symbols"], np.exp(said["label"][0])
    best = np.argsort(-p, kind="stable")
    if not top:
        return str(names[best[0]])
    return {"label": names[best[0]], "likeliest": [{"label": names[k], "p": float(p[k])} for k in best[:top]]}
