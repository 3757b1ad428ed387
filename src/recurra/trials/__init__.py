"""Many trainings of one recipe with other settings: what is tried, the trials, and what is found.

found = recurra.sweep("tagger", "my.conll", out="sweep", grid={"core.hidden_size": [64, 128]})
found.best.settings
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recurra.errors import ConfigError, Stopped
from recurra.jobs.asked import check_place, check_workers
from recurra.jobs.shard import parse_shard
from recurra.limits import check_threads, cores
from recurra.trials.plan import FILE, Asked, Sweep, is_sweep, make_sweep, reopen, settle

if TYPE_CHECKING:
    from recurra.trials.results import Result
    from recurra.trials.running import Runner

Say = Callable[[str], None]
On = Literal["here", "ray"]
SAMPLERS = ("random", "optuna")


@dataclass(frozen=True)
class Found:
    """What a sweep has found."""

    out: Path
    names: tuple[str, ...]
    """The settings that were tried."""
    trials: tuple[Result, ...]
    """The best first; those that failed last."""
    count: int
    """How many there are to be, those of other shards counted."""
    plugins: tuple[str, ...] = ()
    """Files of the user's that the runs need."""

    @property
    def best(self) -> Result | None:
        """The best trial by its validation; None where none has a score."""
        return self.trials[0] if self.trials and self.trials[0].score is not None else None

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        from recurra.trials.table import as_json

        return as_json(self)


def sweep(
    recipe: str | Path,
    *files: str | Path,
    out: str | Path | None = None,
    valid: Iterable[str | Path] = (),
    test: Iterable[str | Path] = (),
    settings: Mapping[str, Any] | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    random: Mapping[str, str] | None = None,
    trials: int | None = None,
    sampler: str = "random",
    halving: int | None = None,
    max_minutes: float | None = None,
    seed: int = 0,
    workers: int | None = None,
    threads: int = 1,
    device: str | None = None,
    on: On = "here",
    address: str | None = None,
    shard: str | None = None,
    retry: bool = False,
    show: bool = False,
    plugins: Iterable[str | Path] = (),
    say: Say = lambda sentence: None,
) -> Found:
    """Train a recipe with many settings, each in a run of its own in the folder `out` (`sweep`), and rank them by the
    task's main metric on the validation examples. The test is left alone: it is for the one that is chosen.

    `grid`: setting → values, all of which are tried with all of the others. `random`: setting → what is drawn anew for
    each of `trials`: "log:1e-4:1e-2", "uniform:0:0.5", "int:1:4", "log-int:64:512", "choice:lstm,gru". With the
    `sampler` "optuna" it is chosen by the scores before. `halving`: of so many trials one has so many times the time,
    up to `max_minutes`. `workers` trainings at a time, of `threads` each; `on="ray"`: by Ray, at `address` or started
    here. `shard`: "2/8" trains every eighth trial, from the second. A sweep that was stopped or killed goes on where
    it is called again, and where `recipe` is its folder. `retry`: those that failed are tried again; `show`: nothing is
    trained, what there is by now is shown.

    Same seed, same trials and same scores, however many workers, but for `max_minutes`. Raises a `RecurraError` for
    whatever is wrong with recipe, settings, files or folder before any training; a trial that fails stands in the
    result. Raises `Stopped`, a `KeyboardInterrupt`, after Ctrl-C and SIGTERM, when all trainings have saved.
    """
    asked = Asked(
        str(recipe),
        Path(out or (recipe if is_sweep(recipe) else "sweep")),
        tuple(map(str, files)),
        tuple(map(str, valid)),
        tuple(map(str, test)),
        settings,
        grid,
        random,
        trials,
        seed,
        sampler,
        halving,
        max_minutes,
        tuple(map(str, plugins)),
    )
    folder = Path(asked.recipe)
    if is_sweep(asked.recipe):
        _check_alone(asked, folder)
        asked = reopen(folder, asked.trials)
    check_threads("threads", threads)
    check_workers(workers)
    mine = parse_shard(shard)
    check_place(on, address)
    _check_goes_together(asked, shard)
    planned = make_sweep(asked)
    if show:
        return _found(planned, ())
    return _run(planned, workers, threads, device, on, address, mine, retry, say)


def _run(
    planned: Sweep,
    workers: int | None,
    threads: int,
    device: str | None,
    on: On,
    address: str | None,
    shard: tuple[int, int],
    retry: bool,
    say: Say,
) -> Found:
    from recurra import storage
    from recurra.data.files import counted
    from recurra.jobs.local import Local
    from recurra.training.interrupt import Interrupt
    from recurra.training.lock import locked
    from recurra.trials import results, table
    from recurra.trials.looking import Looking
    from recurra.trials.running import Runner

    asked, (number, of) = planned.asked, shard
    out = asked.out
    settle(planned)
    held = out if of == 1 else out / "shards" / f"{number}-of-{of}"
    with ExitStack() as stack:
        interrupt, tick = Interrupt(), Looking(planned, say)
        stack.enter_context(locked(held, say, "written to"))
        stack.enter_context(interrupt)
        storage.sweep(out / "results", [results.path_of(out, k, 0).name for k in range(planned.count)], older=600)
        if on == "ray":
            from recurra.jobs.on_ray import OnRay

            mark = (out / FILE).resolve()
            where: Any = stack.enter_context(OnRay(mark, address, workers, threads, interrupt, say, tick))
            at_once = where.workers
        else:
            at_once = max(1, cores() // threads) if workers is None else workers
            where = Local(at_once, interrupt, tick)
        mine = {k: settings for k, settings in enumerate(planned.trials) if k % of == number - 1}
        shares = f", of which this is shard {number} of {of}: {len(mine)}" if of > 1 else ""
        say(
            f"{counted(planned.count, 'trial')}{shares}; {at_once} at a time{' on Ray' if on == 'ray' else ''}, "
            f"{counted(threads, 'thread')} each. The trainings tell of themselves in {out / 'logs'}."
        )
        runner = Runner(planned, where, interrupt, say, threads, device, retry)
        found = _trained(runner, mine)
    done = _found(planned, found)
    table.write(done, planned)
    if interrupt.requested:
        again = f"recurra sweep {out}{'' if of == 1 else f' --shard {number}/{of}'}"
        raise Stopped(
            f"stopped: {len(done.trials):,} of {planned.count:,} trials have a result, and what was trained of others "
            f"is saved. Go on: {again}",
            interrupt.signal or 2,
        )
    return done


def _trained(runner: Runner, mine: Mapping[int, Any]) -> list[Result]:
    """The results of the trials, in the way that was asked for."""
    asked = runner.sweep.asked
    if asked.sampler == "optuna":
        from recurra.trials.suggested import suggested

        return suggested(runner)
    if asked.halving is not None and asked.max_minutes is not None:
        from recurra.trials.halving import halve, rungs, whole_time

        steps = rungs(len(mine), asked.halving, asked.max_minutes)
        told = ", then ".join(f"{each.trials} to {each.minutes:g} minutes" for each in steps)
        runner.say(f"Successive halving: {told}; {whole_time(steps):.3g} minutes of training in all.")
        return halve(runner, mine, steps)
    return runner.results(mine)


def _found(planned: Sweep, mine: Iterable[Result]) -> Found:
    """What these and all others have found so far, other shards among them."""
    from recurra.trials import results

    out, known = planned.asked.out, {(each.trial, each.rung): each for each in mine}
    for trial in range(planned.count):
        for rung in count():
            kept = known.get((trial, rung)) or results.read(out, trial, rung)
            if kept is None:
                break
            known[trial, rung] = kept
    ranked = results.ranked(results.same_metric([known[place] for place in sorted(known)]))
    return Found(out, planned.names, tuple(ranked), planned.count, planned.asked.plugins)


def _check_goes_together(asked: Asked, shard: str | None) -> None:
    if asked.sampler not in SAMPLERS:
        raise ConfigError(f"--sampler {asked.sampler}, expected one of {', '.join(SAMPLERS)}.")
    if asked.sampler == "optuna":
        from recurra.trials.suggested import check_installed

        if asked.halving is not None:
            raise ConfigError("--sampler optuna and --halving cannot be put together. Leave one of them away.")
        check_installed()
    for option, there in (("--halving", asked.halving is not None), ("--sampler optuna", asked.sampler == "optuna")):
        if shard is not None and there:
            raise ConfigError(f"{option} looks at all scores, and a shard has its own alone. Leave one of them away.")


def _check_alone(asked: Asked, folder: Path) -> None:
    """Raise `ConfigError` for words beside the folder of a sweep that goes on."""
    known = Asked(asked.recipe, asked.out, trials=asked.trials)
    names = Asked.__dataclass_fields__
    named = [name for name in names if (getattr(asked, name) or None) != (getattr(known, name) or None)]
    if named or asked.out != folder:
        what = f"--{named[0].replace('_', '-')}" if named else "--out"
        raise ConfigError(
            f"{folder} is a sweep, which knows what it tries. Leave {what} away; more trials are --trials."
        )
