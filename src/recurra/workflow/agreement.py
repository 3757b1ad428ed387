"""Whether parts of a recipe go together that never see each other: asked before any data are read."""

from __future__ import annotations

from typing import Any

from recurra import registry
from recurra.config import Config
from recurra.errors import ConfigError

READINGS = {
    "text": "one long text",
    "examples": "sentences that come one by one",
    "labels": "the names of labels",
}
"""What a vocabulary or batching is for: its attribute `reads`, "text" where it has none."""


def check_agreement(config: Config, embedder: Any, core: Any, task: Any) -> None:
    """Raise `ConfigError` for a vocabulary, batching, reader, embedder or baseline that is for tasks of another kind,
    and for a pooling that the core cannot serve."""
    wanted = "text" if task.needs == ("text",) else "examples"
    name = config["task"]["kind"]
    for section in ("vocabulary", "batching"):
        kind = config[section]["kind"]
        reads = _reads(section, kind)
        if reads != wanted:
            fitting = [other for other in registry.names(section) if _reads(section, other) == wanted]
            raise ConfigError(
                f"{section}.kind = {kind!r} is for {READINGS[reads]}, but the task {name!r} reads {READINGS[wanted]}. "
                f"Set {section}.kind = {' or '.join(repr(other) for other in fitting)}."
            )
    reader = config["reader"]["kind"]
    gives = registry.find("reader", reader).fields
    missing = [field for field in task.needs[1:] if field not in gives]
    if missing:
        raise ConfigError(
            f"reader.kind = {reader!r} gives {' and '.join(gives)}, but the task {name!r} learns "
            f"{' and '.join(task.needs[1:])}. Name a format with {missing[0]}: {', '.join(readers_of(missing[0]))}."
        )
    _check_pooling(core, task)
    if wanted == "text" and getattr(embedder, "needs_characters", False):
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


def readers_of(field: str) -> list[str]:
    """The readers that give a field, by name."""
    return [
        name
        for name in registry.names("reader")
        if name != "auto" and field in getattr(registry.find("reader", name), "fields", ())
    ]


def _check_pooling(core: Any, task: Any) -> None:
    """Refuse the last state as that of the whole sequence where a core's last state has not seen it."""
    setting = "intent_pooling" if getattr(task, "intent", False) else "pooling"
    if getattr(task, setting, None) == "last" and not core.causal and not core.halves:
        raise ConfigError(
            f"task.{setting} = 'last' wants the last state of each direction, but this core looks ahead without "
            "keeping its directions apart. Pool by 'max', 'mean' or 'attention', or set core.merge = 'concat' or "
            "core.causal = true where it has one of them."
        )


def _reads(section: str, kind: str) -> str:
    reads: str = getattr(registry.find(section, kind), "reads", "text")
    return reads
