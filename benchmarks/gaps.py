"""Forecasts of series with hours taken out: models that are told of the gaps, the same on values filled forward, and on
the whole series.

    nice python benchmarks/gaps.py --runs gaps-runs --out benchmarks/results/gaps.json

Of every series three hours in ten are taken out, whole rows drawn by the seed 1, the first and the last kept. "told":
the rows are put in again as steps in which nothing is seen (reader.every_step), and the model is told (embedder.gaps);
"filled": it is not told, and reads the value last seen; "whole": nothing was taken out. Only what was seen is learnt
from and scored, in all three. Each training is the command line's own, a whole process on one thread. A run that is
finished in the folder `--runs` is not trained again; the file of results is written after every run.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from recurra.bench.interleaved import machine

SHARE, SEED = 0.3, 1
"""Of the hours that are taken out, and of their draw."""
ROWS = {"etth1": 14_400}
"""Twenty months of thirty days, of which 12, 4 and 4 are training, validation and test."""
SERIES = {
    "etth1": ("ETTh1.csv.gz", ["batching.stride=2"]),
    "beijing": (
        "beijing-pm25.csv.gz",
        [
            'reader.time=["year","month","day","hour"]',
            'reader.columns=["pm2.5","DEWP","TEMP","PRES","Iws"]',
            "batching.stride=6",
        ],
    ),
}
"""Of every second window, or sixth, it is learnt and scored."""
ALL = ["reader.missing=seen", "reader.every_step=true"]
MODELS: dict[str, list[str]] = {
    "A": [
        *("embedder.kind=numbers", "embedder.size=none", "task.decode=direct", "core.cell=gru-d"),
        *("core.hidden_size=64", "task.look_back=48", "task.horizon=6", "task.dropout=0.1"),
        *("training.epochs=10", "training.learning_rate=0.003"),
    ],
}
MODELS["B"] = [*(each for each in MODELS["A"] if "epochs" not in each), "training.epochs=6", "task.linear=true"]
"""A: hour by hour all columns together, the cell GRU-D, the next six hours. B: the same beside least squares of each
column, which are told, too, or not."""
WAYS: dict[str, list[str]] = {"whole": [], "told": [], "filled": ["embedder.gaps=false"]}


def written(name: str, taken: bool, at: Path) -> Path:
    """The file of a series, with or without the hours that are taken out."""
    data = Path(os.environ["RECURRA_DATA"]) / "time-series" / SERIES[name][0]
    with gzip.open(data, "rt", encoding="utf-8") as opened:
        header, *rows = opened.read().splitlines()
    rows = rows[: ROWS.get(name)]
    if taken:
        kept = np.random.default_rng(SEED).random(len(rows)) >= SHARE
        kept[[0, -1]] = True
        rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
    file = at / f"{name}{'-gaps' if taken else ''}.csv"
    file.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return file


def trained(at: Path, series: str, model: str, way: str, seed: int) -> dict[str, Any]:
    """The report of a run, trained unless it is there."""
    out = at / f"{series}-{model}-{way}{f'-{seed}' if seed > 1 else ''}"
    if not (out / "report.json").exists():
        settings = [*ALL, *SERIES[series][1], *MODELS[model], *WAYS[way]]
        options = [word for setting in settings for word in ("--set", setting)]
        file = written(series, way != "whole", at)
        command = [sys.executable, "-m", "recurra", "train", "forecast", str(file), "--out", str(out)]
        subprocess.run([*command, "--threads", "1", "--seed", str(seed), *options], check=True)
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return report


def rows(at: Path, models: list[str], seeds: int) -> Iterator[dict[str, Any]]:
    for series, model, seed, way in product(SERIES, models, range(1, seeds + 1), WAYS):
        report = trained(at, series, model, way, seed)
        scores = {part: report["scores"][part] for part in ("test", "valid") if part in report["scores"]}
        yield {
            "series": series,
            "model": model,
            "way": way,
            "seed": seed,
            **{part: {key: score["model"][key] for key in ("mse", "mae")} for part, score in scores.items()},
            "baselines": {row["name"]: row["mse"] for row in scores["test"].get("baseline", ())},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.runs.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    if asked.out.exists():  # those of other models stay
        known = json.loads(asked.out.read_text(encoding="utf-8"))["rows"]
        found = [row for row in known if row["model"] not in asked.models]
    for row in rows(asked.runs, asked.models, asked.seeds):
        found.append(row)
        asked.out.write_text(json.dumps({"machine": machine(), "rows": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
