"""What it costs a training step to write down ‖∂L/∂h‖ at every time step of every layer.

    python benchmarks/recording.py --out benchmarks/results/recording.json

The language models and batches of throughput.py, with `training.record_gradients=1` and without, taking turns. What
records runs on the native engine; where `auto` would take oneDNN that changes the engine, too, so a third side runs on
the native engine and does not record.
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
                    label: our_step(ids, **shape, precision=precision, record_gradients=every, backend=backend)
                    for label, every, backend in (("without", 0, "auto"), ("native", 0, "native"), ("with", 1, "auto"))
                }
                times = turns(sides, arguments.rounds)
                cost, alone = (
                    statistics.median(a / b for a, b in zip(times["with"], times[side], strict=True)) - 1
                    for side in ("without", "native")
                )
                milliseconds = 1e3 * statistics.median(times["without"])
                results.append(
                    {
                        "model": name,
                        "threads": threads,
                        "precision": precision,
                        "cost": cost,
                        "beside_native": alone,
                        "ms": milliseconds,
                    }
                )
                print(
                    f"{name}, {threads} threads, {precision}: {100 * cost:+.1f} % of {milliseconds:.1f} ms, "
                    f"{100 * alone:+.1f} % beside the native engine"
                )
    if arguments.out:
        Path(arguments.out).write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
