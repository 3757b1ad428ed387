"""Whether parts of a recipe go together that never see each other: asked before any data are read."""

from __future__ import annotations

from typing import Any

from recurra import registry
from recurra.config import FILLED, Config
from recurra.data.codecs.contract import forms_of
from recurra.data.fields import readers_of
from recurra.data.former import new_label_codecs, new_pair_codecs
from recurra.data.readings import load_pypinyin
from recurra.errors import ConfigError
from recurra.serving.poems import check_form
from recurra.serving.run import learns_from
from recurra.tasks.translation_scores import load_sacrebleu
from recurra.types import NeedsFields

SOURCES = {
    "text": "one long text",
    "examples": "sentences that come one by one",
    "labels": "the names of labels",
    "numbers": "numbers",
}
"""What a codec or batching reads."""


def check_agreement(config: Config, embedder: Any, core: Any, task: Any) -> None:
    """Raise `ConfigError` for a vocabulary, batching, reader, embedder or baseline that is for tasks of another kind,
    for sections a task has no use of, and for a pooling that the core cannot serve."""
    if "vocabulary" not in config:
        raise ConfigError("the recipe has no section [vocabulary]. `recurra recipes show char-lm` shows a whole one.")
    wanted = "text" if learns_from(task) == "text" else "examples"
    name = config["task"]["kind"]
    if hasattr(embedder, "describe"):
        load_pypinyin()
    _check_writing(config, task)
    for section in ("vocabulary", "target", "batching"):
        if section not in config:
            continue
        kind, filled = config[section]["kind"], FILLED[section]
        reads = _reads(filled, kind)
        if reads != wanted:
            fitting = [other for other in registry.names(filled) if _reads(filled, other) == wanted]
            raise ConfigError(
                f"{section}.kind = {kind!r} is for {SOURCES[reads]}, but the task {name!r} reads {SOURCES[wanted]}. "
                f"Set {section}.kind = {' or '.join(repr(other) for other in fitting)}."
            )
    _check_sentences(config, task)
    if learns_from(task) == "labels":
        new_label_codecs(config["vocabulary"], False, ())
    reader = config["reader"]["kind"]
    gives = registry.find("reader", reader).fields
    missing = [field for field in task.needs[1:] if field not in gives]
    if missing:
        raise ConfigError(
            f"reader.kind = {reader!r} gives {' and '.join(gives)}, but the task {name!r} learns "
            f"{' and '.join(task.needs[1:])}. Name a format with {missing[0]}: {', '.join(readers_of(missing[0]))}."
        )
    _check_pooling(core, task)
    if wanted == "text" and isinstance(embedder, NeedsFields) and "characters" in embedder.fields:
        raise ConfigError(
            f"embedder.spelling is for the words of sentences that come one by one, but the task {name!r} reads one "
            "long text. Set embedder.spelling = none."
        )
    if config["vocabulary"].get("vectors") is not None and not hasattr(embedder, "adopt"):
        raise ConfigError(
            f"vocabulary.vectors is for an embedder that can start from them, embedder.kind = "
            f"{config['embedder']['kind']!r} cannot. Set embedder.kind = 'words'."
        )
    baseline = config["baseline"]["kind"]
    if baseline not in task.baselines:
        raise ConfigError(f"baseline.kind = {baseline!r}, this task is scored beside {', '.join(task.baselines)}.")
    registry.construct("baseline", config["baseline"])  # which says what it lacks


def _check_writing(config: Config, task: Any) -> None:
    """Refuse what is for tasks that write a target, or for others, and what such a task lacks to be scored."""
    name, reader = config["task"]["kind"], config["reader"]
    if learns_from(task) != "pairs":
        for section in ("target", "search"):
            if section in config:
                raise ConfigError(
                    f"[{section}] is for tasks that write a target for a source, the task {name!r} does not. Leave the "
                    "section away."
                )
        return
    if reader["kind"] == "auto" and reader.get("gives") != "pairs":
        raise ConfigError(
            f"reader.gives = {reader.get('gives', 'labels')!r}, but the task {name!r} learns pairs of source and "
            "target. Set reader.gives = 'pairs', or name the format: --set reader.kind=parallel, pairs or dictionary."
        )
    new_pair_codecs(config["vocabulary"], config.get("target"), joint=task.tied == "all")
    if config.get("search", {}).get("form"):
        check_form(task)
    if task.scores == "translation":
        load_sacrebleu()
    if task.scores == "poems":
        load_pypinyin()


def _check_sentences(config: Config, task: Any) -> None:
    """Refuse a reader of other things for a task that learns from sentences, and of sentences alone for others."""
    reader, name = config["reader"], config["task"]["kind"]
    if learns_from(task) == "sentences":
        if reader["kind"] == "auto" and reader.get("gives") != "sentences":
            raise ConfigError(
                f"reader.gives = {reader.get('gives', 'labels')!r}, but the task {name!r} learns from sentences. Set "
                "reader.gives = 'sentences', or name the format: --set reader.kind=lines"
            )
        if reader["kind"] != "auto" and not _gives_sentences(reader["kind"]):
            raise ConfigError(
                f"reader.kind = {reader['kind']!r} gives no sentences one by one, but the task {name!r} learns from "
                "them. For a sentence in each line: --set reader.kind=lines"
            )
    elif reader["kind"] == "auto" and reader.get("gives") == "sentences":
        raise ConfigError(
            f"reader.gives = 'sentences', but the task {name!r} learns {' and '.join(task.needs[1:]) or 'from a text'}"
            ". Leave reader.gives away."
        )


def _gives_sentences(kind: str) -> bool:
    """Whether what a reader gives comes as texts or tokens one by one."""
    fields = registry.find("reader", kind).fields
    return kind != "text" and bool({"text", "tokens"} & fields.keys()) and "source" not in fields


def _check_pooling(core: Any, task: Any) -> None:
    """Refuse the last state as that of the whole sequence where a core's last state has not seen it."""
    setting = "intent_pooling" if getattr(task, "intent", False) else "pooling"
    if getattr(task, setting, None) == "last" and not core.causal and not core.halves:
        raise ConfigError(
            f"task.{setting} = 'last' wants the last state of each direction, but this core looks ahead without "
            "keeping its directions apart. Pool by 'max', 'mean' or 'attention', or set core.merge = 'concat' or "
            "core.causal = true where it has one of them."
        )


def _reads(filled: str, kind: str) -> str:
    """What a batching or a codec reads, a key of `SOURCES`."""
    if filled == "batching":
        return "text" if registry.find(filled, kind).in_pieces else "examples"
    forms = forms_of(kind)
    named = {("text",): "text", ("text", "tokens"): "examples"}
    return named.get(forms) or ("labels" if {*forms} & {"tags", "label", "labels"} else "numbers")
