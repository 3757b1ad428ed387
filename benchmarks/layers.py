"""Training step of recurra's layers beside torch.nn's and a plain autograd loop: forward, backward, all gradients.

python benchmarks/layers.py --out benchmarks/results/layers.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch

from recurra.bench.interleaved import interleaved, machine
from recurra.nn import Recurrent

SHAPES = ((100, 32, 256, 256), (35, 20, 200, 200))
PAIRS = {"rnn-tanh": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


class PeepholeByGates(torch.nn.Module):
    """The peephole LSTM as its equations are usually typed: a pair of linear maps for each gate, at every step."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.x = torch.nn.ModuleList(torch.nn.Linear(inputs, hidden) for _ in range(4))
        self.h = torch.nn.ModuleList(torch.nn.Linear(hidden, hidden) for _ in range(4))
        self.peepholes = torch.nn.Parameter(torch.randn(3, hidden))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        h = c = x.new_zeros(x.shape[1], self.hidden)
        outputs = []
        for step in x:
            i = torch.sigmoid(self.x[0](step) + self.h[0](h) + self.peepholes[0] * c)
            f = torch.sigmoid(self.x[1](step) + self.h[1](h) + self.peepholes[1] * c)
            g = torch.tanh(self.x[2](step) + self.h[2](h))
            c = f * c + i * g
            o = torch.sigmoid(self.x[3](step) + self.h[3](h) + self.peepholes[2] * c)
            h = o * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs), None


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
            "auto": training_step(Recurrent(cell, I, H), x),
        }
        times = interleaved(sides, rounds)
        found[f"{cell}: torch.nn / torch backend"] = times["peer"] / times["torch"]
        found[f"{cell}: torch.nn / auto"] = times["peer"] / times["auto"]
    for cell in ("peephole-lstm", "layer-norm-lstm", "gru-reset-before", "min-gru"):
        sides = {
            "loop": training_step(Recurrent(cell, I, H, backend="reference"), x),
            "torch": training_step(Recurrent(cell, I, H, backend="torch"), x),
        }
        if cell == "peephole-lstm":
            sides["by gates"] = training_step(PeepholeByGates(I, H), x)
        times = interleaved(sides, max(rounds // 2, 5))
        found[f"{cell}: autograd loop / torch backend"] = times["loop"] / times["torch"]
        if "by gates" in times:
            found[f"{cell}: loop with a product a gate / torch backend"] = times["by gates"] / times["torch"]
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
