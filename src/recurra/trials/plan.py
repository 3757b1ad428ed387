"""What a sweep is asked to do: trials whose settings are known to be right, and a folder. Needs no torch.

sweep/
├─ sweep.json       what is tried: recipe, files, settings, seed
├─ 0000/ 0001/ …    a run for each trial
├─ results/         what came of each: 0000.json
├─ logs/            what each training said: 0000.txt
├─ table.csv        all of them, the best first
└─ *.svg            the score against each setting
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import recurra
from recurra import config as configuration
from recurra import forms, storage
from recurra.config import Config
from recurra.errors import CheckpointError, ConfigError
from recurra.forms import ANYTHING, NOTHING, Either, Items, Number, Table, Text, Whole
from recurra.trials.spaces import Settings, Space, count_of, of_lists, parse_random, trials
from recurra.workflow.plan import MAY_CHANGE, make_plan

FILE = "sweep.json"
OWN = {"data.train": "FILES", "data.valid": "--valid", "data.test": "--test"}
"""Settings that have an option of their own."""
_TEXTS = Items(Text())
_FORM = Table(
    {
        "recipe": Text(),
        **dict.fromkeys(("files", "valid", "test", "plugins"), _TEXTS),
        "settings": Table(others=ANYTHING),
        "grid": Table(others=Items(ANYTHING)),
        "random": Table(others=Text()),
        "trials": Either((Whole(1), NOTHING)),
        "seed": Whole(0),
        "sampler": Text(),
        "halving": Either((Whole(2), NOTHING)),
        "max_minutes": Either((Number(0), NOTHING)),
        "config": Table(others=ANYTHING),
    },
    {"recurra": Text()},
)


@dataclass(frozen=True)
class Asked:
    """The words of a sweep."""

    recipe: str
    out: Path
    files: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    settings: Mapping[str, Any] | None = None
    grid: Mapping[str, Sequence[Any]] | None = None
    random: Mapping[str, str] | None = None
    trials: int | None = None
    seed: int = 0
    sampler: str = "random"
    halving: int | None = None
    max_minutes: float | None = None
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """A sweep whose names are known to be right and whose files are known to be there."""

    asked: Asked
    grid: Mapping[str, Any]
    random: Mapping[str, Space]
    count: int
    config: Config
    """That of a trial, without what is tried."""
    trials: tuple[Settings, ...]
    """The settings of each; of a sampler that looks at scores those that chance would draw."""

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that are tried."""
        return (*self.grid, *self.random)

    def place(self, trial: int) -> Path:
        """The folder of a trial's run."""
        return self.asked.out / f"{trial:04d}"

    def words(self, settings: Settings) -> Iterator[str]:
        """The words of a trial's training that say what is trained."""
        asked = self.asked
        yield asked.recipe
        yield from map(_whole, asked.files)
        for option, paths in (("--valid", asked.valid), ("--test", asked.test), ("--plugin", asked.plugins)):
            for path in paths:
                yield from (option, _whole(path))
        for name, value in self.stated(settings).items():
            yield from ("--set", configuration.setting(name, value))

    def stated(self, settings: Settings) -> Settings:
        """The settings of a trial beside the recipe: those that all trials have, and its own."""
        budget = {} if self.asked.max_minutes is None else {"training.max_minutes": self.asked.max_minutes}
        fixed = {"training.seed": self.asked.seed, "training.fit_budget": False, **budget}
        return {**fixed, **(self.asked.settings or {}), **settings}


def make_sweep(asked: Asked) -> Sweep:
    """Check all that can be checked at once: every setting of every trial, its name, type and range, and the files.

    Raises `ConfigError`, and whatever `make_plan` raises.
    """
    grid, drawn = of_lists(asked.grid or {}), parse_random(f"{k}={v}" for k, v in (asked.random or {}).items())
    count = count_of(grid, drawn, asked.trials)
    configuration.check_seed(asked.seed)
    for name in (*grid, *drawn):
        if name in OWN or name == "training.max_minutes":
            raise ConfigError(f"{name} is the same in all trials. Name it by {OWN.get(name, '--max-minutes')}.")
        if name in (asked.settings or {}):
            raise ConfigError(f"{name} is tried and set. Leave it away in --set, or in --grid or --random.")
    _check_halving(asked, count)
    recipe = asked.recipe if asked.recipe in configuration.recipe_names() else _whole(asked.recipe)
    empty = Sweep(replace(asked, recipe=recipe), grid, drawn, count, {}, ())
    config = _config(empty, {})
    found = tuple(trials(grid, drawn, count, asked.seed, shuffled=asked.trials is not None))
    for settings in _extremes(grid, drawn, found):
        _config(empty, settings)
    return replace(empty, config=config, trials=found)


def is_sweep(folder: str | Path) -> bool:
    """Whether a folder holds a sweep; one that is called like a recipe of ours does not hide that recipe."""
    return str(folder) not in configuration.recipe_names() and (Path(folder) / FILE).is_file()


def reopen(out: Path, count: int | None = None) -> Asked:
    """The words of the sweep in a folder, to go on with it; `count`: to so many trials. Raises `CheckpointError`."""
    found = _read(out)
    if found is None:
        raise CheckpointError(f"{out} holds no sweep ({FILE} is missing). Name the folder of `recurra sweep … --out`.")
    names = {name: found[name] for name in Asked.__dataclass_fields__ if name != "out"}
    lists = {name: tuple(found[name]) for name in ("files", "valid", "test", "plugins")}
    return Asked(out=out, **{**names, **lists, "trials": count or found["trials"]})


def settle(sweep: Sweep) -> None:
    """Write what is tried into the folder, made where it is missing. Raises `CheckpointError` where it holds another
    sweep, or something else."""
    out, mine = sweep.asked.out, _record(sweep)
    before = _read(out)
    if before is None:
        if (out.is_dir() and any(out.glob("*/config.toml"))) or (out / "config.toml").exists():
            raise CheckpointError(f"{out} holds runs that are no trials of a sweep. Name another folder with --out.")
        for folder in (out, out / "results", out / "logs"):
            storage.make_folder(folder)
    else:
        _check_same(out, before, mine)
    if before is None or (mine["trials"] or 0) > (before["trials"] or 0):
        storage.write_text(out / FILE, json.dumps(mine, indent=1, ensure_ascii=False) + "\n")


def _check_same(out: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `CheckpointError` for another sweep than the one in the folder; more trials of it are the same."""
    for name in ("recipe", "files", "valid", "test", "settings", "grid", "random", "seed", "sampler", "halving"):
        if before[name] != now[name]:
            raise _other(out, name, before[name], now[name])
    for name, (then, today) in configuration.differences(before["config"], now["config"]).items():
        if name not in MAY_CHANGE:
            raise _other(out, name, then, today)
    if before["max_minutes"] != now["max_minutes"]:
        raise _other(out, "max_minutes", before["max_minutes"], now["max_minutes"])
    same = before["trials"] == now["trials"]
    if not same and (now["halving"] is not None or None in (before["trials"], now["trials"])):
        raise _other(out, "trials", before["trials"], now["trials"])


def _other(out: Path, name: str, before: Any, now: Any) -> CheckpointError:
    return CheckpointError(
        f"{out} holds another sweep: {name} was {before!r}, now it is {now!r}. Go on with it by `recurra sweep {out}`, "
        "or name another folder with --out."
    )


def _read(out: Path) -> dict[str, Any] | None:
    path = out / FILE
    if not os.path.lexists(path):
        return None
    found: dict[str, Any] = forms.json_file(path, _FORM, move="Put it back, or sweep anew with another --out.")
    return found


def _record(sweep: Sweep) -> dict[str, Any]:
    asked = sweep.asked
    return {
        "recurra": recurra.__version__,
        "recipe": asked.recipe,
        **{name: [*map(_whole, getattr(asked, name))] for name in ("files", "valid", "test", "plugins")},
        "settings": dict(asked.settings or {}),
        "grid": {name: [*each.values] for name, each in sweep.grid.items()},
        "random": dict(asked.random or {}),
        "trials": asked.trials,
        **{name: getattr(asked, name) for name in ("seed", "sampler", "halving", "max_minutes")},
        "config": sweep.config,
    }


def _config(sweep: Sweep, settings: Settings) -> Config:
    """The configuration of a trial, checked as far as it can be without torch."""
    asked = sweep.asked
    plan = make_plan(
        asked.recipe,
        asked.files,
        out=sweep.place(0),
        valid=asked.valid,
        test=asked.test,
        settings=sweep.stated(settings),
        plugins=asked.plugins,
    )
    configuration.check_values(plan.config)
    return plan.config


def _extremes(grid: Mapping[str, Any], drawn: Mapping[str, Space], found: Sequence[Settings]) -> Iterator[Settings]:
    """Settings that show each value of the grid, and the ends of each range, once; and the trials as they are."""
    base = found[0]
    for name, values in grid.items():
        yield from ({**base, name: value} for value in values.values)
    for name, space in drawn.items():
        ends = getattr(space, "values", None) or (space.at(0.0), space.at(1 - 1e-12))
        yield from ({**base, name: value} for value in ends)
    yield from found


def _check_halving(asked: Asked, count: int) -> None:
    if asked.halving is None:
        return
    if asked.halving < 2:
        raise ConfigError(f"--halving {asked.halving}, expected a whole number from 2: of so many trials one goes on.")
    if asked.max_minutes is None:
        raise ConfigError("--halving gives the best trials more time. Say how much the last ones have: --max-minutes 5")
    if count < asked.halving:
        raise ConfigError(f"--halving {asked.halving} of {count} trials leaves none. Try more: --trials 20.")


def _whole(path: str) -> str:
    return str(Path(path).resolve())
