"""Scores the ASAP essays: five folds, a model for all eight prompts in each, kappa by prompt and then averaged.

    RECURRA_DATA=… python benchmarks/essays.py --runs essay-runs --out benchmarks/results/essays.json

A fold that stands in the file is not trained again, nor a run that is finished in its folder: what was stopped goes on.
The best weights are those of the largest kappa on the fold's validation essays; its test essays decide nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import recurra
from recurra.asking.answering import questions
from recurra.bench.interleaved import machine
from recurra.checkpoint import RunFolder, read_json
from recurra.nn.matched import MatchedSum
from recurra.runs.reading import own_parts
from recurra.tasks.number_scores import number_scores

PUBLISHED = {"LSTM, mean over time": 0.746, "LSTM, attention": 0.731, "10 CNN and 10 LSTM": 0.761, "EASE, BLRR": 0.705}
"""Taghipour & Ng 2016, a model for each prompt, the same folds."""
ALL: Mapping[str, Any] = {
    "vocabulary.vectors": "glove-100d-subset",
    "task.by_scale": True,
    "task.round": 1.0,
    "task.clip": True,
    "task.match_spread": True,
    "training.threads": 1,
}
MODELS: Mapping[str, Mapping[str, Any]] = {
    "network and n-grams": {"training.epochs": 5},
    "network alone": {"task.ngrams": 0, "training.epochs": 10},
}
FOLDS = range(5)


def trained(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The report of a run, trained or gone on with where it is not finished."""
    report = RunFolder(folder).report
    if report.is_file() and "scores" in read_json(report) and not read_json(report).get("unscored"):
        return dict(read_json(report))
    if (folder / "config.toml").is_file():
        return dict(recurra.train(folder, resume=True).report)
    return dict(recurra.train("scorer", out=folder, settings=settings).report)


def fold_of(model: str, fold: int, seed: int, runs: Path) -> dict[str, Any]:
    """What a fold comes to."""
    chosen = {"data.set": f"asap-aes-fold{fold}", **ALL, **MODELS[model], "training.seed": seed}
    report = trained(chosen, runs / f"{model.replace(' ', '-')}-{fold}-{seed}")
    test = report["scores"]["test"]
    written = " ".join(f"--set {name}={json.dumps(value)}" for name, value in chosen.items()).replace('"', "")
    return {
        "valid": report["scores"]["valid"]["model"]["kappa"],
        "test": test["model"]["kappa"],
        "test_by_prompt": {row[0]: row[2] for row in test["tables"]["scales"]["rows"]},
        "baselines": {row["name"]: row["kappa"] for row in test["baseline"]},
        "parameters": test["parameters"],
        "epochs": report["epochs"],
        "minutes": report["minutes"],
        "command": f"recurra train scorer {written}",
    }


def halves(folder: Path) -> dict[str, float]:
    """Kappa on a run's test essays by its network and its n-grams, alone and together, as they are and stretched to the
    validation essays."""
    run = recurra.load(folder, device="cpu")
    model, parts = run.model, own_parts(run.config)
    task, names = model.task, model.codecs["scale"].symbols
    z, y, g = {}, {}, {}
    for part in ("valid", "test"):
        examples = getattr(parts, part)
        asked = questions([model], examples)
        z[part] = torch.zeros(len(examples), 2, len(names))
        with torch.no_grad():
            for places, batch in zip(asked.passes[0].order, asked.passes[0], strict=True):
                said = task.ask(model.embedder, model.core, batch)
                z[part][places] = torch.stack((said["network_z"], said["ngrams_z"]), 1)
        y[part] = torch.tensor([float(each["number"]) for each in examples], dtype=torch.float64)
        g[part] = torch.tensor([names.index(each["scale"]) for each in examples])
    found = {}
    for name, opinions in (("network", [0]), ("n-grams", [1]), ("both", [0, 1])):
        for spread in (False, True):
            together = MatchedSum(len(opinions), len(names))
            for k in range(len(names)):
                own = g["valid"] == k
                truth = (y["valid"][own] - task.middle[k].double()) / task.spread[k].double()
                together.calibrate(k, z["valid"][own][:, opinions, k], truth, spread)
            numbers = task._in_units(together([z["test"][:, each] for each in opinions]))
            said = numbers[torch.arange(len(numbers)), g["test"]].tolist()
            scales = [names[k] for k in g["test"].tolist()]
            kappa = number_scores(y["test"].tolist(), said, scales, task.round).metrics["kappa"]
            found[f"{name}, stretched" if spread else name] = kappa
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS][:1])
    parser.add_argument("--folds", type=int, nargs="+", default=[*FOLDS])
    parser.add_argument("--halves", type=Path, metavar="RUN", help="what the parts of a finished run are worth alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("essay-runs"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/essays.json"))
    arguments = parser.parse_args()
    if arguments.halves:
        print(json.dumps(halves(arguments.halves), indent=1))
        return
    results = json.loads(arguments.out.read_text(encoding="utf-8"))["results"] if arguments.out.is_file() else {}
    for model in arguments.models:
        for fold in arguments.folds:
            found = results.setdefault(model, {})
            if str(fold) not in found:
                found[str(fold)] = fold_of(model, fold, arguments.seed, arguments.runs)
                write(arguments.out, results)
            row = found[str(fold)]
            print(f"{model}, fold {fold}: kappa {row['test']:.4f} (valid {row['valid']:.4f})", flush=True)
        folds = [row["test"] for row in results[model].values()]
        print(f"{model}: mean of {len(folds)} folds {statistics.mean(folds):.4f}", flush=True)


def write(path: Path, results: Mapping[str, Any]) -> None:
    """The results so far, with the means over folds."""
    means = {model: statistics.mean(row["test"] for row in rows.values()) for model, rows in results.items() if rows}
    what = "quadratic weighted kappa of ASAP essays, by prompt, then the mean over prompts, then over folds"
    found = {"machine": machine(), "what": what, "published": PUBLISHED, "mean_test": means}
    path.write_text(json.dumps({**found, "results": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
