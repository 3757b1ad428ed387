"""Which way of parting a text into words a vocabulary was made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra.data.words import SPLITTER
from recurra.errors import CheckpointError


def checked_splitter(record: Mapping[str, Any]) -> int:
    """The splitter that a vocabulary's words were found by, as its record says; the first where it says none.

    Raises `CheckpointError` for one that there is not.
    """
    splitter = record.get("splitter", 1)
    if isinstance(splitter, bool) or splitter not in range(1, SPLITTER + 1):
        raise CheckpointError(
            f"a vocabulary whose words were found by splitter {splitter!r}, this recurra has 1 to "
            f"{SPLITTER}. Use the recurra that wrote it."
        )
    found: int = splitter
    return found


def checked_marks(record: Mapping[str, Any]) -> dict[str, str] | None:
    """The marks that stay with words, as a vocabulary's record says; None where it says nothing of marks.

    Raises `CheckpointError` for something else than marks.
    """
    marks = record.get("marks")
    if marks is None:
        return None
    if not isinstance(marks, Mapping) or {*map(type, marks.values())} != {str} or {*marks} != {"opening", "closing"}:
        raise CheckpointError(f"a vocabulary with marks {marks!r}, expected texts `opening` and `closing`.")
    return dict(marks)
