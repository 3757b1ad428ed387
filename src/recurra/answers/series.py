"""Numbers in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from recurra.figures.charts import Band, Line, line_chart
from recurra.figures.drawing import file_of

Numbers = Sequence[float] | NDArray[Any]
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60
"""Steps of what was given that a terminal shows, the last ones; and bars of what is forecast, at most."""
LINES = 12
"""Steps of a forecast that it shows as numbers, half of them at the end where there are more."""


@dataclass(frozen=True)
class Series:
    """What was given and what is forecast behind it, with a range where there is one, and what was measured; of several
    variables, one part each."""

    kind: ClassVar[str] = "series"
    endings: ClassVar[tuple[str, ...]] = (".svg",)
    """Of files that it can be saved as."""
    given: Numbers
    forecast: Numbers
    low: Numbers | None = None
    high: Numbers | None = None
    name: str = ""
    unit: str = ""
    level: int | None = None
    """Per cent of the values that lie in the range, where that is promised."""
    truth: Numbers | None = None
    """What was measured at the steps that are forecast."""

    def json(self) -> dict[str, Any]:
        """By the series' name, or as they are: its numbers, null where one is missing, and their unit."""
        return {self.name: self._found()} if self.name else self._found()

    def _found(self) -> dict[str, Any]:
        rows = {"given": self.given, "forecast": self.forecast, "low": self.low, "high": self.high}
        rows |= {} if self.truth is None else {"truth": self.truth}
        numbers = {
            name: None if row is None else [value if np.isfinite(value) else None for value in _numbers(row)]
            for name, row in rows.items()
        }
        return {**numbers, "unit": self.unit, **({} if self.level is None else {"level": self.level})}

    def text(self) -> str:
        """A line of bars, what is forecast behind the bar │, below it what was measured there, then a line for each
        step that is forecast; of many the first and the last."""
        shown, ahead = _numbers(self.given)[-WIDTH:], _numbers(self.forecast)
        step = -(-len(ahead) // WIDTH) or 1
        measured = [] if self.truth is None else _numbers(self.truth)
        bars = _bars([*shown, *ahead[::step], *measured[::step]])  # of one scale
        head = f"{self.name}{f' [{self.unit}]' if self.unit else ''}".strip()
        lines = [head] if head else []
        end = len(shown) + len(ahead[::step])
        lines.append(f"{bars[: len(shown)]}│{bars[len(shown) : end]}")
        if measured:
            lines.append(f"{' ' * len(shown)}│{bars[end:]} measured")
        for k, value in enumerate(ahead):
            if len(ahead) > LINES and LINES // 2 <= k < len(ahead) - LINES // 2:
                if k == LINES // 2:
                    lines.append(f"… {len(ahead) - LINES:,} steps between; all of them as JSON")
                continue
            between = ""
            if self.low is not None and self.high is not None:
                between = f"\t{float(self.low[k]):.4g} to {float(self.high[k]):.4g}"
            if k < len(measured):
                between += f"\tmeasured {measured[k]:.4g}"
            lines.append(f"+{k + 1}\t{value:.4g}{between}")
        return "\n".join([*lines, ""])

    def page(self) -> dict[str, Any]:
        return {**self._found(), "name": self.name}

    def saved(self, ending: str) -> bytes:
        """A chart: the last of what was given, four times what is forecast, the forecast and its range."""
        ahead = np.asarray(self.forecast, np.float64)
        given = np.asarray(self.given, np.float64)[-max(4 * len(ahead), WIDTH) :]
        steps = np.arange(1.0, len(ahead) + 1)
        lines = [Line("given", given, np.arange(1.0 - len(given), 1.0)), Line("forecast", ahead, steps, colour=1)]
        if self.truth is not None:
            lines.append(Line("measured", np.asarray(self.truth, np.float64), steps, colour=2))
        band = None
        if self.low is not None and self.high is not None:
            promised = "range" if self.level is None else f"{self.level} % range"
            band = Band(np.asarray(self.low, np.float64), np.asarray(self.high, np.float64), steps, promised)
        up = " ".join(each for each in (self.name, f"[{self.unit}]" if self.unit else "") if each)
        return file_of(line_chart([each for each in lines if len(each.values)], "steps", up, band=band))


def series_of(given: Any, forecast: Any) -> list[Series]:
    """A part for each variable of numbers [T] or [T, D]."""
    given, forecast = np.asarray(given), np.asarray(forecast)
    if forecast.ndim < 2 or forecast.shape[1] == 1:
        return [Series(given.reshape(-1), forecast.reshape(-1))]
    held = given if given.ndim == 2 else np.zeros((0, forecast.shape[1]))
    return [Series(held[:, k], forecast[:, k], name=f"variable {k + 1}") for k in range(forecast.shape[1])]


def _numbers(values: Numbers) -> list[float]:
    return [float(value) for value in values]


def _bars(values: Sequence[float]) -> str:
    """A bar for each number; a blank for one that is missing."""
    array = np.asarray(values, np.float64)
    known = array[np.isfinite(array)]
    if not len(known):
        return " " * len(array)
    low, spread = known.min(), float(np.ptp(known)) or 1.0
    return "".join(BARS[int((v - low) / spread * (len(BARS) - 1) + 0.5)] if np.isfinite(v) else " " for v in array)
