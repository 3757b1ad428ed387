"""The torch backend's training step (forward, backward, all gradients) beside torch.nn's and two autograd loops.

pip install -c constraints.txt .[bench] && python benchmarks/layers.py --out benchmarks/results/layers.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
import torchrecurrent

from recurra.bench.interleaved import interleaved, machine
from recurra.nn import Recurrent

SHAPES = ((100, 32, 256, 256), (35, 20, 200, 200))
PAIRS = {"rnn-tanh": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def training_step(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def step() -> None:
        layer.zero_grad(set_to_none=True)
        x.grad = None
        y, _ = layer(x)
        y.sum().backward()

    return step


def measure(shape: tuple[int, int, int, int], rounds: int) -> dict[str, float]:
    """Ratios of medians, the other side's time over ours: above 1 ours is faster."""
    T, B, I, H = shape
    x = torch.randn(T, B, I, requires_grad=True)
    found = {}
    for cell, peer in PAIRS.items():
        sides = {
            "peer": training_step(peer(I, H), x),
            "torch": training_step(Recurrent(cell, I, H, backend="torch"), x),
        }
        times = interleaved(sides, rounds)
        found[f"{cell}: torch.nn / torch backend"] = times["peer"] / times["torch"]
    for cell in ("peephole-lstm", "layer-norm-lstm", "gru-reset-before", "min-gru"):
        sides = {
            "loop": training_step(Recurrent(cell, I, H, backend="reference"), x),
            "torch": training_step(Recurrent(cell, I, H, backend="torch"), x),
        }
        if cell == "peephole-lstm":
            sides["torchrecurrent"] = training_step(torchrecurrent.PeepholeLSTM(I, H), x)
        times = interleaved(sides, max(rounds // 2, 5))
        found[f"{cell}: autograd loop / torch backend"] = times["loop"] / times["torch"]
        if "torchrecurrent" in times:
            found[f"{cell}: torchrecurrent / torch backend"] = times["torchrecurrent"] / times["torch"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out")
    arguments = parser.parse_args()
    results = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for shape in SHAPES:
            ratios = measure(shape, arguments.rounds)
            results.append({"shape T,B,I,H": shape, "threads": threads, "ratios": ratios})
            print(f"T,B,I,H = {shape}, {threads} threads")
            for name, ratio in ratios.items():
                print(f"  {name:45s} {ratio:5.2f}")
    if arguments.out:
        found = {"machine": machine(), "what": "training step", "results": results}
        Path(arguments.out).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
