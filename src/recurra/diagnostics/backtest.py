"""What a run said from many places of series, beside what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Backtest:
    """What was asked, and what came of it."""

    name: str
    """The run's, and its row's."""
    data: str
    series: int
    windows: int
    horizon: int
    stride: int
    scores: Mapping[str, Mapping[str, float]]
    """The metrics of the run, then of what plain repeating says, by name: those of `Rolling`."""
    by_step: Mapping[str, Sequence[float | None]]
    """The error of each step ahead, `Rolling.by_step`."""
    levels: Sequence[int]
    """Per cent of the values that the ranges promise to hold."""
    shown: Sequence[Mapping[str, Any]]
    """The last windows: "name", "cutoff", "given", "truth", "forecast", "low", "high", "level"."""
    rows: Path | None = None
    """The file with all of them."""
    notes: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """The same in numbers and words."""
        return {**asdict(self), "rows": None if self.rows is None else str(self.rows)}
