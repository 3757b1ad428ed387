"""A word on the command line that is no option of a training, and the setting that it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from recurra import config, registry
from recurra.errors import RecurraError
from recurra.training.settings import Training

ALSO_CALLED = {
    "lr": "learning_rate",
    "epoch": "epochs",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "batch": "size",
    "batch_size": "size",
    "bs": "size",
    "bptt": "steps",
    "seq_len": "steps",
    "hidden": "hidden_size",
    "units": "hidden_size",
    "nhid": "hidden_size",
    "layers": "num_layers",
    "nlayers": "num_layers",
    "optimizer": "optimiser",
    "clip": "clip_norm",
    "grad_clip": "clip_norm",
    "early_stopping": "patience",
    "bidir": "bidirectional",
    "emb_size": "size",
    "embedding_size": "size",
    "vocab_size": "max_size",
}
"""Word of other programs → key of ours."""
ONLY_IN = {
    **dict.fromkeys(("batch", "batch_size", "bs", "bptt", "seq_len"), "batching"),
    **dict.fromkeys(("emb_size", "embedding_size"), "embedder"),
    "vocab_size": "vocabulary",
}
"""Words whose key stands in several sections, with the one that they mean."""
STREAMS = "streams"
"""What a batching of long texts calls its size."""


def setting_meant(words: Sequence[str], option: str) -> str | None:
    """The next move for `--epochs 3` among the words of `recurra train`; None where no setting is called so."""
    name, equals, written = option.lstrip("-").partition("=")
    key = name.replace("-", "_")
    if not equals:
        at = words.index(option)
        following = words[at + 1 : at + 2]
        written = following[0] if following and not re.match(r"--|-[a-zA-Z]", following[0]) else "…"
    found = _settings(words[1:], key)
    if not found:
        return None
    named = " or ".join(f"--set {setting}={written}" for setting in found)
    return f"Unknown option: --{name}. It is a setting of the recipe: {named}"


def _settings(words: Sequence[str], key: str) -> list[str]:
    """The dotted names of the settings that a key may mean, of the recipe among the words if there is one."""
    sections = _sections(words)
    section, inner = re.split(r"[._]", f"{key}_", maxsplit=1)
    if inner[:-1] in sections.get(section, ()):
        return [f"{section}.{inner[:-1]}"]
    wanted, only = ALSO_CALLED.get(key, key), ONLY_IN.get(key)
    found = [f"{section}.{wanted}" for section, keys in sections.items() if wanted in keys and only in (None, section)]
    if not found and only == "batching" and STREAMS in sections.get("batching", ()):
        return [f"batching.{STREAMS}"]
    return found


def _sections(words: Sequence[str]) -> dict[str, list[str]]:
    """Section → the keys that it may have; `[training]` alone where the words name no recipe."""
    found = {"training": [field.name for field in fields(Training)]}
    recipe: dict[str, Any] = {}
    for word in words:
        if word in config.recipe_names() or (Path(word).suffix == ".toml" and Path(word).is_file()):
            try:
                recipe = config.load_recipe(word)
            except RecurraError:  # which is said when it is trained
                return found
            break
    for section, kind in config.FILLED.items():
        if section == "baseline":  # its keys are called as those of the model, which are meant
            continue
        table = recipe.get(section)
        if isinstance(table, dict) and table.get("kind") in registry.names(kind):
            found[section] = list(registry.arguments(kind, table["kind"]))
    return found
