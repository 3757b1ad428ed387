"""States of any nest follow their rows."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from recurra.decoding import state as states
from recurra.decoding.state import rebuilt, reorder, repeat
from recurra.errors import ConfigError
from recurra.types import Lengths, Shared

B = 4


@dataclass(frozen=True)
class Cache:
    keys: Tensor
    size: int = 3
    seen: int = field(init=False, default=7)


class Pair(NamedTuple):
    h: Tensor
    c: Tensor | None


def nest() -> Any:
    return {
        "layers": (torch.randn(B, 3), None, [torch.randn(2, B, 3)]),
        "cache": Cache(torch.randn(5, B, 2)),
        "pair": Pair(torch.randn(B, 1), None),
        "mask": torch.randint(2, (6, B, 1)).bool(),
        "said": "word",
        "memory": Shared((torch.randn(6, B, 2), None)),
    }


def leaves(state: Any) -> list[Tensor]:
    return [
        state["layers"][0],
        state["layers"][2][0],
        state["cache"].keys,
        state["pair"].h,
        state["mask"],
        state["memory"].value[0],
    ]


@pytest.mark.parametrize("rows", [[2, 0], [1, 1, 3, 0, 0], [3], [0, 1, 2, 3], [0, 1, 2], []])
def test_every_leaf_follows(rows: list[int]) -> None:
    before = nest()
    after = reorder(before, torch.tensor(rows, dtype=torch.int64))
    for old, new in zip(leaves(before), leaves(after), strict=True):
        assert new.dtype == old.dtype
        assert torch.equal(new, torch.stack([old[..., r, :] for r in rows], -2) if rows else old[..., :0, :])
    assert after["layers"][1] is None
    assert isinstance(after["pair"], Pair)
    assert after["pair"].c is None
    assert isinstance(after["cache"], Cache)
    assert (after["cache"].size, after["cache"].seen, after["said"]) == (3, 7, "word")


def test_rows_that_stay_are_not_copied() -> None:
    state = nest()
    for old, new in zip(leaves(state), leaves(reorder(state, torch.arange(B))), strict=True):
        assert new is old


def test_what_is_shared_stays_where_rows_stay_with_their_source() -> None:
    state = nest()
    moved = reorder(state, torch.tensor([1, 0, 3, 3]), within=True)
    assert moved["memory"] is state["memory"]
    assert torch.equal(moved["cache"].keys, state["cache"].keys[:, [1, 0, 3, 3]])
    dropped = reorder(state, torch.tensor([1, 0]))
    assert isinstance(dropped["memory"], Shared)
    assert torch.equal(dropped["memory"].value[0], state["memory"].value[0][:, [1, 0]])


def test_repeat_puts_the_rows_of_a_source_side_by_side() -> None:
    state = nest()
    for old, new in zip(leaves(state), leaves(repeat(state, 3)), strict=True):
        assert torch.equal(new, old.repeat_interleave(3, -2))
    assert repeat((None, (1, "a")), 3) == (None, (1, "a"))
    assert repeat(None, 3) is None


def test_gradients_flow_through() -> None:
    h = torch.randn(B, 2, requires_grad=True)
    reorder((h,), torch.tensor([1, 1, 2]))[0].sum().backward()
    assert h.grad is not None
    assert h.grad[:, 0].tolist() == [0, 2, 1, 0]


def test_leaves_without_a_batch_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"tensor of shape \[4\], expected two or more axes with the batch last but on"
    ):
        reorder((torch.zeros(B, 2), Lengths(torch.ones(B))), torch.tensor([1]))
    with pytest.raises(ConfigError, match=r"a tensor of shape \[\], expected two or more axes"):
        repeat({"n": torch.tensor(3)}, 2)
    with pytest.raises(
        ConfigError, match=r"a state holds a OrderedDictLike, expected tensors, None, numbers and words"
    ):
        reorder(OrderedDictLike(), torch.tensor([1]))
    assert reorder(OrderedDict(h=torch.zeros(B, 2)), torch.tensor([1]))["h"].shape == (1, 2)


class OrderedDictLike:
    pass


def test_leaves_and_a_nest_of_others() -> None:
    state = nest()
    found = states.leaves(state)
    assert len(found) == 6 and found[0] is state["layers"][0] and found[-1] is state["memory"].value[0]
    other = rebuilt(state, [tensor + 1 for tensor in found])
    assert other.keys() == state.keys() and other["said"] == "word" and other["pair"].c is None
    for one, before in zip(states.leaves(other), found, strict=True):
        assert torch.equal(one, before + 1)
    assert states.leaves(None) == [] and rebuilt(None, []) is None
