"""How far the number of threads changes one update: loss, outputs and all gradients of a layer below a softmax.

The same weights and data, with one thread and with several: sums in another order round otherwise.

python benchmarks/threads.py --threads 2 --out threads.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from recurra.bench.interleaved import machine
from recurra.nn import Recurrent

CELLS = ("lstm", "gru", "min-gru", "layer-norm-lstm")
SHAPES = ((50, 16, 32, 128, 100), (128, 64, 128, 512, 104), (35, 20, 650, 650, 10_000), (784, 32, 1, 128, 10))
"""Steps, sequences, inputs, units, symbols."""


def update(cell: str, shape: tuple[int, ...], threads: int, dtype: torch.dtype) -> list[Tensor]:
    """The loss, the outputs and every gradient."""
    T, B, I, H, V = shape
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layer, head = Recurrent(cell, I, H, dtype=dtype), nn.Linear(H, V, dtype=dtype)
    x, target = torch.randn(T, B, I, dtype=dtype, requires_grad=True), torch.randint(V, (T * B,))
    y, _ = layer(x)
    loss = nn.functional.cross_entropy(head(y).flatten(0, 1), target)
    loss.backward()
    return [
        loss.detach(),
        y.detach(),
        *(p.grad for p in (x, *layer.parameters(), *head.parameters()) if p.grad is not None),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    rows = []
    for dtype in (torch.float32, torch.float64):
        for cell in CELLS:
            for shape in SHAPES if dtype == torch.float32 else SHAPES[:1]:
                one, several, again = (update(cell, shape, n, dtype) for n in (1, words.threads, words.threads))
                apart = [float((a - b).abs().max() / a.abs().max()) for a, b in zip(one, several, strict=True)]
                same = all(torch.equal(a, b) for a, b in zip(several, again, strict=True))
                row = {"cell": cell, "shape": shape, "type": str(dtype).removeprefix("torch."), "same again": same}
                rows.append({**row, "loss": apart[0], "outputs": apart[1], "gradients": max(apart[2:])})
                print(
                    "  ".join(
                        f"{name} {value:.1e}" if isinstance(value, float) else f"{value}"
                        for name, value in rows[-1].items()
                    )
                )
    if words.out is not None:
        words.out.write_text(json.dumps({"machine": machine(), "threads": words.threads, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
