"""What a short budget buys on half a processor: eight recipes as they are (before), and fitted to it (after).

    nice python benchmarks/short_budgets.py --minutes 5 --out benchmarks/results/short-budgets.json

Each training is the command line's own, a whole process on one thread. It is stopped for half of every tenth of a
second (SIGSTOP, SIGCONT), which makes of any processor a slow one. `--recipes` names some of them, `--at-most` ends a
process that has not given the prompt back after so many budgets; what is known then stands in the table. The file of
results is written after every training and gone on with.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recurra.bench.interleaved import machine

PERIOD, SHARE = 0.1, 0.5
"""Seconds of a turn, and the share of it that a process may run."""
WAYS = {"before": "--no-fit-budget", "after": "--fit-budget"}
RECIPES = {
    "char-lm": "tinyshakespeare",
    "classifier": "trec",
    "tagger": "ud-english-ewt",
    "ner": "conll2003",
    "translate": "multi30k",
    "pronounce": "cmudict-g2p",
    "fill": "ptb",
    "poem": "tang-poems",
}
"""Recipe → data set."""


def throttled(command: list[str], log: Path, most: float) -> tuple[int, float]:
    """Run a command for half of the time; its status (−1: ended after `most` seconds) and the seconds it took."""
    begun = time.monotonic()
    with log.open("w") as written, subprocess.Popen(command, stdout=written, stderr=written) as process:
        while process.poll() is None:
            if time.monotonic() - begun > most:
                process.kill()
                process.wait()
                return -1, time.monotonic() - begun
            process.send_signal(signal.SIGSTOP)
            time.sleep(PERIOD * (1 - SHARE))
            process.send_signal(signal.SIGCONT)
            time.sleep(PERIOD * SHARE)
    return process.returncode, time.monotonic() - begun


def measure(recipe: str, way: str, minutes: float, most: float) -> dict[str, Any]:
    """A training and what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder) / "run", Path(folder) / "log"
        words = [
            "train",
            recipe,
            "--set",
            f"data.set={RECIPES[recipe]}",
            "--max-minutes",
            str(minutes),
            "--threads",
            "1",
        ]
        words += [WAYS[way], "--out", str(out)]
        status, seconds = throttled([sys.executable, "-m", "recurra", *words], log, most)
        found: dict[str, Any] = {"command": "recurra " + " ".join(words), "status": status, "minutes": seconds / 60}
        report = json.loads((out / "report.json").read_text()) if (out / "report.json").is_file() else {}
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()] if report else []
        metrics = [key.removeprefix("valid_") for line in lines for key in line if key.startswith("valid_")]
        found |= {"updates": lines[-1]["step"] if lines else 0, "metric": metrics[0] if metrics else None}
        if "fitted" in report:
            found["fitted"] = {key: after for key, (_, after) in report["fitted"]["changes"].items()}
        if report.get("scores"):
            scores = report["scores"].get("test") or report["scores"]["valid"]
            rows = [row for row in scores.get("baseline", ()) if found["metric"] in row]
            found["score"] = scores["model"][found["metric"]]
            found["baselines"] = {row["name"] + _order(row): row[found["metric"]] for row in rows}
            found["around"] = report["minutes"]["around"]
            found["drawn"] = scores.get("drawn", 1.0)
        else:
            found["last"] = log.read_text().splitlines()[-1:]
    return found


def _order(row: dict[str, Any]) -> str:
    return f", order {row['order']}" if "order" in row else ""


def table(results: dict[str, Any]) -> None:
    """Print what there is, a line for each recipe and way."""
    print("| recipe | | updates | score | baselines | minutes until the prompt |\n|---|---|---|---|---|---|")
    for name, found in results["trainings"].items():
        recipe, way = name.split()
        score = f"{found['metric']} {found['score']:.4g}" if "score" in found else "not scored in time"
        beside = ", ".join(f"{each} {value:.4g}" for each, value in found.get("baselines", {}).items())
        score += f" (of {found['drawn']:.1%} of the test)" if found.get("drawn", 1) < 1 else ""
        print(f"| {recipe} | {way} | {found['updates']:,} | {score} | {beside} | {found['minutes']:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--at-most", type=float, default=6.0, help="budgets after which a process is ended")
    parser.add_argument("--out", type=Path, default=Path("short-budgets.json"))
    asked = parser.parse_args()
    results = json.loads(asked.out.read_text()) if asked.out.is_file() else {}
    results = {"machine": machine(), "budget": asked.minutes, "share": SHARE, "trainings": {}, **results}
    for recipe in asked.recipes:
        for way in asked.ways:
            if f"{recipe} {way}" not in results["trainings"]:
                most = asked.at_most * asked.minutes * 60
                results["trainings"][f"{recipe} {way}"] = measure(recipe, way, asked.minutes, most)
                asked.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    table(results)


if __name__ == "__main__":
    main()
