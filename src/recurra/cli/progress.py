"""How a training is shown while it runs: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

    from recurra.training.log import Event

QUIET = 30.0
"""Seconds from one line to the next where there is no bar."""


class Watch:
    """Writes on `stream`, stderr as a rule, so that stdout holds results alone. `unit`: what targets are."""

    def __init__(self, stream: TextIO, unit: str = "symbols") -> None:
        self._stream, self._unit = stream, unit
        self._bar: Progress | None = None
        self._valid = ""
        self._speed = 0.0
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        if self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            columns = ("epoch {task.fields[epoch]}", BarColumn(), "{task.percentage:>3.0f}%", "{task.description}")
            written = [TextColumn(column) if isinstance(column, str) else column for column in columns]
            bar = Progress(*written, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(file=self._stream))
            bar.add_task("", total=1.0, epoch="0.00", visible=False)
            bar.start()
            self._bar = bar
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, sentence: str) -> None:
        """A sentence of its own line."""
        if self._bar is not None:
            self._bar.console.print(sentence, markup=False, highlight=False)
        else:
            print(sentence, file=self._stream, flush=True)

    def __call__(self, event: Event) -> None:
        """Show what happened, if it is time to."""
        if event.valid is not None:
            metric, value = event.valid
            named = "" if metric == "loss" else f"{metric.replace('_', ' ')} "
            digits = 4 if metric == "loss" or metric.startswith("nats") else 2
            shown = f"{named}{value:.{digits}f}"
            self._valid = f"  valid {shown}{' (best)' if event.best else ''}"
        self._speed = event.symbols_per_second or self._speed
        loss = "" if math.isnan(event.loss) else f"loss {event.loss:.4f}"
        state = f"{loss}{self._valid}  {self._speed:,.0f} {self._unit}/s"
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0],
                completed=event.progress,
                description=state,
                epoch=f"{event.epoch:.2f}",
                visible=event.kind != "end",
            )
        elif event.kind == "evaluation" or (event.kind == "step" and time.monotonic() - self._told > QUIET):
            self._told = time.monotonic()
            self.say(f"{event.minutes:6.1f} min  epoch {event.epoch:.2f}  step {event.step:,}  {state}")
