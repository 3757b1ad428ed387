"""What every cell over trees must show: engines agree, finite differences, batch = one by one; random weights, float64.

A check raises AssertionError with what disagrees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.trees import numbered, table
from recurra.equations.children import EACH
from recurra.equations.language import Cell
from recurra.nn.tree_layer import TreeLayer
from recurra.registry import find
from recurra.testing.cells import EXACT, relative
from recurra.types import Tree

INPUT, HIDDEN = 3, 5


def random_parents(words: int, random: np.random.Generator, binary: bool = True) -> list[int]:
    """The parents of a tree's nodes, the words first: neighbours joined two by two, or words below words."""
    if not binary:
        number = random.permutation(words)
        parents = [-1] * words
        for k in range(1, words):
            parents[number[k]] = int(number[random.integers(k)])
        return parents
    parents, open_ = [-1] * words, list(range(words))
    while len(open_) > 1:
        k = int(random.integers(len(open_) - 1))
        parents[open_[k]] = parents[open_[k + 1]] = len(parents)
        open_[k : k + 2] = [len(parents)]
        parents.append(-1)
    return parents


def chain(steps: int) -> list[int]:
    """The parents of a tree that is a sequence: each node has the one before as its only child."""
    return [*range(1, steps), -1][:steps]


def trees_of(parents: Sequence[Sequence[int]], words: Sequence[int]) -> Tree:
    """The structure of a batch of trees, of whose nodes the first `words` have an input."""
    found = table([numbered(p, w) for p, w in zip(parents, words, strict=True)], max(1, *words))
    return Tree(**{name: torch.from_numpy(value) for name, value in found.items()})


@dataclass
class Case:
    """A layer with random weights, the inputs of the words, and their trees."""

    layer: TreeLayer
    x: Tensor
    parents: list[list[int]]
    words: list[int]

    @property
    def tree(self) -> Tree:
        return trees_of(self.parents, self.words)

    def run(self, backend: Any) -> list[Tensor]:
        """States, then the gradients of x and of every weight of a weighted sum of them."""
        self.layer.backend = backend
        x = self.x.clone().requires_grad_()
        states = self.layer(x, self.tree)
        weigh = torch.Generator().manual_seed(7)
        loss = sum((torch.rand(s.shape, generator=weigh, dtype=s.dtype) * s).sum() for s in states)
        leaves = [x, *self.layer.parameters()]
        if not isinstance(loss, Tensor) or not loss.requires_grad:  # of no nodes
            return [*states, *map(torch.zeros_like, leaves)]
        found = torch.autograd.grad(loss, leaves, allow_unused=True)  # a single word has no children's weights
        return [*states, *(torch.zeros_like(v) if g is None else g for g, v in zip(found, leaves, strict=True))]


SHAPES: dict[str, tuple[int, ...]] = {
    "several": (6, 1, 9, 2),
    "one word": (1,),
    "an empty one": (3, 0, 5),
    "nothing": (0,),
    "equal": (4, 4),
}
"""Words of each tree of a batch, by what is special about it."""


def make_case(cell: Cell, words: Sequence[int], seed: int = 0, dtype: torch.dtype = torch.float64) -> Case:
    """Random trees with so many words each, as the cell takes them."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    layer = TreeLayer(cell, INPUT, HIDDEN).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    parents = [random_parents(count, random, cell.children != EACH) for count in words]
    x = torch.randn(len(words), max(1, *words), INPUT, dtype=torch.float64)
    return Case(layer, x, parents, list(words))


def check_engines(cell: Cell) -> None:
    """All heights at once = node by node: states and every gradient, whatever the trees; masks too."""
    for name, words in SHAPES.items():
        case = make_case(cell, words)
        for k, (value, oracle) in enumerate(zip(case.run("levels"), case.run("reference"), strict=True)):
            error = relative(value, oracle)
            assert error <= EXACT, f"{cell.name}, {name}: tensor {k} of shape {tuple(oracle.shape)} is {error:.1e} off"
    if cell.unmasked is cell:
        return
    case = make_case(cell, SHAPES["several"])
    case.layer.train().recurrent_dropout = 0.4
    found = []
    for backend in ("levels", "reference"):
        torch.manual_seed(3)
        found.append(case.run(backend))
    for value, oracle in zip(*found, strict=True):
        assert relative(value, oracle) <= EXACT, f"{cell.name}: with a mask the engines differ"
    assert relative(found[0][0], case.layer.eval()(case.x, case.tree)[0]) > EXACT, f"{cell.name}: nothing is masked"


def check_fewer_children(cell: Cell) -> None:
    """A node may have fewer children than its cell has places; a chain has one each."""
    case = make_case(cell, (7,))
    case.parents = [chain(7)]
    for value, oracle in zip(case.run("levels"), case.run("reference"), strict=True):
        assert relative(value, oracle) <= EXACT, f"{cell.name}: a chain differs"


def check_finite_differences(cell: Cell) -> None:
    """First and second derivatives of all states by x and every parameter."""
    case = make_case(cell, (4, 2))
    names = [name for name, _ in case.layer.named_parameters()]
    tree = case.tree

    def call(x: Tensor, *weights: Tensor) -> Any:
        return torch.func.functional_call(case.layer, dict(zip(names, weights, strict=True)), (x, tree))

    leaves = tuple(v.detach().clone().requires_grad_() for v in (case.x, *case.layer.parameters()))
    torch.autograd.gradcheck(call, leaves)
    torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


def check_one_by_one(cell: Cell) -> None:
    """The states of a batch's trees are those of each alone; what lies behind the words of one is not read."""
    case = make_case(cell, (5, 0, 8, 1))
    for b, count in enumerate(case.words):
        case.x[b, count:] = float("nan")
    whole, tree = case.layer(case.x, case.tree), case.tree
    for b, (parents, count) in enumerate(zip(case.parents, case.words, strict=True)):
        alone = trees_of([parents], [count])
        own = case.layer(case.x[b : b + 1, : max(1, count)], alone)
        for state, one in zip(whole, own, strict=True):
            found, wanted = state[tree.row[b, : len(parents)]], one[alone.row[0]]
            assert relative(found, wanted) <= EXACT, f"{cell.name}: tree {b} alone differs"


def check_float32(cell: Cell) -> None:
    """float32 no worse than twice the node by node's own error against float64, and three roundings."""
    case = make_case(cell, (30, 11, 17))
    exact = case.run("reference")
    case.layer.float()
    case.x = case.x.float()
    single = {backend: case.run(backend) for backend in ("reference", "levels")}
    for k, truth in enumerate(exact):
        error, limit = relative(single["levels"][k], truth), 2 * relative(single["reference"][k], truth) + 1e-6
        assert error <= limit, f"{cell.name}, tensor {k}: {error:.1e} > {limit:.1e}"


def check_every_parameter(cell: Cell) -> None:
    """Every parameter gets a gradient."""
    case = make_case(cell, (6, 5))
    case.layer(case.x, case.tree)[0].square().sum().backward()
    for name, parameter in case.layer.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), f"{cell.name}: no gradient at {name}"


TREE_CELL_CHECKS: dict[str, Callable[[Cell], None]] = {
    "engines": check_engines,
    "fewer children": check_fewer_children,
    "finite differences": check_finite_differences,
    "one by one": check_one_by_one,
    "float32": check_float32,
    "every parameter": check_every_parameter,
}
"""What a cell of trees must show, by name; `check_tree_cell` does all."""


def check_tree_cell(cell: Cell | str) -> None:
    """All conformance checks for one cell over trees; raises AssertionError with the first that fails."""
    cell = find("tree-cell", cell) if isinstance(cell, str) else cell
    for check in TREE_CELL_CHECKS.values():
        check(cell)
