"""Whether a model came out below its baseline, and what is most likely to help, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra import registry
from recurra.config import Config
from recurra.data.files import counted
from recurra.training.log import Result


def verdict(scores: Mapping[str, Any], metric: tuple[str, str], result: Result, config: Config) -> str | None:
    """A sentence or two for a model that its best baseline is better than; None for one that is not worse.

    `scores`: those of the parts, of which the last with baselines counts, as in a report; `metric`: the main one of the
    task, and "min" or "max".
    """
    name, direction = metric
    sign = 1 if direction == "min" else -1
    for part, scored in reversed([*scores.items()]):
        rows = [row for row in scored.get("baseline", ()) if row.get(name) is not None]
        if not rows or scored["model"].get(name) is None:
            continue
        best, own = min(rows, key=lambda row: sign * row[name]), scored["model"][name]
        if sign * own <= sign * best[name]:
            return None
        return (
            f"This model is worse than a baseline: {name.replace('_', ' ')} {own:.4g} on {part}, {best['name']} "
            f"{best[name]:.4g}. {_help(result, config)}"
        )
    return None


def _help(result: Result, config: Config) -> str:
    """The next move that the validations point to."""
    if len(result.history) < 2 or result.best_step == result.step:
        over = "the time" if result.reason == "time" else "the training"
        seen = "had been made once at most" if len(result.history) < 2 else "was still getting better"
        found = (
            f"Validation {seen} when {over} was over ({counted(result.step, 'update')}): train longer (--resume with "
            "more training.epochs or --max-minutes), or a smaller model, which makes more updates in the same time."
        )
    else:
        found = (
            f"Validation was best after {result.best_step:,} of {result.step:,} updates and not since: more training "
            "does not help as it is set. Try a smaller model or more dropout (recurra recipes shows the keys)."
        )
    vocabulary = config.get("vocabulary", {})
    takes = "vectors" in registry.defaults("codec", vocabulary["kind"]) if vocabulary else False
    if takes and not vocabulary.get("vectors") and registry.has_method("embedder", config["embedder"]["kind"], "adopt"):
        found += " Ready word vectors may help, too: --set vocabulary.vectors=FILE."
    return found
