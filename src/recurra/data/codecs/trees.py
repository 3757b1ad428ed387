"""Trees over the words of an example ⇄ numbers, and the labels of their nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from recurra.data.codecs.labels import Labels
from recurra.data.trees import FIRST, HEIGHT, PARENT, WORD, numbered, table
from recurra.errors import ConfigError, DataError
from recurra.registry import part
from recurra.types import IGNORED

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DEEPEST = 100
"""The height of a tree that can be answered: an answer is nested as the tree is, and JSON of other programs too."""


@part("codec", "tree")
class TreeCodec:
    """The tree of an example, `[words, parent, parent, …]`: how many of its nodes are words, which come first, then the
    number of each node's parent, -1 at the root; int64 [K, 4] as `recurra.data.trees.numbered` has it.

    A batch gets one table of all nodes, the fields of `recurra.types.Tree`, "tree_" before each. `children`: the most
    that a node may have, 0 for any number. Raises `DataError` for what is no tree, for a node with more children, and
    for a tree of more than 100 nodes' height.
    """

    forms: ClassVar[tuple[str, ...]] = ("tree",)
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None, 4)
    padding: ClassVar[float] = 0
    size: ClassVar[int] = 0
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "tree_sizes": ("heights",),
        "tree_row": ("batch", "nodes"),
        "tree_root": ("batch",),
        "tree_word": ("words",),
        "tree_step": ("words",),
        "tree_child": ("children",),
        "tree_parent": ("children",),
    }
    sample: ClassVar[Sequence[Any]] = ([3, 3, 3, 4, 4, -1], [1, -1], [0], [2, 1, -1])

    def __init__(self, children: int = 0) -> None:
        if children < 0:
            raise ConfigError(f"children = {children}, expected 1 or more, or 0 for any number.")
        self.children = children

    def fit(self, values: Iterable[Any]) -> Self:
        """Learns nothing."""
        return self

    def encode(self, value: Any) -> NDArray[np.int64]:
        try:
            words, *parents = map(int, value)
        except (TypeError, ValueError):
            raise DataError(
                f"the tree {str(value)[:60]!r}, expected whole numbers: of its words, then of each node's parent."
            ) from None
        if not 0 <= words <= len(parents):
            raise DataError(f"a tree of {words} words and {len(parents)} nodes, expected as many nodes or more.")
        found = numbered(parents, words)
        if len(found) and (height := int(found[:, HEIGHT].max())) > DEEPEST:
            raise DataError(
                f"a tree of the height {height:,}, expected {DEEPEST} at most. Is a sequence written as a tree? Label "
                "it as one: recurra train classifier"
            )
        counts = np.bincount(found[found[:, PARENT] >= 0, PARENT], minlength=1)
        if self.children and int(counts.max()) > self.children:
            node = int(counts.argmax())
            raise DataError(
                f"a node over word {int(found[node, FIRST]) + 1} with {int(counts[node])} children, expected "
                f"{self.children} at most. Make the trees binary, or take a cell of any number of children: "
                "--set task.tree_cell=child-sum-lstm"
            )
        return found

    def decode(self, array: ArrayLike) -> list[int]:
        rows = np.asarray(array, np.int64).reshape(-1, 4)
        return [int(rows[:, WORD].sum()), *rows[:, PARENT].tolist()]

    def batched(self, arrays: Sequence[NDArray[Any]], steps: int) -> dict[str, NDArray[Any]]:
        longest = max((int(array[:, WORD].sum()) for array in arrays), default=0)
        if longest > steps:
            raise DataError(
                f"a tree over {longest:,} words, of which {steps:,} are read: a tree cannot be cut. Set "
                f"batching.cut_long = false and batching.longest = {longest} or more."
            )
        return {f"tree_{name}": value for name, value in table(arrays, steps).items()}

    def random(self, generator: np.random.Generator, steps: int) -> NDArray[np.int64]:
        """Neighbours joined two by two."""
        parents, left = [-1] * steps, list(range(steps))
        while len(left) > 1:
            k = int(generator.integers(len(left) - 1))
            parents[left[k]] = parents[left[k + 1]] = len(parents)
            left[k : k + 2] = [len(parents)]
            parents.append(-1)
        return numbered(parents, steps)

    def record(self) -> dict[str, Any]:
        return {"kind": "tree", "settings": {"children": self.children}}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return self


@part("codec", "node-labels")
class NodeLabels:
    """A name a node of a tree, None where it has none: int64 [K], -100 for None and for a name that training never saw.

    The names are numbered as tags are. In a batch "node_labels" [B, K].
    """

    forms: ClassVar[tuple[str, ...]] = ("node-labels",)
    dtype: ClassVar[type[np.generic]] = np.int64
    shape: ClassVar[tuple[int | None, ...]] = (None,)
    padding: ClassVar[float] = IGNORED
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {"node_labels": ("batch", "nodes")}
    unknown: int = IGNORED
    sample: ClassVar[Sequence[Any]] = (["good", "bad", "good"], ["bad"], [])

    def __init__(self) -> None:
        self._labels = Labels("tags")

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def size(self) -> int:
        return len(self)

    @property
    def symbols(self) -> list[str]:
        return self._labels.symbols

    def fit(self, values: Iterable[Sequence[str | None]]) -> Self:
        """Take the names. Raises `DataError` for fewer than two."""
        self._labels.fit([name for name in value if name is not None] for value in values)
        return self

    def encode(self, value: Sequence[str | None]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self._labels.encode(value)
        return found

    def decode(self, array: ArrayLike) -> list[str | None]:
        numbers = np.asarray(array).reshape(-1).tolist()
        return [None if number == IGNORED else self._labels.pieces([number])[0] for number in numbers]

    def pieces(self, ids: ArrayLike) -> list[str]:
        """The names of numbers. Raises `DataError` for one that is no label's."""
        return self._labels.pieces(ids)

    def batched(self, arrays: Sequence[NDArray[Any]], steps: int) -> dict[str, NDArray[Any]]:
        found = np.full((len(arrays), max((len(array) for array in arrays), default=0)), IGNORED, np.int64)
        for row, array in zip(found, arrays, strict=True):
            row[: len(array)] = array
        return {"node_labels": found}

    def random(self, generator: np.random.Generator, steps: int) -> NDArray[np.int64]:
        return generator.integers(0, max(1, self.size), max(0, 2 * steps - 1))

    def record(self) -> dict[str, Any]:
        return {"kind": "node-labels", "settings": {}, "symbols": self.symbols}

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self._labels.take(record["symbols"])
        return self
