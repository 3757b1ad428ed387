"""Scores and reports as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.data.files import counted

ROWS = 25
"""A table with more rows than that is printed by `recurra evaluate --tables` only."""


def print_report(run: Path, report: Mapping[str, Any]) -> None:
    """What training found: scores beside the baseline, how they came about, something to look at."""
    if "verdict" in report:
        print(f"\n{report['verdict']}")
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
    if "precision_note" in report:
        print(report["precision_note"])
    if report.get("targets_per_second"):
        print(f"training speed: {report['targets_per_second']:,.0f} {report['unit']} per second")
    for key in ("fitted", "forecast"):
        if key in report:
            print(report[key]["said"])
    for command in report["commands"]:
        print(f"command: {command}")
    if "sample" in report:
        sample = report["sample"]
        print(f"\na sample (temperature {sample['temperature']}, seed {sample['seed']}):\n{sample['text'].strip()}")
    if report.get("texts"):
        print("\nthe first of them, as the model answers them:")
        print("\n".join(report["texts"]))
    given = "FILE" if report.get("asked_by_files") else '"…"'
    print(f"\nThe run is in {run}: recurra predict {run} {given}")


def print_scores(name: str, scored: Mapping[str, Any]) -> None:
    """A table: the model, then its baselines."""
    print(f"{name}: {_size(scored)}")
    for note in scored.get("notes", ()):
        print(note)
    metrics = [metric for metric in scored["model"] if not metric.startswith("unseen_")]  # the notes say which
    rows = [["", "size", *(metric.replace("_", " ") for metric in metrics)]]
    called = f"{scored['runs']} models" if scored.get("runs", 1) > 1 else "model"
    digits = 3 if "symbols" in scored else 2
    rows.append([called, f"{scored['parameters']:,} parameters", *_numbers(scored["model"], metrics, digits)])
    for row in scored.get("adapted", ()):
        rows.append([f"+ {row['name']}", _said(row["settings"]), *_numbers(row, metrics, digits)])
    for row in scored.get("baseline", ()):
        rows.append([row["name"], f"{row['size']:,} {row['unit']}", *_numbers(row, metrics, digits)])
    _print_columns(rows)


def _size(scored: Mapping[str, Any]) -> str:
    """How much was scored, and how fast that went."""
    if "symbols" in scored:
        read = ", read in one stream" if scored.get("streams") == 1 else ""
        if "unit" in scored:
            return f"{scored['symbols']:,} {scored['unit']}{read}"
        return f"{scored['symbols']:,} symbols, {scored['unknown_share']:.2%} unknown{read}"
    tokens = scored["tokens"]
    steps = (
        counted(tokens, scored.get("unit", "tokens").removesuffix("s"))
        if isinstance(tokens, int)
        else " and ".join(f"{count:,} {name}" for name, count in tokens.items()) + " tokens"
    )
    how = f"{scored['search']}: " if "search" in scored else ""
    return (
        f"{counted(scored['examples'], 'example')} of {steps}, {scored['unknown_share']:.2%} unknown; {how}"
        f"{scored['examples_per_second']:,.{1 if how else 0}f} examples answered per second"
    )


def print_adaptation(scored: Mapping[str, Any]) -> None:
    """How the numbers of a model that adapts were chosen, and how long it took; the perplexity of every choice."""
    for row in scored.get("adapted", ()):
        seconds = row["seconds"]
        print(f"\n{row['name']}: {seconds['scoring']:,.1f} s for the text", end="")
        if not row["tried"]:
            print(f", {seconds['tuning']:,.1f} s before it")
            continue
        tuned = f"the first {row['tuned_on']:,} symbols of the validation text"
        print(f"; {seconds['tuning']:,.1f} s for the choice on {tuned}, perplexity:")
        down, across = list(row["tried"][0])[:2]
        table: dict[float, dict[float, float]] = {}
        for each in row["tried"]:
            table.setdefault(each[down], {})[each[across]] = each["perplexity"]
        columns = sorted({value for line in table.values() for value in line})
        rows = [[_word(down), *(f"{_word(across)} {value:g}" for value in columns)]]
        for value, line in table.items():
            rows.append([f"{value:g}", *(_cell(line[column]) if column in line else "–" for column in columns)])
        _print_columns(rows)


def _said(settings: Mapping[str, Any]) -> str:
    """Settings in words: `size 2000, theta 0.3, weight 0.1`."""
    written = (f"{value:g}" if isinstance(value, float) else str(value) for value in settings.values())
    return ", ".join(f"{_word(name)} {value}" for name, value in zip(settings, written, strict=True))


def _word(name: str) -> str:
    return name.replace("_", " ")


def print_tables(scored: Mapping[str, Any], rows: int | None = ROWS) -> None:
    """What the scores are made of, a table per label; those of more than so many rows are left out."""
    for name, table in scored.get("tables", {}).items():
        if rows is None or len(table["rows"]) <= rows:
            print(f"\n{name}:")
            _print_columns([list(table["columns"]), *([_cell(value) for value in row] for row in table["rows"])])


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        print(
            "  ".join([name.ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells, widths[1:], strict=True))]).rstrip()
        )


def _numbers(row: Mapping[str, Any], metrics: Sequence[str], digits: int) -> list[str]:
    return [_cell(row[metric], digits) if metric in row else "–" for metric in metrics]


def _cell(value: Any, digits: int = 2) -> str:
    if isinstance(value, float):  # an error of millivolts in volts has digits, too
        return f"{value:.3g}" if 0 < abs(value) < 10 ** (1 - digits) else f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
