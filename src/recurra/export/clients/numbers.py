"""A model that gives a text a number."""

from __future__ import annotations

import json
import sys

import numpy as np

from recurra.answers.notes import NOTHING, is_blank
from recurra.export.clients.common import NOTES, Asked, numbers_of, unknown_in, vocabularies, vocabulary
from recurra.export.clients.text_fields import further
from recurra.export.clients.tokens import Tokens


def answer(text: str, top: int = 0) -> dict:
    """The "number" of a text, with "low" and "high" where the model has a range; of a model that knows several scales
    that on each, by the scale's name."""
    if top:
        sys.exit("--top is for models that name something; this one gives a number.")
    if is_blank(text):
        NOTES.append(NOTHING)
        return {"notes": [NOTHING]}
    model, tokens = Asked("model"), Tokens.tokens_of(vocabulary("input"), text)
    numbers = numbers_of(vocabulary("input"), tokens)
    inputs = {"input": np.array([numbers]), "lengths": np.array([len(numbers)]), **further(model, tokens)}
    said = model(**inputs, **model.start())
    step = json.loads(model.metadata["config"])["task"].get("round")
    rows = {name: [float(value) for value in said[name][0]] for name in ("number", "low", "high") if name in said}
    if step:
        rows["number"] = [float(round(value / step) * step) for value in rows["number"]]
    scales = vocabularies().get("scale", {}).get("symbols")
    found = dict(zip(scales, rows["number"], strict=True)) if scales else {name: each[0] for name, each in rows.items()}
    return found | unknown_in(vocabulary("input"), tokens, numbers)
