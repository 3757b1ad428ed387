"""The conformance suite over every registered cell over trees: a new one is tested by being registered."""

from __future__ import annotations

import pytest
import torch

from recurra.engine.trees import levels
from recurra.registry import find, names
from recurra.testing.tree_cells import TREE_CELL_CHECKS, check_tree_cell


@pytest.mark.parametrize("check", TREE_CELL_CHECKS)
@pytest.mark.parametrize("name", names("tree-cell"))
def test_tree_cell(name: str, check: str) -> None:
    TREE_CELL_CHECKS[check](find("tree-cell", name))


def test_an_engine_with_a_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = levels._Walk.to_children

    def swapped(self: levels._Walk, k: int, grads: list[torch.Tensor], D: torch.Tensor, *rest: object) -> None:
        right(self, k, grads, D.flip(0), *rest)

    monkeypatch.setattr(levels._Walk, "to_children", swapped)
    with pytest.raises(AssertionError, match="tree-lstm, several: tensor"):
        check_tree_cell("tree-lstm")
