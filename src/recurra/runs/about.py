"""A run in one line: what it is, of which data, how large, and how long it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

NAMED = 2
"""Files that are named; of more their number is said."""
UNITS = ("character", "byte", "word")
"""Units that say something of a model; that its input is tokens goes without saying."""


def about(run: Any, report: Mapping[str, Any]) -> str:
    """The line: "A character model of persuasion.txt, LSTM 1×512, 5 minutes"; what is not known is left out."""
    unit = getattr(run.model.codecs["input"], "unit", "")
    noun = run.model.task.card.noun
    what = f"A {f'{unit} ' if unit in UNITS and unit not in noun else ''}{noun}"
    data = _data(run.config.get("data", {}))
    found = [f"{what} of {data}" if data else what, _core(run.config["core"])]
    minutes = report.get("minutes")
    minutes = minutes.get("training") if isinstance(minutes, Mapping) else minutes
    return ", ".join([*filter(None, found), *([_time(float(minutes))] if minutes else [])])


def _data(data: Mapping[str, Any]) -> str:
    if data.get("set"):
        return str(data["set"])
    names = [PurePath(str(file)).name for file in data.get("train", ())]
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _core(core: Mapping[str, Any]) -> str:
    """The cell or the kind of core, layers × units, and whether it reads both ways; nothing of one without units."""
    named = str(core.get("cell") or core["kind"])
    size = core.get("hidden_size")
    if not size:
        return ""
    sizes = f" {core.get('num_layers', 1)}×{size}"
    both = " both ways" if core.get("bidirectional") else ""
    return f"{named.upper() if len(named) <= 4 else named}{sizes}{both}"


def _time(minutes: float) -> str:
    amount, unit = (minutes * 60, "second") if minutes < 1 else (minutes, "minute")
    if minutes >= 120:
        amount, unit = minutes / 60, "hour"
    shown = f"{amount:.0f}" if amount >= 9.95 else f"{amount:.1f}".removesuffix(".0")
    return f"{shown} {unit}{'' if shown == '1' else 's'}"
