"""Training throughput of two language models beside plain hand-written torch.nn scripts of the same model and batch.

    python benchmarks/throughput.py --out benchmarks/results/throughput.json

Both sides train on the same random symbols (the speed does not depend on which), in one process, taking turns.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recurra.bench.interleaved import interleaved, machine
from recurra.checkpoint import RunFolder
from recurra.data.batching.layout import SYMBOLS
from recurra.data.batching.streams import Streams
from recurra.data.codecs.word import Word
from recurra.model import Model
from recurra.training.trainer import Trainer, Training

MODELS = {
    "character LM 2x256, batch 64, 128 steps": {"V": 65, "H": 256, "B": 64, "T": 128, "optimiser": "adamw"},
    "word LM 2x200, batch 20, 20 steps": {"V": 10_000, "H": 200, "B": 20, "T": 20, "optimiser": "sgd"},
    "word LM 2x200, batch 20, 35 steps": {"V": 10_000, "H": 200, "B": 20, "T": 35, "optimiser": "sgd"},
}


class Plain(nn.Module):
    """The language model as anybody would write it."""

    def __init__(self, V: int, H: int) -> None:
        super().__init__()
        self.embedding, self.lstm, self.output = nn.Embedding(V, H), nn.LSTM(H, H, 2), nn.Linear(H, V)

    def forward(self, x: torch.Tensor, state: tuple | None) -> tuple[torch.Tensor, tuple]:
        y, state = self.lstm(self.embedding(x), state)
        return self.output(y), state


def plain_step(ids: torch.Tensor, V: int, H: int, B: int, T: int, optimiser: str) -> Callable[[], None]:
    model = Plain(V, H)
    make = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimiser]
    update = make(model.parameters(), lr=1e-3)
    x = ids[: B * (T + 1)].view(B, T + 1).t()
    state: list = [None]

    def step() -> None:
        logits, after = model(x[:-1], state[0])
        state[0] = tuple(s.detach() for s in after)
        loss = F.cross_entropy(logits.reshape(-1, V), x[1:].reshape(-1))
        update.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        update.step()
        loss.item()

    return step


def our_step(
    ids: np.ndarray,
    V: int,
    H: int,
    B: int,
    T: int,
    optimiser: str,
    precision: str,
    record_gradients: int = 0,
    backend: str = "auto",
) -> Callable[[], None]:
    config = {
        "embedder": {"kind": "symbols", "size": H},
        "core": {"kind": "recurrent", "hidden_size": H, "num_layers": 2, "backend": backend},
        "task": {"kind": "generate"},
    }
    vocabulary = Word(end_of_line="0").fit([" ".join(map(str, range(V - 1)))])
    model = Model.from_config(config, {"input": vocabulary})
    settings = Training(
        optimiser=optimiser,
        learning_rate=1e-3,
        clip_norm=5.0,
        epochs=10_000,
        precision=precision,
        record_gradients=record_gradients,
    )
    streams = Streams(streams=B, steps=T)
    folder = RunFolder(Path(tempfile.mkdtemp()))
    trainer = Trainer(model, settings, lambda epoch: streams.batches([{"input": ids}], SYMBOLS), list, folder)
    trainer.recordings.open(folder, None)
    return trainer.step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out")
    arguments = parser.parse_args()
    results = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for name, shape in MODELS.items():
            B, T = shape["B"], shape["T"]
            ids = np.random.default_rng(0).integers(1, shape["V"], B * T * 8 + 1)
            sides = {"plain torch.nn": plain_step(torch.from_numpy(ids), **shape)}
            sides |= {f"recurra {p}": our_step(ids, **shape, precision=p) for p in ("float32", "bf16")}
            times = interleaved(sides, arguments.rounds * (4 if T < 64 else 1))
            speeds = {side: B * T / seconds for side, seconds in times.items()}
            plain = speeds["plain torch.nn"]
            results.append({"model": name, "threads": threads, "symbols per second": speeds})
            print(f"{name}, {threads} threads")
            for side, speed in speeds.items():
                print(f"  {side:18s} {speed:9,.0f} symbols/s  {speed / plain:5.2f}")
    if arguments.out:
        Path(arguments.out).write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
