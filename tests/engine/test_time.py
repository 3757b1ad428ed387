"""Packed rows against torch's own packing, and what the engines do with memory they share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from recurra.engine import Time
from recurra.errors import ConfigError
from recurra.nn import Recurrent
from recurra.testing.cells import relative


def test_rows_are_those_of_a_packed_sequence() -> None:
    x, lengths = torch.randn(7, 5, 3), torch.tensor([3, 7, 1, 7, 4])
    packed, time = pack_padded_sequence(x, lengths, enforce_sorted=False), Time.of(lengths, 7, 5)
    assert torch.equal(time.pack(x), packed.data)
    assert list(time.sizes) == packed.batch_sizes.tolist()
    back = time.unpack(time.pack(x), 7)
    for b, n in enumerate(lengths):
        assert torch.equal(back[:n, b], x[:n, b])
        assert not back[n:, b].any()


def test_reverse_turns_every_sequence_within_its_length() -> None:
    x, lengths = torch.randn(6, 4, 2), torch.tensor([2, 0, 6, 3])
    time = Time.of(lengths, 6, 4)
    turned = time.unpack(time.reverse(time.pack(x)), 6)
    for b, n in enumerate(lengths):
        assert torch.equal(turned[:n, b], x[:n, b].flip(0))
    assert torch.equal(time.reverse(time.reverse(time.pack(x))), time.pack(x))


@pytest.mark.parametrize(
    "lengths, error, sentence",
    [
        (torch.tensor([5, 1, 1]), ValueError, "from 0 to 4 .* they go from 1 to 5"),
        (torch.tensor([-1, 1, 1]), ValueError, "from 0 to 4 .* they go from -1 to 1"),
        (torch.tensor([1, 2]), RuntimeError, r"shape \(2,\), expected \[3\]"),
        (torch.tensor([1, 2, 3, 4]), RuntimeError, r"shape \(4,\), expected \[3\]"),
        (torch.tensor([[1, 2, 3]]), RuntimeError, r"shape \(1, 3\), expected \[3\]"),
        (torch.tensor(2), RuntimeError, r"shape \(\), expected \[3\]"),
        (torch.tensor([1.0, 2.9, 3.0]), TypeError, "torch.float32, expected whole numbers"),
        (torch.tensor([True, False, True]), TypeError, "torch.bool, expected whole numbers"),
        ([1, 2, 3], TypeError, "lengths is a list, expected a tensor"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as raised:
        Time.of(lengths, 4, 3)
    assert isinstance(raised.value, error)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8])
def test_lengths_may_be_any_whole_numbers(dtype: torch.dtype) -> None:
    time = Time.of(torch.tensor([3, 0, 4], dtype=dtype), 4, 3)
    assert (time.batch, time.sizes) == (3, (2, 2, 2, 1))


def test_no_sequence_needs_no_length() -> None:
    assert Time.of(torch.tensor([], dtype=torch.int64), 4, 0).rows == 0


@pytest.mark.parametrize("backend", ["torch", "aten"])
def test_a_graph_may_be_used_twice(backend: str) -> None:
    """retain_graph, and two calls before one backward: nothing is overwritten."""
    torch.manual_seed(0)
    layer, x = Recurrent("lstm", 3, 4, backend=backend, dtype=torch.float64), torch.randn(5, 2, 3, dtype=torch.float64)
    first, second = layer(x)[0], layer(2 * x)[0]
    wanted = torch.autograd.grad(first.sum(), layer.weight_hh_l0, retain_graph=True)[0]
    again = torch.autograd.grad(first.sum(), layer.weight_hh_l0, retain_graph=True)[0]
    both = torch.autograd.grad((first + second).sum(), layer.weight_hh_l0)[0]
    alone = torch.autograd.grad(layer(2 * x)[0].sum(), layer.weight_hh_l0)[0]
    assert torch.equal(wanted, again)
    assert relative(both, wanted + alone) <= 1e-12


def test_long_sequences_cross_the_pieces_of_the_backward() -> None:
    """More rows than one piece of the cached backward holds, with lengths."""
    torch.manual_seed(1)
    x, lengths = torch.randn(300, 8, 5, dtype=torch.float64), torch.randint(0, 301, (8,))
    grads = {}
    for backend in ("reference", "torch"):
        torch.manual_seed(2)
        layer = Recurrent("peephole-lstm", 5, 96, backend=backend, dtype=torch.float64)
        y, _ = layer(x, None, lengths)
        y.square().sum().backward()
        grads[backend] = [p.grad for p in layer.parameters()]
    for value, oracle in zip(grads["torch"], grads["reference"], strict=True):
        assert relative(value, oracle) <= 1e-12


def test_in_place_change_of_the_output_is_noticed() -> None:
    layer, x = Recurrent("lstm", 3, 4, backend="torch"), torch.randn(5, 2, 3)
    y, _ = layer(x)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
