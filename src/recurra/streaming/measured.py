"""Steps of numbers as they come, one by one: what is missing in them, and how long ago the step before was."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.codecs.contract import ReadsTyped, encoded_begin
from recurra.data.table_cells import is_missing
from recurra.errors import ConfigError, DataError

Numbers = NDArray[np.float64]
TIME = "dt="
"""What a word begins with that says how long ago the step before was."""


class Symbol(NamedTuple):
    """One step of the input: as it is shown, and the number of its symbol, 0 where it is no symbol."""

    written: str
    number: int
    values: tuple[float, ...] = ()
    """What the step holds where it is no symbol, as its codec encodes it; for a missing value the one last seen."""
    seen: tuple[float, ...] = ()
    """Of each value 1 where it is there and 0 where it is missing, where the run reads that."""
    since: tuple[float, ...] = ()
    """How long before the step each value was last seen."""
    dt: float = 1.0
    """How long before it the step before was, in units of the usual step."""


class Measured:
    """The steps of a run that reads numbers, as of the reader "series" with `missing` = "seen": a value that is missing
    is the one last seen, and before the first of all the codec's 0, which is the mean of scaled numbers; `seen`,
    `since` and `dt` say so where the run reads them, `gaps` their names."""

    def __init__(self, codec: Any, gaps: Collection[str], path: Path) -> None:
        self._codec, self.gaps, self._path = codec, frozenset(gaps), path

    def steps(self, given: Any, last: Symbol | None, dt: Any = None) -> list[Symbol]:
        """The steps of a text, a line each, or of an array [T] or [T, D], NaN or None where a value is missing; behind
        the `last` step that was read. In a text "?", "NA" and the like are missing, and a word "dt=2.5" at the end of a
        line says how long ago the step before was.

        Raises `DataError` for what is no number, for a missing value where the run was trained on series without gaps,
        for a time that is no number above 0, and for another number of times than of steps; `ConfigError` for times
        where the run reads none.
        """
        codec = self._codec
        if isinstance(codec, ReadsTyped):
            if dt is not None:
                raise ConfigError(f"{self._path} reads no time between steps (dt). Leave it out.")
            encoded = encoded_begin(self._codec, codec.read(given) if isinstance(given, str) else given)
            names = [" ".join(f"{number:g}" for number in step) for step in self._codec.decode(encoded)]
            return [Symbol(words, 0, tuple(step.tolist())) for words, step in zip(names, encoded, strict=True)]
        times: Any = dt
        if isinstance(given, str):
            given, written = self._lines(given)
            if any(each is not None for each in written):
                if dt is not None:
                    raise ConfigError("dt stands in the text and beside it. Leave one out.")
                times = [1.0 if each is None else each for each in written]
        try:
            rows = np.asarray(given, np.float64)
        except (ValueError, TypeError) as error:
            raise DataError(f"{self._path} reads numbers, as many each step: {error}.") from error
        seen = ~np.isnan(rows)
        if not seen.all() and "seen" not in self.gaps:
            raise DataError(
                f"{self._path} was trained on series without gaps, and {np.count_nonzero(~seen):,} of "
                f"{seen.size:,} numbers are missing. Fill them, or train with --set reader.missing=seen."
            )
        encoded = self._codec.encode(rows if seen.all() else np.where(seen, rows, self._mean(rows)))
        T = len(encoded)
        shown, there = rows.reshape(T, -1).tolist(), seen.reshape(T, -1)
        found: list[Symbol] = []
        for k, apart in enumerate(self._apart(times, T)):
            words = " ".join("?" if math.isnan(n) else f"{n:g}" for n in shown[k])
            found.append(self._step(words, encoded[k].reshape(-1), there[k], apart, found[-1] if found else last))
        return found

    def arrays(self, symbol: Symbol) -> dict[str, NDArray[Any]]:
        """The fields of a step, each of one step: the input, and of gaps those that the run reads."""
        own = {"seen": symbol.seen, "since": symbol.since, "dt": (symbol.dt,)}
        arrays = {name: np.array(own[name], np.float32)[None] for name in self.gaps}
        return {"input": np.array(symbol.values, np.float32).reshape(1, *self._codec.shape[1:]), **arrays}

    def _mean(self, rows: Numbers) -> Any:
        """What the codec has 0 for, of each number of a step; 1 where there are not as many as it expects, and says."""
        mean = np.atleast_1d(self._codec.decode(np.zeros(self._codec.size, np.float32)))
        return mean if mean.size in (1, rows.shape[-1] if rows.ndim > 1 else 1) else 1.0

    def unlike(self, symbol: Symbol) -> str:
        """What of a step cannot be this run's; "": nothing."""
        own = {"values": math.prod(n or 1 for n in self._codec.shape[1:])}
        own |= dict.fromkeys(("seen", "since"), own["values"] if self.gaps else 0)
        wrong = [name for name, size in own.items() if len(getattr(symbol, name)) != size]
        return "" if not wrong else f"{len(getattr(symbol, wrong[0]))} {wrong[0]} of {own[wrong[0]]} numbers"

    def _step(self, words: str, values: Any, there: Any, dt: float, last: Symbol | None) -> Symbol:
        if not self.gaps:
            return Symbol(words, 0, tuple(values.tolist()))
        before = np.zeros(len(values)) if last is None else np.array(last.values)
        waited = np.zeros(len(values)) if last is None else np.where(np.array(last.seen) > 0, 0, last.since)
        filled = np.where(there, values, before)
        return Symbol(words, 0, tuple(filled.tolist()), tuple(there.astype(float)), tuple((waited + dt).tolist()), dt)

    def _apart(self, dt: Any, T: int) -> Sequence[float]:
        if dt is None:
            return [1.0] * T
        if "dt" not in self.gaps:
            raise ConfigError(
                f"{self._path} reads no time between steps (dt). Leave it out, or train with --set reader.missing=seen."
            )
        times = np.asarray(dt, np.float64)
        times = np.full(T, float(times)) if times.ndim == 0 else times
        if times.shape != (T,):
            raise DataError(f"{len(times):,} times dt for {T:,} steps, expected one for each, or one for all.")
        if not (np.isfinite(times) & (times > 0)).all():
            raise DataError(
                f"dt = {times[~(np.isfinite(times) & (times > 0))][0]:g}, expected how long ago the step before was, a "
                "number above 0, in units of the usual step."
            )
        found: list[float] = times.tolist()
        return found

    def _lines(self, text: str) -> tuple[list[Any], list[float | None]]:
        """The numbers of each line of a text, NaN where one is missing, and what it says of the time before it."""
        rows: list[Any] = []
        times: list[float | None] = []
        for line in text.splitlines():
            if not line.strip():
                continue
            words = line.replace(",", " ").split()
            said = words.pop() if words[-1].startswith(TIME) else None
            times.append(None if said is None else self._number(said.removeprefix(TIME)))
            rows.append([math.nan if is_missing(word) else self._number(word) for word in words])
        return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else rows, times

    def _number(self, word: str) -> float:
        try:
            return float(word)
        except ValueError as error:
            raise DataError(f"{self._path} reads numbers, one step a line: {error}.") from error
