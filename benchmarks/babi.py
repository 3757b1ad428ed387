"""Trains the twenty bAbI tasks one by one, attention over sentences beside a plain LSTM over the same words.

    RECURRA_DATA=… python benchmarks/babi.py --runs babi-runs --out benchmarks/results/babi.json

Of several seeds the one that is best on the validation part is reported; the test part decides nothing. A task that
stands in the file is not trained again, nor a run that is finished in its folder: what was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import recurra
from recurra.bench.interleaved import machine
from recurra.checkpoint import RunFolder, read_json

PUBLISHED = (50, 20, 20, 61, 70, 48, 49, 45, 64, 44, 72, 74, 94, 27, 21, 23, 51, 52, 8, 91)
"""Test accuracy of the LSTM of Weston et al. 2015, task by task, 1,000 training questions."""
MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "attention": ("answer", {}),
    "lstm": (
        "classifier",
        {
            "vocabulary.min_count": 1,
            "batching.longest": 5000,  # nothing is cut: the question stands at the end
            "core.hidden_size": 64,
            "core.bidirectional": False,
            "task.pooling": "last",
            "task.ngrams": 0,
            "training.epochs": 30,
        },
    ),
}
"""Recipe and settings; the LSTM reads story and question as one text, and answers from its last state."""


def trained(recipe: str, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The report of a run, trained or gone on with where it is not finished."""
    report = RunFolder(folder).report
    if report.is_file() and "scores" in read_json(report):
        return dict(read_json(report))
    if (folder / "config.toml").is_file():
        return dict(recurra.train(folder, resume=True).report)
    return dict(recurra.train(recipe, out=folder, settings=settings).report)


def best_of(model: str, number: int, seeds: Sequence[int], runs: Path) -> dict[str, Any]:
    """What is reported of a model on a task: the run of the seed that is best on the validation part."""
    recipe, settings = MODELS[model]
    found = []
    for seed in seeds:
        chosen = {"data.set": f"babi-qa{number}", "training.threads": 1, "training.seed": seed, **settings}
        report = trained(recipe, chosen, runs / f"{model}-{number}-{seed}")
        scores = {part: report["scores"][part]["model"]["accuracy"] for part in ("valid", "test")}
        written = " ".join(f"--set {name}={json.dumps(value)}" for name, value in chosen.items())
        command = f"recurra train {recipe} {written}".replace('"', "")
        found.append({**scores, "seed": seed, "minutes": report["minutes"]["training"], "command": command})
    best = max(found, key=lambda run: run["valid"])
    minutes = sum(run["minutes"] for run in found)
    return {**best, "minutes": minutes, "valid_of_seeds": {run["seed"]: run["valid"] for run in found}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=list(range(1, 21)))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("babi-runs"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/babi.json"))
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text(encoding="utf-8"))["results"] if arguments.out.is_file() else {}
    for number in arguments.tasks:
        if str(number) not in results:
            results[str(number)] = {
                "attention": best_of("attention", number, arguments.seeds, arguments.runs),
                "lstm": best_of("lstm", number, arguments.seeds[:1], arguments.runs),
                "published_lstm": PUBLISHED[number - 1],
            }
            write(arguments.out, results)
        row = results[str(number)]
        accuracies = "  ".join(f"{name} {row[name]['test']:5.1f} (valid {row[name]['valid']:5.1f})" for name in MODELS)
        print(f"task {number:2}  {accuracies}  published LSTM {row['published_lstm']}", flush=True)
    means = {name: statistics.mean(row[name]["test"] for row in results.values()) for name in MODELS}
    print(f"mean of {len(results)} tasks: " + ", ".join(f"{name} {mean:.1f}" for name, mean in means.items()))


def write(path: Path, results: Mapping[str, Any]) -> None:
    """The results so far, tasks in their order, with their means."""
    ordered = {number: results[number] for number in sorted(results, key=int)}
    means = {name: statistics.mean(row[name]["test"] for row in ordered.values()) for name in MODELS}
    found = {"machine": machine(), "what": "accuracy on bAbI en 1k, trained task by task", "mean_test": means}
    path.write_text(json.dumps({**found, "results": ordered}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
