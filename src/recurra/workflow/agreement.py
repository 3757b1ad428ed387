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


def check_agreement(config: Config, embedder: Any, task: Any) -> None:
    """Raise `ConfigError` for a vocabulary, batching, embedder or baseline that is for tasks of another kind."""
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


def _reads(section: str, kind: str) -> str:
    reads: str = getattr(registry.find(section, kind), "reads", "text")
    return reads
