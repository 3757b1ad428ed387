"""Sentences a second of the labelling recipes, in training and in prediction.

    RECURRA_DATA=… python benchmarks/labelling.py --out benchmarks/results/labelling.json

Training: the median over the log's lines (each a stretch of steps between validations) of one epoch after the first.
Prediction: the test part, reading and encoding left out, scoring left out; the median of three.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import recurra
from recurra.bench.interleaved import machine
from recurra.checkpoint import RunFolder

RUNS = {
    "slots, ATIS": ("slots", {"data.set": "atis"}),
    "ner, CoNLL-2003": ("ner", {"data.set": "conll2003"}),
    "tagger, UD English-EWT": ("tagger", {"data.set": "ud-english-ewt"}),
    "classifier, TREC": ("classifier", {"data.set": "trec", "task.ngrams": 0}),
}


def measure(recipe: str, settings: dict[str, Any], threads: int, folder: Path) -> dict[str, float]:
    """Sentences a second."""
    limits = {"training.epochs": 2, "training.threads": threads, "training.log_every": 20}
    run: Any = recurra.train(recipe, out=folder, settings={**settings, **limits})
    lines = [json.loads(line) for line in RunFolder(folder).metrics.read_text(encoding="utf-8").splitlines()]
    speed = statistics.median(line["symbols_per_second"] for line in lines if line["epoch"] > 1 and "loss" in line)
    facts = run.report
    each = 1.0 if run.model.task.unit == "examples" else facts["examples"]["train"] / facts["tokens"]["train"]
    found = [run.evaluate(baseline=False, threads=threads)["examples_per_second"] for _ in range(3)]
    return {"training": speed * each, "prediction": statistics.median(found)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out")
    arguments = parser.parse_args()
    results = []
    for name, (recipe, settings) in RUNS.items():
        for threads in arguments.threads:
            with tempfile.TemporaryDirectory() as folder:
                found = measure(recipe, settings, threads, Path(folder, "run"))
            results.append({"run": name, "threads": threads, **found})
            print(f"{name}, {threads} threads: " + ", ".join(f"{n} {v:,.0f} sentences/s" for n, v in found.items()))
    if arguments.out:
        found = {"machine": machine(), "what": "sentences a second", "results": results}
        Path(arguments.out).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
