"""Weights of fewer bits beside float32, on the instruction set that RECURRA_INSTRUCTIONS names: single steps, training.

RECURRA_INSTRUCTIONS=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/bfloat16.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from recurra.engine.native import build
from recurra.nn import Recurrent, Step
from recurra.nn.step import LOW

SECONDS = 12.0
"""Of each comparison."""


def medians(sides: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Seconds of each side, which take turns."""
    for side in sides.values():
        side()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for name, side in sides.items():
            begun = time.perf_counter()
            side()
            taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(found) for name, found in taken.items()}


def stepping(cell: str, units: int) -> dict[str, Callable[[], None]]:
    """Fifty steps in each type of weights."""
    torch.manual_seed(0)
    layer, x = Recurrent(cell, units, units).eval(), torch.randn(1, units)

    def run(step: Step) -> Callable[[], None]:
        def steps() -> None:
            state = step.start()
            for _ in range(50):
                _, state = step(x, state)

        return steps

    return {weights: run(Step(layer, 1, weights)) for weights in LOW}  # type: ignore[arg-type]


def training(cell: str) -> dict[str, Callable[[], None]]:
    """Forward and backward at T, B, I, H = 100, 32, 256, 256."""
    torch.manual_seed(0)
    layer, x = Recurrent(cell, 256, 256, backend="native"), torch.randn(100, 32, 256, requires_grad=True)
    g = torch.randn(100, 32, 256)

    def run(short: bool) -> Callable[[], None]:
        def step() -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=short):
                y: Tensor = layer(x)[0]
            torch.autograd.grad(y.float(), [x, *layer.parameters()], g)

        return step

    return {"float32": run(False), "bfloat16": run(True)}


def main() -> None:
    torch.set_num_threads(1)
    cases = {f"{cell}, H = {units}, a step": stepping(cell, units) for cell in ("lstm", "gru") for units in (128, 512)}
    cases |= {f"{cell}, training": training(cell) for cell in ("lstm", "gru", "rnn-tanh")}
    for name, sides in cases.items():
        found = medians(sides)
        ratios = ", ".join(f"{side} {seconds / found['float32']:.2f}" for side, seconds in found.items())
        print(f"{build.instructions()}: {name}: time over float32's: {ratios}", flush=True)


if __name__ == "__main__":
    main()
