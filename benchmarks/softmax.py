"""Peak memory and time of loss and backward of a softmax over large vocabularies: torch's plain way, ours, adaptive.

    PYTHONPATH=src python benchmarks/softmax.py --out benchmarks/results/softmax.json

plain: F.linear, then F.cross_entropy. chunked: `linear_cross_entropy`. adaptive: `AdaptiveSoftmax`. Memory is the peak
of resident memory beyond what stood before the call, each case in a process of its own that has loaded torch's code by
a small case; it holds the gradients, which `gradients, MB` states. Time is the median of rounds in which the three take
turns. Targets are drawn by Zipf's law, p ∝ 1 / (rank + 2.7).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.bench.interleaved import interleaved, machine
from recurra.nn.emissions.adaptive import AdaptiveSoftmax
from recurra.nn.softmax import linear_cross_entropy

N = 1280
CUTOFFS = {10_000: (2000,), 50_000: (2000, 10_000), 250_000: (4000, 40_000)}
"""By the size of the vocabulary."""
ROUNDS = {10_000: (7, 1), 50_000: (3, 1), 250_000: (2, 0)}
"""Timed rounds, and untimed ones before them, by the size of the vocabulary."""
WAYS = ("plain", "chunked", "adaptive")
PRECISIONS = ("float32", "bf16")


def side(way: str, V: int, H: int, precision: str) -> tuple[Callable[[], None], list[Tensor]]:
    """Loss and backward, and the weights; the gradients are new each time, as after zero_grad."""
    torch.manual_seed(0)
    x = torch.randn(N, H).requires_grad_()
    target = torch.multinomial(1 / (torch.arange(V) + 2.7), N, replacement=True)
    if way == "adaptive":
        output = AdaptiveSoftmax(CUTOFFS.get(V, (V // 2,))).build(H, V)
        leaves = [x, *output.parameters()]
    else:
        leaves = [x, (torch.randn(V, H) / H**0.5).requires_grad_(), torch.zeros(V).requires_grad_()]

    def loss() -> Tensor:
        if way == "adaptive":
            return output.loss(x, target)
        if way == "chunked":
            return linear_cross_entropy(*leaves, target)
        return F.cross_entropy(F.linear(*leaves), target, reduction="sum")

    def run() -> None:
        for leaf in leaves:
            leaf.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16) if precision == "bf16" else nullcontext():
            value = loss()
        value.backward()

    return run, leaves


def memory(name: str) -> int:
    """Resident bytes: VmRSS now, VmHWM at the peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status says no {name}: this benchmark wants Linux.")


def peak(way: str, V: int, H: int, precision: str) -> dict[str, float]:
    """Megabytes at the peak beyond what stood before, and how much of them the gradients are."""
    side(way, 100, 16, precision)[0]()
    run, leaves = side(way, V, H, precision)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    run()
    gradients = sum(leaf.grad.nbytes for leaf in leaves if leaf.grad is not None)
    return {"peak, MB": (memory("VmHWM") - before) / 2**20, "gradients, MB": gradients / 2**20}


def peak_alone(*case: Any) -> dict[str, float]:
    """`peak` in a process of its own."""
    words = [sys.executable, __file__, "--peak", *map(str, case)]
    found: dict[str, float] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return found


def measure(V: int, H: int, precision: str) -> dict[str, Any]:
    """Peak memory and median milliseconds of each way, and their ratios to the plain one."""
    found: dict[str, Any] = {way: peak_alone(way, V, H, precision) for way in WAYS}
    times = interleaved({way: side(way, V, H, precision)[0] for way in WAYS}, *ROUNDS[V])
    for way in WAYS:
        found[way]["ms"] = 1000 * times[way]
        for what in ("ms", "peak, MB"):
            found[way][f"plain / {way}, {what}"] = found["plain"][what] / found[way][what]
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--vocabularies", type=int, nargs="+", default=[*CUTOFFS])
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", nargs=4, metavar=("WAY", "V", "H", "PRECISION"), help="one case's memory, as JSON")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        way, V, H, precision = arguments.peak
        print(json.dumps(peak(way, int(V), int(H), precision)))
        return
    results = []
    for V in arguments.vocabularies:
        for precision in PRECISIONS:
            found = measure(V, arguments.hidden_size, precision)
            results.append({"V": V, "precision": precision, "cutoffs": CUTOFFS[V], **found})
            told = [f"{way} {found[way]['ms']:,.0f} ms {found[way]['peak, MB']:,.0f} MB" for way in WAYS]
            print(f"V = {V:,}, {precision}: {', '.join(told)}", flush=True)
    if arguments.out:
        what = f"loss and backward of N = {N} rows, H = {arguments.hidden_size}, {arguments.threads} thread(s)"
        command = "python benchmarks/softmax.py " + " ".join(sys.argv[1:])
        found = {"machine": machine(), "what": what, "command": command, "seed": 0, "results": results}
        Path(arguments.out).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
