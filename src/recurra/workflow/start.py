"""`[init]`: the run that a model starts from, and what follows of its form. Needs no torch.

A model that reads symbols starts from a language model, one that reads numbers (recordings, pictures, series) from any
run that reads the like.

`from` is the run's folder. `unfreeze`, in epochs, lets what was taken from it learn layer by layer, from the top: see
`recurra.training.unfreezing`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra import config as configuration
from recurra import registry
from recurra.config import Config
from recurra.errors import ConfigError, did_you_mean

KEYS = ("from", "unfreeze")
FREE = ("bidirectional", "merge")
"""Settings of a core that may be others than the run's: one that reads in both directions takes the run's for one."""
OWN = ("dropout", "recurrent_dropout", "zoneout", "variational", "weight_dropout", "init_range", "backend")
"""Settings of a core that change no weight's shape or meaning. They stay the recipe's."""
LIMITS = ("min_count", "max_size")
"""Settings of a vocabulary that say how many symbols are known."""
NUMBERS = ("input", "embedder", "core")
"""The sections that a model which reads numbers has of the run that it starts from, but for what is set beside them."""
SPLITS: dict[str, dict[str, Any]] = {
    "word": {"split": "space", "lower": False, "digits": False},
    "character": {"split": "characters", "lower": False, "digits": False},
}
"""How a vocabulary of tokens finds the symbols of a language model's vocabulary, where that says nothing else."""


@dataclass(frozen=True)
class Start:
    """What `[init]` says."""

    path: Path
    unfreeze: float | None = None
    """Epochs from one layer to the next; None: all learn from the beginning."""


def start_of(config: Config) -> Start | None:
    """What `[init]` says, None where it is not there; looks for no file. Raises `ConfigError` for a wrong one."""
    table = config.get("init", {})
    for key in table:
        if key not in KEYS:
            raise ConfigError(f"unknown key init.{key}{did_you_mean(key, KEYS)} Keys: {', '.join(KEYS)}.")
    path, unfreeze = table.get("from"), table.get("unfreeze")
    if path is None and unfreeze is None:
        return None
    if not isinstance(path, str):
        came = "is missing" if path is None else f"= {path!r}, expected a path"
        raise ConfigError(f"init.from {came}. Name the folder of a run: --set init.from=RUN")
    number = isinstance(unfreeze, (int, float)) and not isinstance(unfreeze, bool)
    if unfreeze is not None and not (number and unfreeze > 0):
        raise ConfigError(
            f"init.unfreeze = {unfreeze!r}, expected a number above 0: the epochs after which one more layer learns."
        )
    return Start(Path(path), None if unfreeze is None else float(unfreeze))


def adopt(config: Config, settings: Mapping[str, Any]) -> Config:
    """The config with what the run of `init.from` fixes: symbols, the vectors' width, the core's form; of one that
    reads numbers how they are read, the embedder and the core, but for what is set.

    Raises `ConfigError` for a folder that is no such run, and for `settings` that contradict it.
    """
    start = start_of(config)
    if start is None:
        return config
    run = _config_of(start.path, reads_numbers(config))
    config = copy.deepcopy(config)
    config["init"]["from"] = str(start.path.resolve())
    if reads_numbers(config):
        _check_kind(config, run, start.path)
        for section in NUMBERS:
            config[section] = {**run[section], **_stated(section, config, settings)}
        return config
    changes = {
        "vocabulary": _vocabulary(config["vocabulary"], run["vocabulary"], start.path),
        "embedder": _embedder(config["embedder"], run["embedder"], start.path),
        "core": _core(config["core"], run["core"]),
    }
    for section, (kept, taken) in changes.items():
        stated = _stated(section, config, settings)
        for key in stated.keys() & taken.keys() - {*FREE}:
            if stated[key] != taken[key]:
                raise ConfigError(_contradiction(f"{section}.{key}", stated[key], taken[key], start.path))
        whole = {**kept, **taken, **stated}
        set_ = {key: value for key, value in whole.items() if value is not None and key != "kind"}
        config[section] = {"kind": whole["kind"], **set_}
    return config


def reads_numbers(config: Config) -> bool:
    """Whether the input is numbers, which have no vectors to take."""
    kind = config.get("input", {}).get("kind")
    return kind is not None and not registry.has_method("codec", kind, "pieces")


def told(config: Config) -> str:
    """A sentence about what `adopt` took over."""
    shown = {
        "vocabulary": ("split", "lower", "digits"),
        "embedder": ("size",),
        "core": ("cell", "hidden_size", "num_layers", "bidirectional"),
    }
    said = [
        f"{section}.{key} = {str(value).lower() if isinstance(value, bool) else value}"
        for section, keys in shown.items()
        for key in keys
        if (value := config[section].get(key)) is not None
    ]
    return f"Its form is that of the run it starts from: {', '.join(said)}."


def as_started(config: Config, started: Config, settings: Mapping[str, Any]) -> Config:
    """The config of a run that goes on: what it took over when it `started`, so that the other run is not needed."""
    start = start_of(config)
    if start is None or "init" not in started:
        return config
    config = copy.deepcopy(config)
    config["init"]["from"] = str(start.path.resolve())
    for section in NUMBERS if reads_numbers(config) else ("vocabulary", "embedder", "core"):
        config[section] = {**started[section], **_stated(section, config, settings)}
    return config


def _stated(section: str, config: Config, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a section that are set beside the recipe, with their values."""
    names = (name.split(".") for name in settings)
    return {name[1]: config[section].get(name[1]) for name in names if name[0] == section}


def symbols_of(config: Config) -> list[str]:
    """The symbols of the run that the config starts from, without those for unknown ones and line ends."""
    from recurra.data.codecs.characters import UNKNOWN_CHARACTER  # not before there are such symbols
    from recurra.data.codecs.file import find, load
    from recurra.data.codecs.word import UNKNOWN_WORD

    start = start_of(config)
    if start is None or reads_numbers(config):
        return []
    vocabulary = load(find(start.path))["input"]
    marks = {UNKNOWN_WORD, UNKNOWN_CHARACTER, getattr(vocabulary, "end_of_line", "\n")}
    return [symbol for symbol in vocabulary.symbols if symbol not in marks]


def _config_of(path: Path, numbers: bool = False) -> Config:
    """The config of a language model's run, or of one that reads `numbers`. Raises `ConfigError` where the folder is
    none, or has no weights yet."""
    if not (path / "config.toml").is_file():
        others = [folder.parent.name for folder in path.parent.glob("*/config.toml")]
        raise ConfigError(
            f"init.from = {str(path)!r} is no run{did_you_mean(path.name, others)} Name the folder that `recurra train "
            f"{'RECIPE' if numbers else 'word-lm-small'} … --out` made."
        )
    from recurra.data.codecs.file import find

    run = configuration.load_recipe(path / "config.toml")
    files = (find(path), path / "model.safetensors")
    missing = next((file.name for file in files if not file.is_file()), None)
    if missing is not None:
        raise ConfigError(
            f"init.from = {str(path)!r} has no {missing}, so there are no weights to start from. A training writes it "
            "within its first minute: wait, or copy the whole folder."
        )
    if numbers:
        return run
    task = run.get("task", {}).get("kind")
    if task not in registry.names("task") or not registry.has_method("task", task, "measure"):
        raise ConfigError(
            f"init.from = {str(path)!r} is a run of the task {task!r}, expected a language model's. Train one: recurra "
            "train word-lm-small, or char-lm"
        )
    return run


def _check_kind(config: Config, run: Config, path: Path) -> None:
    """Refuse a run that reads something else."""
    mine, theirs = config["input"]["kind"], run.get("input", {}).get("kind", "symbols")
    if mine != theirs:
        raise ConfigError(
            f"init.from = {str(path)!r} reads {theirs}, this model {mine}. Start from a run that reads {mine}."
        )


Change = tuple[dict[str, Any], dict[str, Any]]
"""Of a section: what stays of the recipe's, and what is the run's; None there: not set."""


def _vocabulary(mine: Mapping[str, Any], theirs: Mapping[str, Any], path: Path) -> Change:
    """Symbols are found in the run's way; how many of them are known stays the recipe's."""
    limits = {key: mine[key] for key in LIMITS if key in mine}
    if _reads(mine["kind"]) == _reads(theirs["kind"]):
        same = mine["kind"] == theirs["kind"]
        return limits if same else {}, {key: value for key, value in theirs.items() if key not in LIMITS}
    if theirs["kind"] not in SPLITS:
        raise ConfigError(
            f"init.from = {str(path)!r} reads by {theirs['kind']}, which no sequence that comes one by one is read by. "
            "Start from a model of words or characters."
        )
    if mine.get("vectors") is not None:
        raise ConfigError(
            "vocabulary.vectors and init.from both say what the words' vectors start from. Keep one of them."
        )
    reading = SPLITS[theirs["kind"]]
    return limits, {"kind": "tokens", **{key: theirs.get(key, default) for key, default in reading.items()}}


def _embedder(mine: Mapping[str, Any], theirs: Mapping[str, Any], path: Path) -> Change:
    """A vector for every symbol has the run's width; all else stays the recipe's."""
    if "size" not in registry.defaults("embedder", mine["kind"]) or _sums(mine["kind"]):
        raise ConfigError(
            f"embedder.kind = {mine['kind']!r} has no vector for every symbol, which init.from = {str(path)!r} would "
            "start. Set embedder.kind = 'symbols' or 'words'."
        )
    if _sums(theirs["kind"]):
        raise ConfigError(
            f"init.from = {str(path)!r} has an embedder of the kind {theirs['kind']!r}, whose vectors are sums that no "
            "other embedder starts from. Train the language model with embedder.kind = 'symbols'."
        )
    return dict(mine), {"size": {**registry.defaults("embedder", theirs["kind"]), **theirs}.get("size")}


def _sums(kind: str) -> bool:
    """Whether an embedder makes a symbol's vector of others, and asks for what the symbols are."""
    return registry.has_method("embedder", kind, "describe")


def _core(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Change:
    """The run's core with the recipe's regularisation; it may be one way of a core that reads both ways apart."""
    kind = theirs["kind"]
    if (mine["kind"], kind) == ("both-ways", "recurrent"):
        shared = registry.defaults("core", "both-ways").keys() - {*OWN}
        given = registry.defaults("core", kind) | dict(theirs)
        taken = {key: value for key, value in given.items() if key in shared or (key == "equations" and value)}
        return {key: value for key, value in mine.items() if key in OWN}, {"kind": "both-ways", **taken}
    known = registry.defaults("core", kind)
    kept = {key: value for key, value in mine.items() if key in OWN and (key in known or mine["kind"] == kind)}
    form = {key: theirs.get(key, default) for key, default in known.items()} | dict(theirs)
    return kept, {key: value for key, value in form.items() if key not in OWN}


def _contradiction(name: str, given: Any, value: Any, path: Path) -> str:
    written = "none" if value is None else str(value).lower() if isinstance(value, bool) else value
    return (
        f"{name} = {given!r}, but what is taken from the run {path} wants {value!r}. Leave it away, set "
        f"{name}={written}, or start from another run."
    )


def _reads(kind: str) -> str:
    from recurra.data.codecs.contract import forms_of  # which loads numpy

    return "examples" if "tokens" in forms_of(kind) else "text"
