"""A cell that nobody has published: written once, in Python or as text, then checked, printed and trained.

python examples/custom_cell.py
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import recurra
from recurra.equations.parse import parse
from recurra.nn import Recurrent
from recurra.registry import find, load_plugin
from recurra.testing import check_cell

PLUGIN = Path(__file__).with_name("two_speed.py")
"""The cell in Python."""
TEXT = """
state: h m
f = sigmoid(f + unit("f_sees") * m)
n = tanh(n + unit("n_sees") * m)
pace = sigmoid(unit("pace", -2.0))
m = m + pace * (h - m)
h = f * h + (1 - f) * n
"""
"""The same as text, as a recipe has it under core.equations."""

SMALL: dict[str, Any] = {
    "core.hidden_size": 64,
    "core.num_layers": 1,
    "embedder.size": 16,
    "embedder.dropout": 0.0,
    "task.dropout": 0.0,
}
SMALL |= {"batching.streams": 16, "batching.steps": 32, "baseline.order": 6, "training.device": "cpu"}
SMALL |= {"training.learning_rate": 0.01, "training.average": 0.0, "training.epochs": 12, "training.threads": 1}


def brackets(draw: random.Random, length: int) -> str:
    """Well-nested brackets of three kinds: which one closes next only a memory knows."""
    text, waiting = [], []
    while len(text) < length:
        if waiting and draw.random() < (0.5 if len(waiting) < 6 else 1.0):
            text.append(waiting.pop())
        else:
            opened, closed = draw.choice(("()", "[]", "{}"))
            text.append(opened)
            waiting.append(closed)
    return "".join(text)


if __name__ == "__main__":
    load_plugin(PLUGIN)
    begun = time.monotonic()
    check_cell("two-speed")
    check_cell(parse(TEXT))
    print(f"both pass every check that the package's own cells pass ({time.monotonic() - begun:.0f} s)")

    cells = {"in Python": find("cell", "two-speed"), "as text": parse(TEXT)}
    x, layers = torch.randn(9, 4, 3), []
    for cell in cells.values():
        torch.manual_seed(0)
        layers.append(Recurrent(cell, 3, 5, num_layers=2, bidirectional=True))
    print(f"equal outputs for equal weights: {torch.equal(layers[0](x)[0], layers[1](x)[0])}")

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "brackets.txt")
        file.write_text(brackets(random.Random(0), 30_000), encoding="utf-8")
        for name, own in (("in Python", {"core.cell": "two-speed"}), ("as text", {"core.equations": TEXT})):
            run: Any = recurra.train("char-lm", file, out=Path(folder, name), settings=SMALL | own, plugins=[PLUGIN])
            test = run.report["scores"]["test"]
            n_gram = min(row["bits_per_symbol"] for row in test["baseline"])
            bits = test["model"]["bits_per_symbol"]
            print(f"{name}: {bits:.4f} bits a bracket; the best n-gram: {n_gram:.4f}")
