"""Trials that Optuna chooses by the scores of those before, through its ask and tell.

It is asked for `ROUND` trials at a time, and told their scores in their order: what is tried then depends on the seed
and the scores alone, not on how many are trained at once, nor on which ends first. A sweep that goes on asks and tells
anew from the first, with the scores that it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recurra.errors import ConfigError
from recurra.trials import results
from recurra.trials.plan import Sweep
from recurra.trials.results import Result
from recurra.trials.running import Runner
from recurra.trials.spaces import Range, Settings, Space, rounded

ROUND = 4
"""Trials that are chosen before any of them is scored."""


def check_installed() -> None:
    """Raise `ConfigError` where Optuna is missing."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "--sampler optuna needs the package optuna, which is not installed: pip install 'recurra[optuna]'. "
            "Without it, --sampler random."
        ) from error


def suggested(runner: Runner) -> list[Result]:
    """The results of all trials; fewer where it was interrupted."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep, found = runner.sweep, list[Result]()
    spaces: dict[str, Space] = {**sweep.grid, **sweep.random}
    sampler = optuna.samplers.TPESampler(seed=sweep.asked.seed % (1 << 32))
    study = optuna.create_study(sampler=sampler, direction="minimize")
    for first in range(0, sweep.count, ROUND):
        asked = {}
        for number in range(first, first + ROUND):  # the last round, too: what is asked then does not depend on its end
            trial = study.ask()
            asked[number] = trial, {name: _suggest(trial, name, space) for name, space in spaces.items()}
        wanted = {number: settings for number, (_, settings) in asked.items() if number < sweep.count}
        _check_as_before(sweep, wanted)
        these = runner.results(wanted)
        found += these
        if len(these) < len(wanted):
            break
        for each in these:
            trial, value = asked[each.trial][0], _value(each)
            if value is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, value)
    return found


def _suggest(trial: Any, name: str, space: Space) -> Any:
    """A value of what can be tried; of a list the place in it, since Optuna keeps no lists or tables."""
    if isinstance(space, Range):
        if space.whole:
            return trial.suggest_int(name, int(space.low), int(space.high), log=space.log)
        return rounded(trial.suggest_float(name, space.low, space.high, log=space.log))
    return space.values[trial.suggest_categorical(name, list(range(len(space.values))))]


def _value(found: Result) -> float | None:
    """A score as Optuna is told it, the less the better; None: there is none."""
    if found.score is None or not math.isfinite(found.score):
        return None
    return -found.score if found.better == "max" else found.score


def _check_as_before(sweep: Sweep, wanted: Mapping[int, Settings]) -> None:
    """Raise `ConfigError` where trials that have a result would now be others: another Optuna chooses otherwise."""
    for number, settings in wanted.items():
        before = results.read(sweep.asked.out, number)
        if before is not None and before.settings != settings:
            raise ConfigError(
                f"trial {number:04d} was {before.settings}, now Optuna chooses {settings}. Is it another version of "
                "Optuna than before? Install that one again, or sweep anew with another --out."
            )
