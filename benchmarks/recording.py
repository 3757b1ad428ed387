"""What it costs a training step to write down ‖∂L/∂h‖ at every time step of every layer.

    python benchmarks/recording.py --out benchmarks/results/recording.json

The language models and batches of throughput.py, with `training.record_gradients=1` and without, taking turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import torch
from throughput import MODELS, our_step

from recurra.bench.interleaved import machine, turns


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out")
    arguments = parser.parse_args()
    results = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for name, shape in MODELS.items():
            ids = np.random.default_rng(0).integers(1, shape["V"], shape["B"] * shape["T"] * 8 + 1)
            for precision in ("float32", "bf16"):
                sides = {
                    label: our_step(ids, **shape, precision=precision, record_gradients=every)
                    for label, every in (("without", 0), ("with", 1))
                }
                times = turns(sides, arguments.rounds)
                pairs = zip(times["with"], times["without"], strict=True)
                cost = statistics.median(recorded / plain for recorded, plain in pairs) - 1
                milliseconds = 1e3 * statistics.median(times["without"])
                results.append(
                    {"model": name, "threads": threads, "precision": precision, "cost": cost, "ms": milliseconds}
                )
                print(f"{name}, {threads} threads, {precision}: {100 * cost:+.1f} % of {milliseconds:.1f} ms")
    if arguments.out:
        Path(arguments.out).write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
