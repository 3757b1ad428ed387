"""Parts of answers on their way to a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recurra.answers import Answer, notes_of
from recurra.answers.pair import TOO_LARGE


def reply(answer: Answer) -> dict[str, Any]:
    """An answer as a reply holds it."""
    return {"parts": answer.page(), "notes": notes_of([answer])}


def fit_maps(answers: Sequence[Mapping[str, Any]], most: int) -> None:
    """Leave out the maps with which those before them would have more than `most` cells."""
    cells = 0
    for part in (part for answer in answers for part in answer["parts"] if part.get("map")):
        size = len(part["map"]["rows"]) * len(part["map"]["columns"])
        if cells + size > most:
            part["map"], part["map_left_out"] = None, TOO_LARGE
        else:
            cells += size
