"""What a token costs in training as units, layers, vocabulary, steps and sequences grow, and a model of it.

    python benchmarks/scale.py --out benchmarks/results/scale.json

Whole updates (forward, backward, clipping, AdamW) of an LSTM language model on random symbols, one thread, float32. All
sizes take turns with a product of two large matrices. The model: seconds a token = operations / rate + bytes / rate +
symbols / rate of the softmax + seconds of an update / its tokens; its four numbers are fitted by least squares.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recurra.bench.interleaved import machine, turns
from recurra.checkpoint import RunFolder
from recurra.data.batching.layout import SYMBOLS
from recurra.data.batching.streams import Streams
from recurra.data.codecs.word import Word
from recurra.model import Model
from recurra.training.trainer import Trainer, Training

SGEMM = 1024
"""Side of the square matrices whose product gives the rate of the processor."""


@dataclass(frozen=True)
class Size:
    """A model and its batch: units (and width of the embedding), layers, symbols, sequences, steps."""

    H: int = 256
    L: int = 2
    V: int = 1_000
    B: int = 32
    T: int = 32

    @property
    def tokens(self) -> int:
        return self.B * self.T

    @property
    def parameters(self) -> int:
        return 2 * self.V * self.H + self.V + self.L * (8 * self.H**2 + 8 * self.H)

    @property
    def operations(self) -> int:
        """A token: two for every multiplication, forward once, backward twice (inputs and weights)."""
        return 6 * (self.L * 8 * self.H**2 + self.H * self.V)

    @property
    def bytes(self) -> float:
        """A token, in and out of memory: what a layer keeps for its backward and the errors that it writes; the
        recurrent weights, read at every step there and back by B sequences; the logits; what the optimiser reads and
        writes of every parameter, once an update."""
        kept = self.L * 24 * self.H
        weights = self.L * 2 * 4 * self.H**2 / self.B
        return 4 * (kept + weights + 4 * self.V + 10 * self.parameters / self.tokens)


BASE = Size()
GROWN = {
    "H": (64, 128, 256, 512, 1024),
    "L": (1, 2, 4, 8),
    "V": (100, 1_000, 10_000, 50_000),
    "T": (8, 32, 128, 512),
    "B": (1, 8, 32, 128),
}


def sizes() -> list[Size]:
    """The base, and one number of it after the other smaller and larger."""
    return list(dict.fromkeys(replace(BASE, **{name: n}) for name, each in GROWN.items() for n in each))


def update(size: Size) -> Callable[[], Any]:
    """One update of the weights."""
    config = {
        "embedder": {"kind": "symbols", "size": size.H},
        "core": {"kind": "recurrent", "hidden_size": size.H, "num_layers": size.L},
        "task": {"kind": "generate"},
    }
    vocabulary = Word(end_of_line="0").fit([" ".join(map(str, range(size.V - 1)))])
    model = Model.from_config(config, {"input": vocabulary})
    settings = Training(optimiser="adamw", learning_rate=1e-3, clip_norm=5.0, epochs=10_000)
    ids = np.random.default_rng(0).integers(1, size.V, size.tokens * 4 + 1)
    streams = Streams(streams=size.B, steps=size.T)
    folder = RunFolder(Path(tempfile.mkdtemp()))
    trainer = Trainer(model, settings, lambda epoch: streams.batches([{"input": ids}], SYMBOLS), list, folder)
    trainer.recordings.open(folder, None)
    return trainer.step


def terms(size: Size) -> list[float]:
    """What each number of the model stands before."""
    return [size.operations, size.bytes, size.V, 1 / size.tokens]


def fit(found: list[Size], seconds: list[float]) -> list[float]:
    """Seconds an operation, a byte, a symbol of the softmax and an update, by least squares of relative errors."""
    rows = np.array([[term / t for term in terms(size)] for size, t in zip(found, seconds, strict=True)])
    return [float(each) for each in np.linalg.lstsq(rows, np.ones(len(rows)), rcond=None)[0]]


def predicted(size: Size, numbers: list[float]) -> float:
    """Seconds a token."""
    return sum(number * term for number, term in zip(numbers, terms(size), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    a, b = torch.randn(2, SGEMM, SGEMM)
    sides: dict[Any, Callable[[], Any]] = {"sgemm": lambda: torch.mm(a, b), **{size: update(size) for size in sizes()}}
    times = {side: statistics.median(each) for side, each in turns(sides, words.rounds, 1).items()}
    rate = 2 * SGEMM**3 / times.pop("sgemm")
    found, seconds = list(times), [times[size] / size.tokens for size in times]
    numbers = fit(found, seconds)
    print(f"sgemm {rate / 1e9:.1f} G operations/s")
    print(f"fitted {1e-9 / numbers[0]:.1f} G operations/s, {1e-9 / numbers[1]:.1f} GB/s,", end=" ")
    print(f"{1e-6 / numbers[2]:.0f} M symbols/s, {numbers[3] * 1e3:.1f} ms an update")
    rows = []
    for size, each in zip(found, seconds, strict=True):
        model, share = predicted(size, numbers), size.operations / each / rate
        rows.append({**asdict(size), "us a token": each * 1e6, "model": model * 1e6, "share of sgemm": share})
        rows[-1] |= {"M operations": size.operations / 1e6, "kB": size.bytes / 1e3}
        print(
            "  ".join(
                f"{name} {value:g}" if isinstance(value, int) else f"{name} {value:.3g}"
                for name, value in rows[-1].items()
            )
        )
    if words.out is not None:
        figures = {"machine": machine(), "sgemm": rate, "numbers": numbers, "rows": rows}
        words.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
