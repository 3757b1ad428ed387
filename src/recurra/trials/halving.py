"""Successive halving: all trials have a little time, the best ones more, the best of these all of it.

Source: Jamieson & Talwalkar 2016, Non-stochastic best arm identification and hyperparameter optimization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recurra.trials.results import Result, same_metric
from recurra.trials.running import Runner
from recurra.trials.spaces import Settings, rounded


@dataclass(frozen=True)
class Rung:
    """So many trials that have trained for so many minutes, those before counted."""

    trials: int
    minutes: float


def rungs(count: int, factor: int, minutes: float) -> list[Rung]:
    """The rungs of so many trials, of which one in `factor` goes on; those of the last one train for `minutes`."""
    counts = [count]
    while counts[-1] // factor >= 1:
        counts.append(counts[-1] // factor)
    return [Rung(each, rounded(minutes / factor ** (len(counts) - 1 - k))) for k, each in enumerate(counts)]


def whole_time(steps: list[Rung]) -> float:
    """Minutes of training that all trials take together."""
    before = [0.0, *(each.minutes for each in steps)]
    return sum(each.trials * (each.minutes - former) for each, former in zip(steps, before, strict=False))


def halve(runner: Runner, trials: Mapping[int, Settings], steps: list[Rung]) -> list[Result]:
    """The results of all rungs; those of the first alone where it was interrupted in it."""
    found: list[Result] = []
    left = dict(trials)
    for number, rung in enumerate(steps):
        if number:
            runner.say(f"The best {rung.trials} of {len(left)} trials train on, to {rung.minutes:g} minutes.")
            left = {each.trial: left[each.trial] for each in _best(found, number - 1)[: rung.trials]}
        these = runner.results(left, number, rung.minutes)
        found += these
        if len(these) < len(left):
            break
    return found


def _best(found: list[Result], rung: int) -> list[Result]:
    """The trials of a rung that have a score, the best first."""
    scored = [each for each in same_metric(found) if each.rung == rung and each.score is not None]
    return sorted(scored, key=lambda each: each.order)
