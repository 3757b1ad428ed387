"""One process on one thread, one on two, and two on one each: updates a second, and what their talk costs.

    python benchmarks/processes.py --steps 60 --rounds 3 --out benchmarks/results/processes.json

Each is a training of a recipe as it is, a process group of its own, ended by SIGTERM after so many updates; the ways
take turns. Figures are of the median update, without the first ten. Talk is measured in two processes that wait for
each other first: one sum of as many float32 numbers as the model has parameters, one of the few that a step adds.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from recurra.bench.interleaved import machine

RECIPES = {"char-lm": "tinyshakespeare", "translate": "multi30k", "tagger": "ud-english-ewt"}
"""Recipe → data set."""
WAYS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 processes, 1 thread each": (2, 1)}
CHILD = """
import json, signal, statistics, sys, time
import torch
from recurra.training.group import joined
from recurra.workflow.plan import make_plan
from recurra.workflow.training import execute

recipe, set_, steps, threads, out, result = sys.argv[1:]
settings = {"data.set": set_, "training.threads": int(threads), "training.device": "cpu"}
settings |= {"training.evaluate_every": 1e6, "training.max_minutes": None}
times = []

def watch(event):
    if event.kind == "step":
        times.append(time.perf_counter())
        if len(times) == int(steps):
            signal.raise_signal(signal.SIGTERM)

plan = make_plan(recipe, out=out, settings=settings)
try:
    execute(plan, progress=watch, baseline=False, no_test=True)
except KeyboardInterrupt:
    pass
group = joined()
found = {}
if group.size > 1:
    import torch.distributed as dist
    count = json.loads(open(f"{out}/report.json").read())["parameters"]
    for name, tensor in (("gradients", torch.zeros(count)), ("counts", torch.zeros(5, dtype=torch.float64))):
        taken = []
        for _ in range(40):
            dist.barrier()
            begun = time.perf_counter()
            dist.all_reduce(tensor)
            taken.append(time.perf_counter() - begun)
        found[name] = statistics.median(taken)
    found["parameters"] = count
if group.rank == 0:
    between = [b - a for a, b in zip(times[10:], times[11:])]
    found |= {"update": statistics.median(between), "fastest": min(between), "updates": len(between)}
    open(result, "w").write(json.dumps(found))
"""


def measured(recipe: str, processes: int, threads: int, steps: int) -> dict[str, Any]:
    """Seconds of an update in so many processes of so many threads, and of what they tell each other."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port.getsockname()[1])}
        port.close()
        result = Path(folder) / "result.json"
        words = [sys.executable, "-c", CHILD, recipe, RECIPES[recipe], str(steps), str(threads), f"{folder}/run"]
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "TORCH_CPP_LOG_LEVEL": "ERROR"}
        env |= address | {"WORLD_SIZE": str(processes)} if processes > 1 else {}
        started = [
            subprocess.Popen([*words, str(result)], env=env | ({"RANK": str(rank)} if processes > 1 else {}))
            for rank in range(processes)
        ]
        if any(each.wait() for each in started):
            raise SystemExit(f"{recipe} in {processes} processes failed")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


def main() -> None:
    """Measure, print, and write after every training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows = []
    for recipe in asked.recipes:
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(asked.rounds):
            for way, (processes, threads) in WAYS.items():
                found[way].append(measured(recipe, processes, threads, asked.steps))
        seconds = {way: statistics.median(each["update"] for each in some) for way, some in found.items()}
        row: dict[str, Any] = {"recipe": recipe, "set": RECIPES[recipe], "update_ms": seconds}
        row["update_ms"] = {way: round(1000 * each, 2) for way, each in seconds.items()}
        (one, two, both) = WAYS
        row |= {"two processes over one": round(seconds[one] / seconds[both], 3)}
        row |= {"two processes over two threads": round(seconds[two] / seconds[both], 3)}
        talk = found[both]
        row |= {f"{k}_ms": round(1000 * statistics.median(e[k] for e in talk), 3) for k in ("gradients", "counts")}
        row["parameters"] = talk[0]["parameters"]
        rows.append(row)
        print(json.dumps(row), flush=True)
        if asked.out is not None:
            held = {"machine": machine(), "what": " ".join(["python", *sys.argv]), "results": rows}
            asked.out.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
