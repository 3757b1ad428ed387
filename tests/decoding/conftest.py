"""Small models to search over, and the set of all sequences they know."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.nn.recurrent import Recurrent
from recurra.types import Shared

HASHES = 997


class Table:
    """Random log-probabilities for every history: a number, the state [N, 1], stands for what was read."""

    def __init__(self, seed: int, V: int, sharpness: float = 2.0, grid: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        scores = sharpness * torch.randn(HASHES, V, generator=generator, dtype=torch.float64)
        self.log_p = scores.log_softmax(-1)
        if grid:  # many equal ones, and sums without rounding
            self.log_p = -(-self.log_p / grid).ceil() * grid
        self.V = V
        self.rows: list[int] = []

    def start(self, B: int) -> tuple[Any, Tensor]:
        """Sources 0 … B−1 as (state, begin)."""
        return (torch.arange(B)[:, None] * 131, None), torch.zeros(B, dtype=torch.int64)

    def source(self, b: int) -> tuple[Any, Tensor]:
        (state, _), begin = self.start(b + 1)
        return (state[b:], None), begin[b:]

    def step(self, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        self.rows.append(len(token))
        number = (state[0] * 31 + token[:, None] + 7) % HASHES
        return self.log_p[number[:, 0]], (number, None)

    def after(self, b: int, tokens: tuple[int, ...]) -> NDArray[np.float64]:
        """Log-probabilities of what follows `tokens` in source b, [V]."""
        number = b * 131
        for token in (0, *tokens):
            number = (number * 31 + token + 7) % HASHES
        return self.log_p[number].numpy()


class Translator(nn.Module):
    """A real one: layers of a recurrent cell that attend to a source of 4 steps, every part random."""

    def __init__(self, cell: str, V: int, shared: bool = True) -> None:
        super().__init__()
        self.shared = shared
        self.embedding = nn.Embedding(V, 6)
        self.layers = Recurrent(cell, 6 + 5, 5, num_layers=2, backend="torch")
        self.out = nn.Linear(5, V)
        self.double()
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.9)

    def start(self, memory: Tensor) -> Any:
        """memory [T, B, 5]."""
        h = tuple(torch.zeros(2, memory.shape[1], 5).double() for _ in range(2))
        h = h[: 1 if self.layers.cell.name != "lstm" else 2]
        return {"h": h, "memory": Shared(memory) if self.shared else memory}

    def step(self, state: Any, token: Tensor) -> tuple[Tensor, Any]:
        memory = state["memory"].value if self.shared else state["memory"]
        h = state["h"]
        weights = (memory * h[0][-1]).sum(-1).softmax(0)  # [T, N]
        context = (weights[:, :, None] * memory).sum(0)
        x = torch.cat([self.embedding(token), context], -1)[None]
        y, h = self.layers(x, h if len(h) > 1 else h[0])
        h = h if isinstance(h, tuple) else (h,)
        return self.out(y[0]).log_softmax(-1), {**state, "h": h}


class Sequence(NamedTuple):
    log_p: float
    tokens: tuple[int, ...]


def everything(model: Table, b: int, end: int, longest: int) -> list[Sequence]:
    """All sequences of up to `longest` symbols that end, by enumeration."""
    symbols = [v for v in range(model.V) if v != end]
    found = []
    for n in range(longest + 1):
        for tokens in product(symbols, repeat=n):
            steps = [model.after(b, tokens[:t])[token] for t, token in enumerate((*tokens, end))]
            found.append(Sequence(float(sum(steps)), tokens))
    return found


FINITE = r"the model's log-probabilities are not finite\. Are its weights\? Use an earlier ch"
NONE = r"none may follow: all log-probabilities are −inf\. Does a mask or a form rule out everything"
