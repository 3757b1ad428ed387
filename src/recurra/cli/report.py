"""Scores and reports as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recurra.data.files import counted

ROWS = 25
"""A table with more rows than that is printed by `recurra evaluate --tables` only."""


def print_report(run: Path, report: Mapping[str, Any]) -> None:
    """What training found: scores beside the baseline, how they came about, something to look at."""
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
    if report.get("targets_per_second"):
        print(f"training speed: {report['targets_per_second']:,.0f} {report['unit']} per second")
    for command in report["commands"]:
        print(f"command: {command}")
    if "sample" in report:
        sample = report["sample"]
        print(f"\na sample (temperature {sample['temperature']}, seed {sample['seed']}):\n{sample['text'].strip()}")
    if "shown" in report and "target" in report["shown"][0]:
        print("\nthe first of them, as the model writes them:")
        print_shown(report["shown"])
    elif "shown" in report:
        print("\nthe first of them, as the model labels them:")
        print_answers(report["shown"])
    print(f'\nThe run is in {run}: recurra predict {run} "…"')


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
    for row in scored.get("baseline", ()):
        rows.append([row["name"], f"{row['size']:,} {row['unit']}", *_numbers(row, metrics, digits)])
    _print_columns(rows)


def _size(scored: Mapping[str, Any]) -> str:
    """How much was scored, and how fast that went."""
    if "symbols" in scored:
        return f"{scored['symbols']:,} symbols, {scored['unknown_share']:.2%} unknown"
    if "search" in scored:
        source, target = scored["tokens"]["source"], scored["tokens"]["target"]
        return (
            f"{counted(scored['examples'], 'pair')} of {source:,} and {target:,} symbols, "
            f"{scored['unknown_share']:.2%} unknown; {scored['search']}: "
            f"{scored['examples_per_second']:,.1f} sources per second"
        )
    return (
        f"{counted(scored['examples'], 'example')} of {counted(scored['tokens'], 'token')}, "
        f"{scored['unknown_share']:.2%} unknown; "
        f"{scored['examples_per_second']:,.0f} examples labelled per second"
    )


def print_tables(scored: Mapping[str, Any], rows: int | None = ROWS) -> None:
    """What the scores are made of, a table per label; those of more than so many rows are left out."""
    for name, table in scored.get("tables", {}).items():
        if rows is None or len(table["rows"]) <= rows:
            print(f"\n{name}:")
            _print_columns([list(table["columns"]), *([_cell(value) for value in row] for row in table["rows"])])


def print_answers(answers: Iterable[Mapping[str, Any]]) -> None:
    """A line a label and its text, or a text's segments; for tags a line a token, a blank line after each sentence."""
    for answer in answers:
        if "segments" in answer:
            print(" ".join(answer["segments"]))
            continue
        labels = answer.get("labels", [answer["label"]] if "label" in answer else [])
        if "tags" not in answer:
            print(f"{' '.join(labels) or '(none)'}\t{' '.join(answer['tokens'])}")
            continue
        if "label" in answer:
            print(f"# label = {answer['label']}")
        for token, tag in zip(answer["tokens"], answer["tags"], strict=True):
            print(f"{token}\t{tag}")
        print()


def print_targets(answers: Iterable[Mapping[str, Any]]) -> None:
    """A line a source, empty for an empty one; of several hypotheses a line each, its score first, then a blank line;
    below a target, where it was asked for, its words and those they come from: `Ein←A  Sonnenschirm←beach+umbrella`."""
    for answer in answers:
        several = "hypotheses" in answer
        for hypothesis in answer.get("hypotheses", [answer]):
            score = f"{hypothesis['score']:.4f}\t" if several else ""
            print(score + one_line(hypothesis["target"]))
            if hypothesis.get("aligned"):
                print("  ".join(f"{word}←{'+'.join(of)}" for word, of in hypothesis["aligned"]))
        if several:
            print()


def print_shown(answers: Iterable[Mapping[str, Any]]) -> None:
    """Source, target and reference below each other."""
    for answer in answers:
        print(f"  {one_line(answer['source'])}\n→ {one_line(answer['target'])}")
        for reference in answer["references"]:
            print(f"= {one_line(reference)}")
        print()


def one_line(text: str | Sequence[str]) -> str:
    """A text, or its tokens, without line ends: line k of the output is the answer to line k."""
    whole = text if isinstance(text, str) else " ".join(text)
    return whole.replace("\r", " ").replace("\n", " ")


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        print(
            "  ".join([name.ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells, widths[1:], strict=True))]).rstrip()
        )


def _numbers(row: Mapping[str, Any], metrics: Sequence[str], digits: int) -> list[str]:
    return [_cell(row[metric], digits) if metric in row else "–" for metric in metrics]


def _cell(value: Any, digits: int = 2) -> str:
    return (
        f"{value:,.{digits}f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
