"""What a training is asked to do: the whole configuration, the files, the folder. Needs no torch."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recurra import config as configuration
from recurra import plugins as own_files
from recurra import registry, signatures
from recurra.config import Config, Data
from recurra.data.readers.sniff import NUMBERS, ORDER, PAIRS, SOUNDS, contents_of
from recurra.data.sets import set_reader
from recurra.data.sources import check_files, check_sources
from recurra.errors import CheckpointError, ConfigError, UnknownName, did_you_mean
from recurra.export import export_folder
from recurra.training.settings import Training
from recurra.workflow import from_corpus, start

MAY_CHANGE = {f"training.{key}" for key in ("epochs", "max_minutes", "patience", "threads", "device", "log_every")}
MAY_CHANGE |= {"data.corpus"}
"""Settings a run may be resumed with other values of: how far, how long and where, never what."""

FITTED = ("batching", "embedder", "core", "task", "training")
"""Sections with settings that are fitted to a budget."""

CONTENTS = {
    "text": ("one long text, without tags or labels", "one long text", "writes"),
    "labels": ("labelled", "tags or labels", "labels"),
    "pairs": ("made of pairs of a source and a target", "pairs", "translates"),
    "sentences": ("made of sentences", "sentences", "fills blanks"),
    "numbers": ("made of sequences of numbers", "sequences of numbers", "names them"),
    "sounds": ("made of recordings", "recordings", "hears them"),
    "images": ("made of pictures", "pictures", "reads them"),
    "captions": ("made of pictures and sentences about them", "pictures with captions", "describes pictures"),
    "notes": ("music", "music", "writes it on"),
    "moves": ("made of drawings", "drawings", "draws"),
}
"""What data hold: what they are, what a recipe learns from, what a model of them does."""


@dataclass(frozen=True)
class Plan:
    """A training whose names are known to be right and whose files are known to be there."""

    config: Config
    out: Path
    resume: bool = False
    notes: tuple[str, ...] = ()
    """What is to be said before anything else."""
    plugins: tuple[Path, ...] = ()
    """Those that were loaded."""
    stated: Mapping[str, Any] = field(default_factory=dict)
    """The settings beside the recipe, by their dotted names."""
    fit: bool | None = False
    """Whether settings are fitted to the budget; None: where there would be too few updates."""


def make_plan(
    recipe: str | Path,
    files: Iterable[str | Path] = (),
    *,
    out: str | Path | None = None,
    valid: Iterable[str | Path] = (),
    test: Iterable[str | Path] = (),
    settings: Mapping[str, Any] | None = None,
    plugins: Iterable[str | Path] = (),
    resume: bool = False,
) -> Plan:
    """Put a recipe, files and settings together, and check all that can be checked at once.

    With `resume`, `recipe` may be the run's folder, which knows its own recipe and files. A run in a folder that is
    called like a recipe of ours does not hide that recipe.
    """
    files, valid, test = list(files), list(valid), list(test)
    mine = tuple(Path(plugin) for plugin in plugins)
    own_files.load(mine)
    folder = Path(recipe)
    named = str(recipe) in configuration.recipe_names() and (out is not None or not resume)
    again = (folder / "config.toml").is_file() and not named
    if again and not resume:
        raise ConfigError(
            f"{folder} is a run already. Go on with it by --resume, or train its recipe anew: "
            f"recurra train {folder / 'config.toml'} --out …"
        )
    if again and out is not None and folder.resolve() != Path(out).resolve():
        raise ConfigError(f"--resume goes on in {folder}, --out says {out}. Leave --out away.")
    out = folder if again else Path(out or "run")
    changed = own_files.check(out, mine) if resume else []
    config = configuration.load_recipe(folder / "config.toml" if again else recipe)
    if files and config.get("data", {}).get("set"):
        config["data"]["set"] = None  # files stand in its place
    _drop_the_other_cell(config, settings or {})
    notes = configuration.told_of_kinds(config, settings or {})
    config = configuration.with_settings(config, {**_named(files, valid, test), **(settings or {})})
    _check_reader_keys(config)
    try:
        configuration.check_names(config)
    except UnknownName as error:
        if not again:
            raise
        raise ConfigError(f"{error} {own_files.hint(out, mine)}") from error
    _check_equations(config)
    training = Training(**signatures.checked(Training, config["training"], where="training"))
    if training.fit_budget and training.max_minutes is None and not resume:
        raise ConfigError("--fit-budget fits the settings to --max-minutes, which is not set. Add it: --max-minutes 5")
    config = _with_start(config, settings or {}, out if resume else None)
    folders = config["reader"]["kind"] != "text"
    config = from_corpus.adopt(config, settings or {})
    check_files((*files, *valid, *test), folders)  # as they were written; the config has whole paths
    check_sources(Data(**signatures.checked(Data, config.get("data", {}), where="data")), folders)
    _check_set(config)
    if not resume and str(recipe) in configuration.recipe_names():
        config = _read_as_the_set(config, settings or {})
    if resume:
        config = _resumed(config, out, settings or {})
    fit = training.fit_budget
    if resume or training.max_minutes is None or (fit is None and str(recipe) not in configuration.recipe_names()):
        fit = False  # a recipe of one's own is meant as it is written
    return Plan(config, out, resume, tuple(changed if resume else notes), mine, dict(settings or {}), fit)


def _with_start(config: Config, settings: Mapping[str, Any], going_on: Path | None) -> Config:
    """The config with what it takes over from the run it starts from; of a run that goes on, what that took over."""
    if going_on is None:
        adopted = start.adopt(config, settings)
    elif (going_on / "config.toml").is_file():
        adopted = start.as_started(config, configuration.load_recipe(going_on / "config.toml"), settings)
    else:
        adopted = config  # no run to go on with, as is said below
    configuration.check_names(adopted)
    return adopted


def _drop_the_other_cell(config: Config, settings: Mapping[str, Any]) -> None:
    """A cell set by name stands in the place of the recipe's equations, and equations in that of its cell's name."""
    for named, dropped in (("cell", "equations"), ("equations", "cell")):
        if settings.get(f"core.{named}") not in (None, "none") and isinstance(config.get("core"), dict):
            config["core"].pop(dropped, None)


def _check_equations(config: Config) -> None:
    """Refuse equations that cannot be read, before torch is loaded."""
    core = config["core"]
    if core["kind"] == "recurrent" and isinstance(core.get("equations"), str):
        from recurra.equations.parse import parse

        parse(core["equations"])


def _check_reader_keys(config: Config) -> None:
    """Refuse settings of a named format where the format is to be found out, saying which formats have them."""
    reader = config.get("reader", {})
    if not isinstance(reader, dict) or reader.get("kind") != "auto":
        return
    for key in reader.keys() - {"kind", "encoding"}:
        kinds = [name for name in (*ORDER, *PAIRS, *NUMBERS, *SOUNDS) if _has_key(name, key)]
        if kinds:
            raise ConfigError(
                f"reader.{key} is a setting of {' and '.join(kinds)}, so the format is to be named, too: "
                f"--set reader.kind={kinds[-1]} --set reader.{key}={reader[key]}"
            )


def _has_key(kind: str, key: str) -> bool:
    try:
        registry.check_keys("reader", {"kind": kind, key: None}, "reader")
    except ConfigError:
        return False
    return True


def _check_set(config: Config) -> None:
    """Refuse a named set that is of another format than the recipe reads."""
    data, reader = config.get("data", {}), config["reader"]
    if not data.get("set") or data.get("train"):
        return
    name, kind = data["set"], reader["kind"]
    own = (set_reader(name) or {"kind": "text"})["kind"]
    holds = _holds(own)
    if (kind, holds) == ("text", "labels"):
        config["reader"] = set_reader(name)  # its texts alone; the run says so
        return
    wanted = reader.get("gives", "labels") if kind == "auto" else _holds(kind)
    of_lines = wanted == "sentences" and holds == "text" and set_reader(name) is not None
    if of_lines and kind in ("auto", "lines"):
        return
    if holds != wanted and not (wanted == "sentences" and holds == "labels"):
        is_, _, move = CONTENTS[holds]
        recipe = registry.find("reader", own).recipe
        raise ConfigError(
            f"the data set {name!r} is {is_}, but this recipe learns from {CONTENTS[wanted][1]}. Train a model that "
            f"{move}: recurra train {recipe} --set data.set={name}"
        )
    if kind == own:  # what is set beside it stays set
        config["reader"] = {**(set_reader(name) or {}), **reader}
    if kind not in ("auto", own):
        segments = " --set reader.tag=segments" if (own, kind) == ("conllu", "segmented") else ""
        raise ConfigError(
            f"the data set {name!r} is in the format {own!r}, but reader.kind = {kind!r}. "
            f"Name its own: --set reader.kind={own}{segments}"
        )


def _read_as_the_set(config: Config, settings: Mapping[str, Any]) -> Config:
    """The config of a recipe of ours with what a named set says of its own files, its columns say, where its reader is
    the recipe's, too; what is set beside it stays set."""
    name = config.get("data", {}).get("set")
    own = set_reader(name) if name else None
    if own is None or own["kind"] != config["reader"]["kind"]:
        return config
    left = {f"reader.{key}": value for key, value in own.items() if f"reader.{key}" not in settings}
    return configuration.with_settings(config, left)


def _holds(kind: str) -> str:
    """What a reader gives, a key of `CONTENTS`."""
    if kind in ("text", "lines"):
        return "text" if kind == "text" else "sentences"
    return contents_of(registry.find("reader", kind).fields)


def _named(
    files: Iterable[str | Path], valid: Iterable[str | Path], test: Iterable[str | Path]
) -> dict[str, list[str]]:
    """The settings of `[data]` that files on the command line stand for; whole paths, to be found from anywhere."""
    parts = {"train": files, "valid": valid, "test": test}
    settings = {f"data.{part}": [str(Path(path).resolve()) for path in paths] for part, paths in parts.items()}
    return {name: paths for name, paths in settings.items() if paths}


def check_reading(settings: Mapping[str, Any], files: bool, searching: bool = False) -> None:
    """Raise `ConfigError` for settings of a finished run other than how `files` are read, or where there are none.

    `searching`: how a target is sought may be set, too.
    """
    for name in settings:
        if searching and name.startswith("search."):
            continue
        if not name.startswith("reader."):
            raise ConfigError(f"{name} is part of a trained run. What can be set is how files are read: reader.…")
        if not files:
            raise ConfigError(f"{name} says how a file is read, but none is named. Name one, or leave --set away.")


def check_run(path: str | Path) -> None:
    """Raise `CheckpointError` for a folder that holds no run."""
    path = Path(path)
    if not (path / "config.toml").is_file():
        if export_folder(path) is not None:
            raise CheckpointError(
                f"{path} is an export, expected a run. Name the folder that it was made from: the one that `recurra "
                "train … --out` made."
            )
        others = [folder.parent.name for folder in path.parent.glob("*/config.toml")]
        raise CheckpointError(
            f"{path} is no run{did_you_mean(path.name, others)} A run is the folder that `recurra train … --out` makes."
        )


def _as_fitted(config: Config, started: Config, settings: Mapping[str, Any]) -> Config:
    """The config with what was chosen for the budget when the run was started; what is set beside it stays set."""
    config = copy.deepcopy(config)
    for section in FITTED:
        stated = {name.split(".")[1] for name in settings if name.split(".")[0] == section}
        kept = {key: value for key, value in config[section].items() if key in stated}
        config[section] = {**started[section], **kept}
    return config


def _resumed(config: Config, out: Path, settings: Mapping[str, Any]) -> Config:
    """The config to go on with: what was left to the data is as they said. Refuses other settings than the run's."""
    check_run(out)
    started = configuration.load_recipe(out / "config.toml")
    if started["training"].get("fit_budget"):
        config = _as_fitted(config, started, settings)
    if config["reader"]["kind"] == "auto":
        config = {**config, "reader": started["reader"]}
    if config["task"].get("scheme", "auto") == "auto" and "scheme" in started["task"]:
        config = {**config, "task": {**config["task"], "scheme": started["task"]["scheme"]}}
    if "vocabulary" in config:
        then = started.get("vocabulary", {})
        left = {key: then[key] for key in ("split", "lower", "digits") if key in then}
        config = {**config, "vocabulary": {**left, **config["vocabulary"]}}
    for section in ("data", "batching", "baseline"):  # what followed from the task when the run was started
        config = {**config, section: {**started.get(section, {}), **config.get(section, {})}}
    for name, (before, now) in configuration.differences(started, config).items():
        if name not in MAY_CHANGE:
            raise ConfigError(
                f"{name} was {before!r} when {out} was started, now it is {now!r}. Resume with `recurra train {out} "
                f"--resume`, or train anew with another --out."
            )
    return config
