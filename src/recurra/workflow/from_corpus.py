"""`data.corpus`: what of a config follows from the corpus that is trained from. Needs no torch; numpy for a corpus."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra import registry
from recurra.config import Config
from recurra.errors import ConfigError, DataError

if TYPE_CHECKING:
    from recurra.data.corpus.index import Index
    from recurra.data.fields import Codecs

ADOPTED = ("reader", "vocabulary", "input", "target")
"""The sections that a corpus fixes."""
INSTEAD = ("train", "valid", "test", "set")
"""The keys of `[data]` in whose place a corpus stands."""


def adopt(config: Config, settings: Mapping[str, Any]) -> Config:
    """The config with what its corpus fixes: how texts are read and which symbols they are; as it is without one.

    Raises `DataError` for a folder that is no corpus, or not whole, `ConfigError` for files beside it, for a recipe of
    another kind than it was encoded for, and for `settings` that contradict it.
    """
    path = config.get("data", {}).get("corpus")
    if path is None:
        return config
    if not isinstance(path, str):
        raise ConfigError(f"data.corpus = {path!r}, expected a path. Name the folder of a corpus.")
    from recurra.data.corpus.index import read_index  # with numpy, which other configs do without

    config = copy.deepcopy(config)
    if "data.corpus" in settings and "data.set" not in settings:
        config["data"].pop("set", None)  # a recipe's own
    for key in INSTEAD:
        if config["data"].get(key):
            raise ConfigError(
                f"data.corpus = {path!r} holds all data, so data.{key} (files on the command line, --valid or --test) "
                "has no place beside it. Leave one of them away."
            )
    for name in settings:
        if name.startswith("data.") and name not in ("data.corpus", "data.set"):
            raise ConfigError(f"{name} says how data are cut, which was done when {path} was encoded. Leave it away.")
    config["data"]["corpus"] = str(Path(path).resolve())
    index = read_index(Path(path))
    _check_kinds(config, index, path)
    for section in ADOPTED:
        theirs = index.sections.get(section)
        if theirs is None:
            continue
        for name, value in settings.items():
            first, _, key = name.partition(".")
            if first == section and theirs.get(key, _default(section, theirs, key)) != value:
                raise _contradiction(name, value, theirs.get(key), path)
        config[section] = dict(theirs)
    for key, value in index.settled.items():
        if settings.get(f"task.{key}", value) not in (value, "auto"):
            raise _contradiction(f"task.{key}", settings[f"task.{key}"], value, path)
        config["task"][key] = value
    return config


def check_fields(index: Index, codecs: Codecs) -> None:
    """Refuse a corpus whose fields, or their codecs, are others than those that a model learns from."""
    needed = {name for name, field in codecs.fields.items() if field.learned or not field.of} | {"input"}
    wanted = {name: codecs[name].record()["kind"] for name in codecs if name in needed or name in index.codecs}
    if index.codecs == wanted:
        return
    mine, theirs = ({name: f"{name} ({kind})" for name, kind in each.items()} for each in (wanted, index.codecs))
    raise DataError(
        f"{index.folder} holds the fields {', '.join(theirs.values())}, expected {', '.join(mine.values())}, which "
        "this recipe learns from as it is set. Train as it was encoded, or encode anew with the same settings."
    )


def _check_kinds(config: Config, index: Index, path: str) -> None:
    """Refuse a recipe of another task, or another kind of vocabulary."""
    for section in ("task", *ADOPTED[1:]):  # how files were read matters no more
        mine, theirs = (each.get(section, {}).get("kind") for each in (config, index.sections))
        if mine != theirs:
            fields = ", ".join(index.fields)
            move = "" if section == "task" or theirs is None else f"--set {section}.kind={theirs}, "
            raise ConfigError(
                f"{path} was encoded with {section}.kind = {_said(theirs)} (its fields: {fields}), this recipe has "
                f"{section}.kind = {_said(mine)}. Train as it was encoded ({move}or its recipe), or encode anew: "
                "recurra encode …"
            )
    long = bool(registry.find("batching", config["batching"]["kind"]).in_pieces)
    if long != index.long:
        what = ("many examples", "one long text")
        raise ConfigError(
            f"{path} is {what[index.long]}, but batching.kind = {config['batching']['kind']!r} reads {what[long]}. Set "
            "another batching.kind, or encode anew with this one."
        )


def _default(section: str, theirs: Mapping[str, Any], key: str) -> Any:
    kind = "reader" if section == "reader" else "codec"
    return registry.defaults(kind, theirs["kind"]).get(key)


def _said(value: Any) -> str:
    return "none" if value is None else repr(value)


def _contradiction(name: str, given: Any, value: Any, path: str) -> ConfigError:
    return ConfigError(
        f"{name} = {given!r}, but {path} was encoded with {_said(value)}. Leave it away, or encode anew: recurra "
        f"encode … --set {name}={given}"
    )
