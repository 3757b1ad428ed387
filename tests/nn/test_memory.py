"""Attention over sentences: against its recurrence as a loop, its weights, and where the sentences lie."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.nn.memory import Direction, Memory, find_segments, in_order

B, S, M = 3, 5, 4


def by_loop(direction: Direction, m: Tensor, q: Tensor) -> Tensor:
    """h_t = (1 − g_t) h_{t−1} + g_t c_t, one story: m, q [S, M]."""
    h, found = torch.zeros(M, dtype=m.dtype), {}
    order = range(len(m) - 1, -1, -1) if direction.backwards else range(len(m))
    for t in order:
        g = torch.sigmoid(direction.gate(m[t] * q[t]))
        r = torch.sigmoid(direction.reset(m[t] * q[t]))
        c = r * torch.tanh(direction.candidate(torch.cat((m[t], q[t]))))
        h = found[t] = (1 - g) * h + g * c
    return torch.stack([found[t] for t in range(len(m))])


def answer_by_loop(memory: Memory, m: Tensor, q: Tensor) -> Tensor:
    met = q.expand(len(m), M)
    for k, forwards in enumerate(memory.forwards):
        now = by_loop(forwards, m, met)
        if k < len(memory.backwards):
            now = now + by_loop(memory.backwards[k], m, met)
        met = now
    return met[-1]


def random_memory(hops: int, both: bool) -> Memory:
    memory = Memory(M, hops, both).double()
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return memory


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_it_is_the_recurrence_written_out(hops: int, both: bool) -> None:
    memory = random_memory(hops, both)
    m = torch.randn(B, S, M, dtype=torch.float64, requires_grad=True)
    q = torch.randn(B, M, dtype=torch.float64, requires_grad=True)
    leaves = (m, q, *memory.parameters())
    found, expected = memory(m, q), torch.stack([answer_by_loop(memory, m[b], q[b]) for b in range(B)])
    assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()
    by = torch.randn_like(found)
    for a, b in zip(torch.autograd.grad(found, leaves, by), torch.autograd.grad(expected, leaves, by), strict=True):
        assert (a - b).abs().max() <= 1e-11 * b.abs().max() and b.any()


def test_behind_the_end_of_a_story_is_nothing() -> None:
    memory, lengths = random_memory(2, True), torch.tensor([3, 0, 5])
    m, q = torch.randn(B, S, M, dtype=torch.float64), torch.randn(B, M, dtype=torch.float64)
    m[0, 3:], m[1] = torch.nan, torch.inf
    found, weights = memory(m, q, lengths), memory.weights(m, q, lengths)
    for b in (0, 2):
        n = int(lengths[b])
        assert torch.allclose(found[b], answer_by_loop(memory, m[b, :n], q[b]), rtol=1e-12)
        assert torch.allclose(weights[b, :, :n], memory.weights(m[b : b + 1, :n], q[b : b + 1])[0], rtol=1e-12)
        assert not weights[b, :, n:].any()
    assert torch.equal(found[1], q[1]) and not weights[1].any(), "without sentences the question is all there is"
    assert torch.equal(memory(m[:, :0], q), q) and memory.weights(m[:, :0], q).shape == (B, 2, 0)


def test_the_latest_of_sentences_that_match_counts() -> None:
    memory = Memory(M, hops=1)
    with torch.no_grad():
        memory.forwards[0].gate.weight.fill_(20.0)
        memory.forwards[0].gate.bias.fill_(-10.0)
    cat, dog = torch.eye(M)[:2]
    story = torch.stack([cat, dog, cat, dog])
    for question, place in ((cat, 2), (dog, 3)):
        weights = memory.weights(story[None], question[None])[0, 0]
        assert weights.argmax() == place and weights[place] > 0.99 and weights.sum() <= 1


def test_weights_of_an_earlier_hop_are_those_the_next_one_uses() -> None:
    memory = random_memory(2, False)
    m, q = torch.randn(1, S, M, dtype=torch.float64), torch.randn(1, M, dtype=torch.float64)
    first, a = memory.forwards[0](m, q[:, None].expand_as(m), None)
    _, b = memory.forwards[1](m, first, None)
    expected = torch.stack((b[0, -1] @ a[0], b[0, -1]))
    assert torch.allclose(memory.weights(m, q)[0], expected, rtol=1e-12)
    assert (a >= 0).all() and (a.sum(2) <= 1).all() and not a.triu(1).any()


def test_gates_start_almost_shut() -> None:
    assert all(direction.gate.bias.item() < -2 for direction in (*Memory(M).forwards, *Memory(M).backwards))


def test_sizes_out_of_range() -> None:
    with pytest.raises(ConfigError, match=r"memory: hops = 0, expected 1 or more\."):
        Memory(M, hops=0)
    with pytest.raises(ConfigError, match=r"memory: size = 0, expected 1 or more\."):
        Memory(0)


def test_segments_are_found() -> None:
    numbers = torch.tensor([[0, 0, 1, 1, 1, 2], [4, 4, 4, 9, 9, 9], [0, 1, 2, 3, 4, 5]])
    found = find_segments(numbers, torch.tensor([6, 4, 0]))
    assert found.number.tolist() == [3, 2, 0]
    assert found.counts.tolist() == [2, 3, 1, 3, 1]
    assert found.sequence.tolist() == [0, 0, 0, 1, 1] and found.place.tolist() == [0, 1, 2, 0, 1]
    assert found.last.tolist() == [False, False, True, False, True]
    tokens = torch.arange(18).view(3, 6).t().reshape(-1)[found.words]  # [W, N], token t of sequence b is 6 b + t
    columns = [tokens[:n, k].tolist() for k, n in enumerate(found.counts.tolist())]
    assert columns == [[0, 1], [2, 3, 4], [5], [6, 7, 8], [9]]
    assert find_segments(numbers, None).number.tolist() == [3, 2, 6]
    assert len(find_segments(numbers, torch.tensor([0, 0, 0])).counts) == 0


def test_order_counts_as_the_formula_says() -> None:
    counts = [3, 1]
    y = torch.randn(3, 2, M, dtype=torch.float64)
    y[1:, 1] = torch.nan
    found = in_order(y, torch.tensor(counts))
    for n, J in enumerate(counts):
        expected = torch.zeros(M, dtype=torch.float64)
        for j in range(1, J + 1):
            for k in range(1, M + 1):
                expected[k - 1] += ((1 - j / J) - (k / M) * (1 - 2 * j / J)) * y[j - 1, n, k - 1]
        assert torch.allclose(found[n], expected, rtol=1e-12)
