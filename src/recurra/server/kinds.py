"""What an answer is made of, for whoever draws it: a list of parts, each of one kind.

| kind | holds |
|---|---|
| `label` | `label` or `labels`, and `bars` `[{label, p}]`; where `several`, each is a decision of its own |
| `spans` | `tokens`, `spaced`, and `spans` `[{label, begin, end, p}]` over them; `p` is None where none was asked for |
| `text` | `prompt`, `text`, and of each symbol written `{text, symbol, p, alternatives}` |
| `pair` | `source`, `target`, `ended`, `hypotheses`, and `map` `{rows, columns, weights}` or None, and why it is None |
| `choices` | `tokens`, `spaced`, and `blanks` `[{place, sides: [{name, choices: [{symbol, p}]}]}]` |
| `number` | `name`, `value`, `unit` |
| `series` | `given` and `forecast`, numbers in time, `low` and `high` around the forecast or None, `unit` |

Which kinds there are follows from what an answer holds, so a task whose answers hold these fields needs nothing here,
and no page of its own. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recurra.data.blanks import BLANK
from recurra.data.spans import spans

Answer = Mapping[str, Any]
Part = dict[str, Any]
END = "∎"
"""How the mark that ends a sequence is shown."""
DIGITS = 4
"""Digits behind the point that weights of a map keep: a hundred shades can be told apart, or fewer."""
TOO_LARGE = (
    "The attention maps of a request may have no more cells than the limits in /api/models say, so this one is left "
    "out. Send a shorter input, or fewer at once."
)
WIDE = (("\u2e80", "\u9fff"), ("\uac00", "\ud7af"), ("\U00020000", "\U0003ffff"))
"""Characters of Chinese, Japanese and Korean."""
PARTS = {"write": ("text",), "fill": ("blanks",), "translate": ("target",)}
"""What the answers of a run hold, by what it does; a run that labels gives the fields of its task."""


def spans_part(answer: Answer, task: Any) -> Part:
    """Tags over tokens: spans where the tags have letters (B-, I- …), else each token's own tag."""
    tags, shares = answer["tags"], answer.get("p")
    if getattr(task, "scheme", "auto") == "none":
        found = [(tag, k, k + 1) for k, tag in enumerate(tags)]
    else:
        found = spans(tags)
    return {
        "kind": "spans",
        "tokens": answer["tokens"],
        "spaced": is_spaced(answer["tokens"]),
        "spans": [
            {"label": label, "begin": begin, "end": end, "p": min(shares[begin:end]) if shares else None}
            for label, begin, end in found
        ],
    }


def label_part(answer: Answer, task: Any) -> Part:
    """One label or several, the likeliest with their probabilities."""
    several = "labels" in answer
    named: Part = {"labels": answer["labels"]} if several else {"label": answer["label"]}
    return {"kind": "label", **named, "bars": answer.get("likeliest", []), "several": several}


def choices_part(answer: Answer, task: Any) -> Part:
    """Blanks and what may stand there, from both sides and from the left alone."""
    blanks = [
        {
            "place": blank["place"],
            "sides": [{"name": name, "choices": found} for name, found in blank.items() if name != "place"],
        }
        for blank in answer["blanks"]
    ]
    known = [token for token in answer["tokens"] if token != BLANK]
    return {
        "kind": "choices",
        "tokens": answer["tokens"],
        "spaced": is_spaced(known),
        "unknown": answer.get("unknown", []),
        "blanks": blanks,
    }


def pair_part(answer: Answer, task: Any) -> Part:
    """A target beside its source, with a map of where the decoder looked, if there is one."""
    weights = answer.get("attention")
    return {
        "kind": "pair",
        "source": answer["source"],
        "target": answer["target"],
        "lines": answer.get("lines"),
        "ended": answer["ended"],
        "unknown": {side: answer[f"unknown_{side}"] for side in ("source", "target")},
        "hypotheses": [{name: one[name] for name in ("target", "score")} for one in answer.get("hypotheses", ())],
        "map": None
        if weights is None
        else {
            "rows": [*answer["target_tokens"], END],
            "columns": [*answer["source_tokens"], END],
            "weights": [[round(weight, DIGITS) for weight in row] for row in weights],
        },
        "map_left_out": TOO_LARGE if answer.get("beyond_cells") else None,
    }


def text_part(answer: Answer, task: Any) -> Part:
    """What was written behind a prompt."""
    return {"kind": "text", **{name: answer[name] for name in ("prompt", "text", "symbols")}}


def number_part(answer: Answer, task: Any) -> Part:
    """One number."""
    return {"kind": "number", "name": answer.get("name", ""), "value": answer["value"], "unit": answer.get("unit", "")}


def series_part(answer: Answer, task: Any) -> Part:
    """Numbers in time: what was given, and what is forecast."""
    found = {name: answer.get(name) for name in ("given", "forecast", "low", "high")}
    return {"kind": "series", **found, "unit": answer.get("unit", "")}


MADE: dict[str, tuple[str, Callable[[Answer, Any], Part]]] = {
    "label": ("label", label_part),
    "labels": ("label", label_part),
    "tags": ("spans", spans_part),
    "blanks": ("choices", choices_part),
    "target": ("pair", pair_part),
    "text": ("text", text_part),
    "value": ("number", number_part),
    "forecast": ("series", series_part),
}
"""By a field of an answer: the kind it makes, and how."""


def parts_of(answer: Answer, task: Any) -> list[Part]:
    """An answer as parts to be drawn."""
    return [make(answer, task) for field, (_, make) in MADE.items() if field in answer]


def fit_maps(answers: Sequence[Sequence[Part]], most: int) -> None:
    """Leave out the maps with which those before them would have more than `most` cells."""
    cells = 0
    for part in (part for parts in answers for part in parts):
        if part.get("map") is None:
            continue
        size = len(part["map"]["rows"]) * len(part["map"]["columns"])
        if cells + size > most:
            part["map"], part["map_left_out"] = None, TOO_LARGE
        else:
            cells += size


def kinds_given(does: str, task: Any) -> list[str]:
    """The kinds of parts that the answers of a run have."""
    fields = PARTS.get(does) or task.fields
    return [kind for field, (kind, _) in MADE.items() if field in fields]


def is_spaced(tokens: list[str]) -> bool:
    """Whether tokens are written with spaces between them: Chinese characters and the like are not."""
    return any(len(token) > 1 and not _is_wide(token) for token in tokens) or not any(map(_is_wide, tokens))


def _is_wide(token: str) -> bool:
    return any(first <= c <= last for c in token for first, last in WIDE)
