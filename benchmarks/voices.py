"""What settings of `spoken-digits` are worth to voices that do not train: of FSDD's five every three train, and each of
the two others is scored.

    RECURRA_DATA=… python benchmarks/voices.py --out voices.json --set input.floor=40 --set input.trim=35
    … the same command again goes on with the pairs that are missing

For the test on one voice the scores of the four others count whose models did not hear it: "chosen by" in the table.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import recurra
from recurra.config import parse_settings

FIXED = {"reader.kind": "sound-table", "reader.label": "digit", "data.set": None, "data.by_group": False}
FIXED |= {"data.valid_fraction": 0.02, "data.test_fraction": 0.0, "training.threads": 1}


def table(path: Path, rows: list[dict[str, str]], voices: set[str]) -> Path:
    """The recordings of some voices as a file that the recipe reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["file", "digit"])
        out.writerows([row["file"], row["digit"]] for row in rows if row["speaker"] in voices)
    return path


def pair(folder: Path, rows: list[dict[str, str]], two: tuple[str, str], settings: dict[str, Any]) -> list[float]:
    """How many of the recordings of each of two voices the others' model names, in per cent; its last weights."""
    voices = {row["speaker"] for row in rows}
    train = table(folder / "train.csv", rows, voices - {*two})
    epochs = settings.get("training.epochs", 5)
    fixed = {**FIXED, "training.evaluate_every": float(epochs)}
    run = recurra.train(
        "spoken-digits", train, out=folder / "run", settings=fixed | settings, no_test=True, baseline=False
    )
    asked = [table(folder / f"{voice}.csv", rows, {voice}) for voice in two]
    return [run.evaluate(each, baseline=False)["model"]["accuracy"] for each in asked]


def shown(scores: dict[str, float]) -> str:
    """The means, by the voice that is heard, and by the voice whose test they choose for."""
    voices = sorted({name.split()[0] for name in scores})
    lines = [f"{'':12}{'heard':>8}{'chosen by':>12}"]
    for voice in voices:
        heard = [score for name, score in scores.items() if name.split()[0] == voice]
        chosen = [score for name, score in scores.items() if name.split()[1] == voice]
        lines.append(f"{voice:12}{sum(heard) / len(heard):8.1f}{sum(chosen) / len(chosen):12.1f}")
    return "\n".join([*lines, f"{'mean':12}{sum(scores.values()) / len(scores):8.2f}"])


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--set", action="append", default=[])
    given = asked.parse_args()
    data = Path(os.environ["RECURRA_DATA"]) / "fsdd"
    with (data / "index.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    settings = {"reader.folder": str(data / "recordings"), **parse_settings(given.set)}
    scores: dict[str, float] = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    for two in combinations(sorted({row["speaker"] for row in rows}), 2):
        if " ".join(two) in scores:
            continue
        with tempfile.TemporaryDirectory() as folder:
            one, other = pair(Path(folder), rows, two, settings)
        scores |= {" ".join(two): one, " ".join(two[::-1]): other}
        given.out.write_text(json.dumps(scores), encoding="utf-8")
        print(f"without {' and '.join(two)}: {one:.1f}, {other:.1f}", flush=True)
    print(shown(scores))


if __name__ == "__main__":
    main()
