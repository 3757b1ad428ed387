"""The trials of a sweep, trained where the caller says, until each has a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recurra.errors import CheckpointError
from recurra.jobs.job import Ended, Job, Where
from recurra.progress import steps
from recurra.training.interrupt import Interrupt
from recurra.training.lock import NAME, locked
from recurra.trials import results
from recurra.trials.plan import Sweep
from recurra.trials.results import Result
from recurra.trials.spaces import Settings

Say = Callable[[str], None]
STOPPED = 128
"""Codes above it are those of processes that were asked to end."""
PATIENCE = 60.0
"""Seconds that a trial of a sweep that was killed has to save and end."""


@dataclass(frozen=True)
class Runner:
    """Trains trials of a sweep."""

    sweep: Sweep
    where: Where
    interrupt: Interrupt
    say: Say
    threads: int
    device: str | None = None
    retry: bool = False
    """Whether those that failed before are tried again."""

    def results(self, trials: Mapping[int, Settings], rung: int = 0, minutes: float | None = None) -> list[Result]:
        """What came of trials, those that have no result yet trained first; fewer where it was interrupted.

        `minutes`: how long each may train, all its rungs together; a trial that has a run goes on with it.
        """
        known = {trial: self._known(trial, settings, rung, minutes) for trial, settings in trials.items()}
        missing = [trial for trial, found in known.items() if found is None]
        jobs = (self._job(trial, trials[trial], minutes) for trial in missing)
        if missing:
            for ended in steps(self.where(_while(jobs, self.interrupt)), "training", "trials", len(missing)):
                known[ended.key] = self._took(ended, trials[ended.key], rung, minutes)
        return [found for found in known.values() if found is not None]

    def _known(self, trial: int, settings: Settings, rung: int, minutes: float | None) -> Result | None:
        """A result that is there already."""
        out = self.sweep.asked.out
        found = results.read(out, trial, rung)
        if found is not None and found.failed and self.retry:
            return None
        if found is None:
            found = results.of_run(self.sweep.place(trial), trial, settings, rung, minutes)
            if found is not None:
                results.write(out, found)
        return found

    def _took(self, ended: Ended, settings: Settings, rung: int, minutes: float | None) -> Result | None:
        """What came of a trial whose process has ended; None: it was stopped, and goes on another time."""
        trial, out = ended.key, self.sweep.asked.out
        if ended.code > STOPPED or (ended.code and self.interrupt.requested):
            return None
        found = results.of_run(self.sweep.place(trial), trial, settings, rung, minutes) if not ended.code else None
        if found is None:
            said = ended.said or f"its run has no scores. What it said stands in {out / 'logs'}"
            found = Result(trial, settings, rung, failed=said)
        results.write(out, found)
        self.say(told(found))
        return found

    def _job(self, trial: int, settings: Settings, minutes: float | None) -> Job:
        """The training of a trial, begun or gone on with."""
        sweep, place = self.sweep, self.sweep.place(trial).resolve()
        budget = () if minutes is None else ("--max-minutes", f"{minutes!r}")
        if (place / "config.toml").is_file():
            _wait_for(place, self.interrupt)
            plugins = [word for path in sweep.asked.plugins for word in ("--plugin", str(Path(path).resolve()))]
            words = [str(place), "--resume", *plugins]
        else:
            words = [*sweep.words(settings), "--out", str(place)]
        device = () if self.device is None else ("--device", self.device)
        return Job(
            trial,
            ("train", *words, "--no-test", "--no-baseline", "--threads", str(self.threads), *device, *budget),
            (sweep.asked.out / "logs" / f"{trial:04d}.txt").resolve(),
            self.threads,
            gpus=int((self.device or "").startswith("cuda")),
        )


def told(found: Result) -> str:
    """A result as a sentence."""
    settings = ", ".join(f"{name} = {value}" for name, value in found.settings.items())
    if found.score is None:
        return f"{found.trial:04d} ({settings}) failed: {found.failed}"
    minutes = "" if found.minutes is None else f" after {found.minutes:.1f} minutes"
    return f"{found.trial:04d} ({settings}): {found.metric.replace('_', ' ')} {found.score:.4g}{minutes}"


def _while(jobs: Iterable[Job], interrupt: Interrupt) -> Iterator[Job]:
    """The jobs until somebody asks for an end."""
    for job in jobs:
        if interrupt.requested:
            return
        yield job


def _wait_for(place: Path, interrupt: Interrupt) -> None:
    """Wait while the training of a sweep that was killed saves. Raises `CheckpointError` where it does not end."""
    until = time.monotonic() + PATIENCE
    while (place / NAME).exists() and not interrupt.requested:
        try:
            with locked(place):
                return
        except CheckpointError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
