"""A tagger's training step with a CRF beside the same with a softmax: BiLSTM 100 → 2×100, linear to K tags, loss.

PYTHONPATH=src python benchmarks/crf.py --out benchmarks/results/crf.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from recurra.bench.interleaved import interleaved, machine
from recurra.nn import LSTM
from recurra.nn.crf import CRF
from recurra.nn.softmax import linear_cross_entropy
from recurra.types import IGNORED

B, INPUT, HIDDEN = 32, 100, 100
SHORTEST, LONGEST = 15, 40


class Tagger(nn.Module):
    """x [T, B, 100] → loss of the tags [T, B]."""

    def __init__(self, K: int, crf: bool) -> None:
        super().__init__()
        self.core, self.head = LSTM(INPUT, HIDDEN, bidirectional=True), nn.Linear(2 * HIDDEN, K)
        self.crf = CRF(K) if crf else None
        if self.crf is not None:
            nn.init.normal_(self.crf.transitions)

    def forward(self, x: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        y, _ = self.core(x, None, lengths)
        if self.crf is not None:
            return self.crf(self.head(y), tags, lengths)
        return linear_cross_entropy(y.flatten(0, 1), self.head.weight, self.head.bias, tags.flatten())


def training_step(model: Tagger, x: Tensor, tags: Tensor, lengths: Tensor) -> Callable[[], None]:
    def step() -> None:
        model.zero_grad(set_to_none=True)
        model(x, tags, lengths).backward()

    return step


def measure(K: int, rounds: int) -> dict[str, float]:
    """Milliseconds (medians), and the time of the CRF's step over that of the softmax's."""
    torch.manual_seed(0)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (B,))
    lengths[0] = LONGEST
    x = torch.randn(LONGEST, B, INPUT, requires_grad=True)
    tags = torch.randint(K, (LONGEST, B)).masked_fill(torch.arange(LONGEST)[:, None] >= lengths, IGNORED)
    emissions, crf = torch.randn(LONGEST, B, K, requires_grad=True), CRF(K)
    sides = {
        "softmax": training_step(Tagger(K, crf=False), x, tags, lengths),
        "crf": training_step(Tagger(K, crf=True), x, tags, lengths),
        "crf loss alone": lambda: crf(emissions, tags, lengths).backward(),
        "viterbi": lambda: crf.viterbi(emissions.detach(), lengths),
    }
    times = interleaved(sides, rounds, warm_up=5)
    found = {f"{name}, ms": 1000 * seconds for name, seconds in times.items()}
    return {**found, "crf / softmax": times["crf"] / times["softmax"]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--tags", type=int, nargs="+", default=[9, 120, 320])
    parser.add_argument("--out")
    arguments = parser.parse_args()
    results = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for K in arguments.tags:
            found = measure(K, arguments.rounds)
            results.append({"K": K, "threads": threads, **found})
            print(f"K = {K}, {threads} threads: " + ", ".join(f"{n} {v:.2f}" for n, v in found.items()), flush=True)
    if arguments.out:
        what = f"training step of a tagger, T = {SHORTEST}..{LONGEST}, B = {B}, BiLSTM {INPUT} → 2×{HIDDEN}"
        found = {"machine": machine(), "what": what, "results": results}
        Path(arguments.out).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
