"""Trees as numbers: who is whose parent, how high every node is, and a batch of them as one table of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recurra.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARENT, HEIGHT, FIRST, WORD = range(4)
"""Columns of a tree: the number of a node's parent, -1 at the root; its height, 0 without children, else one more than
its highest child's; the first word below it or at it; 1 where it has a word of its own."""


def numbered(parents: Sequence[int], words: int) -> NDArray[np.int64]:
    """A tree [K, 4] from the number of each node's parent, -1 at the root; nodes 0 to `words` - 1 are its words.

    Nothing calls itself, so that a tree may be of any depth. Raises `DataError` for parents that are no tree: no root
    or several, a parent that is no node, a circle; and for a node without children that is no word.
    """
    K = len(parents)
    roots = sum(parent == -1 for parent in parents)
    if roots != 1 and K:
        raise DataError(f"a tree with {roots} roots, expected one: a single node whose parent is -1.")
    waiting = [0] * K
    for node, parent in enumerate(parents):
        if not -1 <= parent < K:
            raise DataError(f"node {node} has the parent {parent}, expected one of 0 to {K - 1}, or -1 for the root.")
        if parent >= 0:
            waiting[parent] += 1
    height, first = [0] * K, [*range(words), *[K] * (K - words)]
    ready = [node for node in range(K) if not waiting[node]]
    for node in ready:
        if node >= words:
            raise DataError(f"node {node} has neither a word nor children, expected either.")
    done = 0
    while ready:
        node = ready.pop()
        done += 1
        if (parent := parents[node]) >= 0:
            height[parent] = max(height[parent], height[node] + 1)
            first[parent] = min(first[parent], first[node])
            waiting[parent] -= 1
            if not waiting[parent]:
                ready.append(parent)
    if done < K:
        stuck = next(node for node in range(K) if waiting[node])
        raise DataError(f"node {stuck} is below itself: its parents go in a circle, expected a tree.")
    word = [1] * words + [0] * (K - words)
    return np.array([list(parents), height, first, word], np.int64).reshape(4, K).T.copy()


def depths(tree: NDArray[np.int64]) -> NDArray[np.int64]:
    """[K] How many nodes stand above each node of a tree [K, 4]: 0 at the root."""
    found = np.zeros(len(tree), np.int64)
    parents = tree[:, PARENT].tolist()
    for node in np.argsort(-tree[:, HEIGHT], kind="stable").tolist():  # a parent is higher than its children
        if parents[node] >= 0:
            found[node] = found[parents[node]] + 1
    return found


def table(trees: Sequence[NDArray[np.int64]], steps: int) -> dict[str, NDArray[Any]]:
    """The fields of `recurra.types.Tree`, by name, of a batch of trees [K, 4], whose inputs are padded to `steps` T."""
    counts = np.array([len(tree) for tree in trees], np.int64)
    N, start = int(counts.sum()), np.cumsum(counts) - counts
    nodes = np.concatenate([np.zeros((0, 4), np.int64), *trees])
    tree_of = np.repeat(np.arange(len(trees)), counts)
    number = np.arange(N) - start[tree_of]
    order = np.argsort(nodes[:, HEIGHT], kind="stable")
    place = np.empty(N, np.int64)
    place[order] = np.arange(N)  # of each node its row
    below = np.flatnonzero(nodes[:, PARENT] >= 0)
    child, parent = place[below], place[nodes[below, PARENT] + start[tree_of[below]]]
    siblings = np.lexsort((nodes[below, FIRST], parent))
    rows = np.full((len(trees), int(counts.max(initial=0))), N, np.int64)
    rows[tree_of, number] = place
    root = np.full(len(trees), N, np.int64)
    top = nodes[:, PARENT] < 0
    root[tree_of[top]] = place[top]
    words = np.flatnonzero(nodes[:, WORD])
    words = words[np.argsort(place[words])]
    return {
        "sizes": np.bincount(nodes[:, HEIGHT], minlength=1),
        "row": rows,
        "root": root,
        "word": place[words],
        "step": tree_of[words] * steps + number[words],
        "child": child[siblings],
        "parent": parent[siblings],
    }
