"""What an answer is made of, for whoever draws it: a list of parts, each of one kind.

Which parts there are follows from what an answer holds, so a task whose answers hold these fields needs nothing here,
and no page of its own. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import (
    Any,  # pydantic cannot read those of Python 3.11
)

from recurra.answers.letters import is_spaced
from recurra.answers.pair import DIGITS, END, TOO_LARGE
from recurra.data.blanks import BLANK
from recurra.data.spans import spans


def label_part(answer: Mapping[str, Any], task: Any) -> Any:
    """One label or several, the likeliest with their probabilities."""
    name = "labels" if "labels" in answer else "label"
    several = name == "labels"
    return {"kind": "label", name: answer[name], "bars": answer.get("likeliest", []), "several": several}


def spans_part(answer: Mapping[str, Any], task: Any) -> Any:
    """Tags over tokens: spans where the tags have letters (B-, I- …), else each token's own tag."""
    tags, shares = answer["tags"], answer.get("p")
    single = getattr(task, "scheme", "auto") == "none"
    found = [(tag, k, k + 1) for k, tag in enumerate(tags)] if single else spans(tags)
    marked = [
        {"label": label, "begin": begin, "end": end, "p": min(shares[begin:end]) if shares else None}
        for label, begin, end in found
    ]
    return {"kind": "spans", "tokens": answer["tokens"], "spaced": is_spaced(answer["tokens"]), "spans": marked}


def choices_part(answer: Mapping[str, Any], task: Any) -> Any:
    """Blanks and what may stand there, from both sides and from the left alone."""
    blanks = [
        {"place": blank["place"], "sides": [{"name": k, "choices": v} for k, v in blank.items() if k != "place"]}
        for blank in answer["blanks"]
    ]
    spaced = is_spaced([token for token in answer["tokens"] if token != BLANK])
    unknown = answer.get("unknown", [])
    return {"kind": "choices", "tokens": answer["tokens"], "spaced": spaced, "unknown": unknown, "blanks": blanks}


def pair_part(answer: Mapping[str, Any], task: Any) -> Any:
    """A target beside its source, with a map of where the decoder looked, if there is one."""
    weights = answer.get("attention")
    drawn = weights and {
        "rows": [*answer["target_tokens"], END],
        "columns": [*answer["source_tokens"], END],
        "weights": [[round(weight, DIGITS) for weight in row] for row in weights],
    }
    return {
        "kind": "pair",
        **{name: answer.get(name) for name in ("source", "target", "lines", "ended")},
        "unknown": {side: answer[f"unknown_{side}"] for side in ("source", "target")},
        "hypotheses": [{name: one[name] for name in ("target", "score")} for one in answer.get("hypotheses", ())],
        "map": drawn,
        "map_left_out": TOO_LARGE if answer.get("beyond_cells") else None,
    }


def text_part(answer: Mapping[str, Any], task: Any) -> Any:
    """What was written behind a prompt."""
    return {"kind": "text", **{name: answer[name] for name in ("prompt", "text", "symbols")}}


def number_part(answer: Mapping[str, Any], task: Any) -> Any:
    """One number."""
    return {"kind": "number", "name": answer.get("name", ""), "value": answer["value"], "unit": answer.get("unit", "")}


def series_part(answer: Mapping[str, Any], task: Any) -> Any:
    """Numbers in time: what was given, and what is forecast."""
    found = {name: answer.get(name) for name in ("given", "forecast", "low", "high")}
    return {"kind": "series", **found, "unit": answer.get("unit", "")}


MAKERS: dict[str, tuple[str, Callable[[Mapping[str, Any], Any], Any]]] = {
    "label": ("label", label_part),
    "labels": ("label", label_part),
    "tags": ("spans", spans_part),
    "blanks": ("choices", choices_part),
    "target": ("pair", pair_part),
    "text": ("text", text_part),
    "value": ("number", number_part),
    "forecast": ("series", series_part),
}
"""By a field of an answer: the kind of the part that shows it, and its maker."""


def parts_of(answer: Mapping[str, Any], task: Any) -> list[Any]:
    """An answer as parts to be drawn."""
    return [make(answer, task) for field, (_, make) in MAKERS.items() if field in answer]


def fit_maps(answers: Sequence[Sequence[Any]], most: int) -> None:
    """Leave out the maps with which those before them would have more than `most` cells."""
    cells = 0
    for part in (part for parts in answers for part in parts if part.get("map")):
        size = len(part["map"]["rows"]) * len(part["map"]["columns"])
        if cells + size > most:
            part["map"], part["map_left_out"] = None, TOO_LARGE
        else:
            cells += size
