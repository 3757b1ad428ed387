"""Trees a second in training: all nodes of a height at once beside a recursion node by node, in one process, by turns.

    python benchmarks/trees.py [--trees 200] [--sizes 25 64] [--inputs 100 300] [--rounds 5] [--out FILE]

Both train the binary Tree-LSTM of Tai et al. (2015), so many numbers a word, 150 units, a label at every node, forward
and backward, on batches of the first trees of the Stanford Sentiment Treebank. The other side is what a textbook
writes: a function that calls itself for both children and adds up the loss. One thread. The ratio is that of the
medians over the batches of all rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.bench.interleaved import machine
from recurra.data.readers.trees import TreesReader
from recurra.data.trees import numbered, table
from recurra.nn.tree_layer import TreeLayer
from recurra.types import Tree

H, L = 150, 5


class Recursion(nn.Module):
    """The same network by recursion."""

    def __init__(self, D: int) -> None:
        super().__init__()
        self.word = nn.Linear(D, 5 * H)
        self.left, self.right = nn.Linear(H, 5 * H, bias=False), nn.Linear(H, 5 * H, bias=False)
        self.label = nn.Linear(H, L)

    def visit(self, node: int, example: Any, x: Tensor, losses: list[Tensor]) -> tuple[Tensor, Tensor]:
        below = example["children"][node]
        if below:
            (h1, c1), (h2, c2) = (self.visit(child, example, x, losses) for child in below)
            a = self.word.bias + self.left(h1) + self.right(h2)
            f1, f2, i, o, g = a.chunk(5)
            c = torch.sigmoid(f1) * c1 + torch.sigmoid(f2) * c2 + torch.sigmoid(i) * torch.tanh(g)
        else:
            _, _, i, o, g = self.word(x[node]).chunk(5)
            c = torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        losses.append(F.cross_entropy(self.label(h), example["labels"][node], reduction="sum"))
        return h, c

    def loss(self, examples: list[Any]) -> Tensor:
        losses: list[Tensor] = []
        for example in examples:
            self.visit(example["root"], example, example["x"], losses)
        return torch.stack(losses).sum()


class ByLevel(nn.Module):
    """The network of this package, of the same weights."""

    def __init__(self, other: Recursion) -> None:
        super().__init__()
        self.layer, self.label = TreeLayer("tree-lstm", other.word.in_features, H), nn.Linear(H, L)
        with torch.no_grad():
            self.layer.weight_ih.copy_(other.word.weight)
            self.layer.bias_ih.copy_(other.word.bias)
            self.layer.weight_left.copy_(other.left.weight)
            self.layer.weight_right.copy_(other.right.weight)
            self.label.load_state_dict(other.label.state_dict())

    def loss(self, examples: list[Any]) -> Tensor:
        steps = max(len(example["x"]) for example in examples)
        found = table([example["tree"] for example in examples], steps)
        tree = Tree(**{name: torch.from_numpy(value) for name, value in found.items()})
        x = torch.nn.utils.rnn.pad_sequence([example["x"] for example in examples], batch_first=True)
        h = self.layer(x, tree)[0]
        rows = torch.cat([tree.row[b, : len(e["labels"])] for b, e in enumerate(examples)])
        return F.cross_entropy(self.label(h[rows]), torch.cat([e["labels"] for e in examples]), reduction="sum")


def examples_of(count: int, D: int) -> list[dict[str, Any]]:
    """Trees with random vectors for their words."""
    path = Path(os.environ.get("RECURRA_DATA", "data")) / "sst" / "train.txt.gz"
    found, generator = [], torch.Generator().manual_seed(0)
    for example in TreesReader(nodes=True).read(path):
        words, *parents = example["tree"]
        tree = numbered(parents, words)
        children: list[list[int]] = [[] for _ in parents]
        for node in np.argsort(tree[:, 2], kind="stable").tolist():
            if parents[node] >= 0:
                children[parents[node]].append(node)
        labels = torch.tensor([int(label) for label in example["node_labels"]])
        x = torch.randn(words, D, generator=generator)
        found.append({"tree": tree, "children": children, "labels": labels, "x": x, "root": parents.index(-1)})
        if len(found) == count:
            break
    return found


def measured(trees: int, size: int, D: int, rounds: int) -> dict[str, Any]:
    """Trees a second of both sides, a batch of the one after the same batch of the other."""
    torch.manual_seed(0)
    examples = examples_of(trees, D)
    batches = [examples[k : k + size] for k in range(0, len(examples), size)]
    one = Recursion(D)
    models: dict[str, Any] = {"by level": ByLevel(one), "node by node": one}
    losses = {name: float(model.loss(batches[0]).detach()) for name, model in models.items()}
    apart = abs(losses["by level"] - losses["node by node"]) / losses["node by node"]
    assert apart < 1e-5, f"the two are not the same network: {losses}"
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for batch in batches:
            for name, model in models.items():
                begun = time.perf_counter()
                model.zero_grad()
                model.loss(batch).backward()
                seconds[name].append((time.perf_counter() - begun) / len(batch))
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    ratio = medians["node by node"] / medians["by level"]
    told = ", ".join(f"{name} {1 / each:,.0f}" for name, each in medians.items())
    print(f"batches of {size}, {D} numbers a word: {told} trees a second, ratio of medians {ratio:.1f}", flush=True)
    speeds = {name: 1 / each for name, each in medians.items()}
    return {"size": size, "inputs": D, "trees_per_second": speeds, "ratio": ratio, "loss_apart": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("trees", 200), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--sizes", type=int, nargs="+", default=[25, 64], help="trees of a batch")
    parser.add_argument("--inputs", type=int, nargs="+", default=[100, 300], help="numbers a word")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sys.setrecursionlimit(10_000)
    rows = [measured(given.trees, size, D, given.rounds) for D in given.inputs for size in given.sizes]
    if given.out is not None:
        found = {"machine": machine(), "trees": given.trees, "rounds": given.rounds, "units": H, "rows": rows}
        given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
