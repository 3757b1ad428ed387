"""What a model says of every node of a tree, and how far the error at the root reaches down: ‖∂L/∂h‖ by depth.

L is the loss of the roots alone, so that what arrives at a node has come down through all the nodes between. In
float64, beside the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.answers import Tree
from recurra.asking.answering import answer, questions
from recurra.asking.examples import as_example
from recurra.data.trees import depths
from recurra.diagnostics import horizon
from recurra.diagnostics.plain import plain
from recurra.diagnostics.reading import Given, frozen_copy, read
from recurra.errors import ConfigError, DataError
from recurra.model import Model
from recurra.progress import steps
from recurra.tasks.contract import ReadsTrees
from recurra.tasks.options import make_options
from recurra.types import Example

MOST = 200
"""Trees through which errors are followed, at most: the first."""


@dataclass(frozen=True, eq=False)
class LabelledTree:
    """A tree as a model labels it."""

    tree: Tree

    @property
    def conclusion(self) -> str:
        """How many nodes have which label, in words."""
        counts, todo = Counter[str](), [self.tree]
        while todo:
            node = todo.pop()
            counts[node.label] += 1
            todo += node.children
        told = ", ".join(f"{counts[label]:,} ‘{label}’" for label in self.tree.scale if counts[label])
        p = "" if self.tree.p is None else f", p = {self.tree.p:.3g}"
        return f"The root is ‘{self.tree.label}’{p}; of {counts.total():,} nodes: {told}."

    def as_json(self) -> dict[str, Any]:
        """The nodes as an answer has them."""
        found: dict[str, Any] = self.tree.json()["tree"]
        return found


@dataclass(frozen=True, eq=False)
class TreeReach:
    """How much of the error at the root arrives at nodes by how many lie above them."""

    shares: NDArray[np.float64]
    """[D] Geometric means over the nodes of a depth, over that of the root: 1 at depth 0."""
    nodes: NDArray[np.int64]
    """[D] Of so many nodes."""
    trees: int

    @property
    def reach(self) -> int | None:
        """The depth from which on less than 1 % is left; None: deeper than these trees are."""
        return horizon.horizon(self.shares)

    @property
    def conclusion(self) -> str:
        """A sentence or two: how much is left at the deepest nodes, and where 1 % is."""
        last = len(self.shares) - 1
        if last < 1:
            return "The tree is its root: there is nothing for an error to go down to."
        pace = horizon.slope(self.shares)
        change = "falls" if pace < 0 else "grows"
        step = f"It {change} by {abs(np.expm1(pace)):.0%} with every node down" if np.isfinite(pace) else "It vanishes"
        if self.reach is None:
            return f"{step}; at the deepest nodes, {last} below the root, {self.shares[-1]:.2g} of it is left."
        return f"{step}; from {self.reach} nodes below the root on less than 1 % of it is left."

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values, with the conclusion."""
        return {**plain(self), "conclusion": self.conclusion}


def labelled_tree(model: Model, given: Given) -> LabelledTree:
    """A tree, each node with what the model says of it. Raises `ConfigError` for a model whose answers are no trees."""
    asked = questions([model], [as_example(given, model.codecs)])
    (said,) = answer([model], asked, make_options(model.task, {}, {}), next(model.parameters()).device)
    tree = next((part for part in said.parts if isinstance(part, Tree)), None)
    if tree is None:
        raise ConfigError("the answer to this has no tree. Ask for a tree with a word in it: ((It) (works))")
    return LabelledTree(tree)


def tree_reach(model: Model, given: Given, more: Sequence[Example] = (), most: int = MOST) -> TreeReach:
    """How far errors at the roots reach down, in a tree and in `more` of them.

    A tree without a label at its root has the error of the model's own answer. Raises `ConfigError` for a model that
    reads no trees, `DataError` where no error arrives at any root.
    """
    task, codecs = model.task, model.codecs
    if not isinstance(task, ReadsTrees):
        raise ConfigError("this model reads no trees, so no error goes down one.")
    name = next(name for name in codecs.fields if "tree" in codecs[name].forms)
    parts, found = frozen_copy(model, torch.float64), list[tuple[Any, Any]]()
    for example in steps([given, *more[: most - 1]], "going down trees", "trees"):
        reading = read(model, example, answered=True)
        norms = parts.task.errors_by_node(parts.embedder, parts.core, reading.batch())[0].double().cpu().numpy()
        depth = depths(reading.encoded[name])
        root = float(norms[: len(depth)][depth == 0].sum())
        if root > 0:
            found.append((depth, norms[: len(depth)] / root))
    if not found:
        raise DataError("no error arrives at the root of any of these trees: the model is sure of its answers.")
    depth, share = np.concatenate([d for d, _ in found]), np.concatenate([s for _, s in found])
    counts = np.bincount(depth)
    there = share > 0
    logs = np.bincount(depth[there], np.log(share[there]), len(counts))
    positive = np.bincount(depth[there], minlength=len(counts))
    means = np.where(positive > 0, np.exp(logs / np.maximum(positive, 1)), 0.0)
    return TreeReach(means, counts, len(found))
