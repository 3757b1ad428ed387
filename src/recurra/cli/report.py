"""Scores and reports as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def print_report(run: Path, report: Mapping[str, Any]) -> None:
    """What training found: scores beside the baseline, how they came about, a sample."""
    for part, scored in report["scores"].items():
        print()
        print_scores(part, scored)
    minutes = report["minutes"]
    print(
        f"\nsplit: {report['split']}\n"
        f"seed {report['seed']}, {report['threads']} threads, {report['device']}, {report['precision']}, "
        f"torch {report['torch']}; {minutes['training']:.1f} minutes of training, "
        f"{minutes['around']:.1f} of reading and scoring"
    )
    for command in report["commands"]:
        print(f"command: {command}")
    sample = report["sample"]
    print(f"\na sample (temperature {sample['temperature']}, seed {sample['seed']}):\n{sample['text'].strip()}")
    print(f'\nThe run is in {run}: recurra predict {run} "…"')


def print_scores(name: str, scored: Mapping[str, Any]) -> None:
    """A table: the model, then the baseline at each of its orders."""
    print(f"{name}: {scored['symbols']:,} symbols, {scored['unknown_share']:.2%} unknown")
    metrics = list(scored["model"])
    rows = [["", "size", *(metric.replace("_", " ") for metric in metrics)]]
    rows.append(["model", f"{scored['parameters']:,} parameters", *_numbers(scored["model"], metrics)])
    for row in scored.get("baseline", ()):
        rows.append([row["name"], f"{row['ngrams']:,} n-grams", *_numbers(row, metrics)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        print(
            "  ".join([name.ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells, widths[1:], strict=True))]).rstrip()
        )


def _numbers(row: Mapping[str, Any], metrics: Sequence[str]) -> list[str]:
    return [f"{row[metric]:,.3f}" for metric in metrics]
