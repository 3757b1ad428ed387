"""A model that labels texts or their words."""

from __future__ import annotations

import numpy as np

from recurra.answers.notes import NOTHING, is_blank
from recurra.export.clients.common import FILES, NOTES, READERS, Asked, numbers_of, unknown_in, vocabulary
from recurra.export.clients.text_fields import further
from recurra.export.clients.tokens import Tokens


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


def names_of(z: np.ndarray, several: bool) -> list[str]:
    """The labels that scores choose: the best, or each above 0."""
    chosen = np.flatnonzero(z > 0) if several else [z.argmax()]
    return [vocabulary("label")["symbols"][k] for k in chosen]


def chances(said: dict) -> np.ndarray:
    """The probability of each tag at each token; of a model with transitions whatever the other tags are."""
    emissions = said["tags"][0].astype(np.float64)
    if "transitions" not in said:
        return np.exp(emissions)
    ahead, behind = [said["start"] + emissions[0]], [np.asarray(said["end"], np.float64)]
    for row in emissions[1:]:
        ahead.append(row + np.logaddexp.reduce(ahead[-1][:, None] + said["transitions"], 0))
    for row in emissions[:0:-1]:
        behind.append(np.logaddexp.reduce(said["transitions"] + row + behind[-1], 1))
    sums = np.array(ahead) + np.array(behind[::-1])
    return np.exp(sums - np.logaddexp.reduce(sums, 1)[:, None])


def likeliest(p: np.ndarray, names: list[str], top: int) -> list[dict]:
    """The likeliest names with their probabilities."""
    return [{"label": names[k], "p": float(p[k])} for k in np.argsort(-p, kind="stable")[:top]]


def answer(text: str, top: int = 0) -> dict:
    """What the model says of a text: "tags", one a token; "label"; "labels"; and the `top` likeliest."""
    if is_blank(text):
        NOTES.append(NOTHING)
        return {"notes": [NOTHING]}
    model, tokens, numbers = Asked("model"), list[str](), list[int]()
    if (kind := vocabulary("input")["kind"]) in FILES:
        inputs = FILES[kind](text)
        if not inputs:
            NOTES.append(NOTHING)
            return {"notes": [NOTHING]}
    else:
        tokens = getattr(READERS[kind], "tokens_of", Tokens.tokens_of)(vocabulary("input"), text)
        numbers = numbers_of(vocabulary("input"), tokens)
        inputs = {"input": np.array([numbers]), "lengths": np.array([len(tokens)]), **further(model, tokens)}
    said = model(**inputs, **model.start())
    found: dict = {"tokens": tokens} if tokens else {"place": text}
    if "tags" in said:
        best = best_path(said) if "transitions" in said else said["tags"][0].argmax(1)
        names = vocabulary("tags")["symbols"]
        found["tags"] = [names[number] for number in best]
        if top:
            p = chances(said)
            found["p"] = [float(row[number]) for row, number in zip(p, best, strict=True)]
            found["likeliest_tags"] = [likeliest(row, names, top) for row in p]
    if "label" in said:
        names, p = vocabulary("label")["symbols"], np.exp(said["label"][0])
        (found["label"],) = names_of(p, several=False)
    if "labels" in said:
        names, p = vocabulary("label")["symbols"], 1 / (1 + np.exp(-said["labels"][0]))
        found["labels"] = names_of(said["labels"][0], several=True)
    if top and ("label" in said or "labels" in said):
        found["likeliest"] = likeliest(p, names, top)
    halves = {name.removesuffix("_logits"): z[0] for name, z in said.items() if name.endswith("_logits")}
    if halves:
        found["alone"] = {half: names_of(z, "labels" in said) for half, z in halves.items()}
    return found | (unknown_in(vocabulary("input"), tokens, numbers) if tokens else {})
