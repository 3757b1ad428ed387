"""Whether a model came out below its baseline, and what is most likely to help, from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recurra import registry
from recurra.config import Config
from recurra.diagnostics.curves import Curves
from recurra.runs.scoring import OWN


def verdict(scores: Mapping[str, Any], metric: tuple[str, str], seen: Curves, config: Config) -> str | None:
    """A sentence or two for a model that its best baseline is better than; None for one that is not worse.

    `scores`: those of the parts, of which the last with baselines counts, as in a report; `metric`: the main one of the
    task, and "min" or "max"; `seen`: how the training went.
    """
    name, direction = metric
    sign = 1 if direction == "min" else -1
    for part, scored in reversed([*scores.items()]):
        rows = [row for row in scored.get("baseline", ()) if row.get(name) is not None and OWN not in row]
        if not rows or scored["model"].get(name) is None:
            continue
        best, own = min(rows, key=lambda row: sign * row[name]), scored["model"][name]
        if sign * own <= sign * best[name]:
            return None
        return (
            f"This model is worse than a baseline: {name.replace('_', ' ')} {own:.4g} on {part}, {best['name']} "
            f"{best[name]:.4g}. {seen.conclusion} {_help(seen, config)}"
        )
    return None


def _help(seen: Curves, config: Config) -> str:
    """The next move that the curves point to."""
    move = (
        "Train longer (--resume with more training.epochs or --max-minutes), or a smaller model, which makes more "
        "updates in the same time."
        if seen.still_better
        else "Try a smaller model or more dropout."
    )
    vocabulary = config.get("vocabulary", {})
    takes = "vectors" in registry.defaults("codec", vocabulary["kind"]) if vocabulary else False
    if takes and not vocabulary.get("vectors") and registry.has_method("embedder", config["embedder"]["kind"], "adopt"):
        move += " Ready word vectors may help, too: --set vocabulary.vectors=FILE."
    counts = registry.defaults("task", config["task"]["kind"]).get("ngrams") == 0
    if counts and vocabulary and not config["task"].get("ngrams"):
        move += " Counting n-grams beside the network is most likely to help: --set task.ngrams=2."
    return move
