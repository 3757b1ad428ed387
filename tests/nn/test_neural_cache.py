"""The neural cache against a loop that says what the paper says, position by position."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.nn.neural_cache import CacheEntries, with_cache

T, H, V = 60, 5, 7
THETAS, WEIGHTS = torch.tensor([0.0, 0.4, 3.0]).double(), torch.tensor([0.0, 0.1, 0.9]).double()


def text(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities [T, V], hidden states [T, H], symbols [T]."""
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(T, V, generator=generator, dtype=torch.float64).log_softmax(1)
    hidden = torch.randn(T, H, generator=generator, dtype=torch.float64)
    return log_p, hidden, torch.randint(V, (T,), generator=generator)


def naive(log_p: Tensor, hidden: Tensor, symbols: Tensor, size: int, theta: float, weight: float) -> Tensor:
    """The whole distributions [T, V]: every position looks at the `size` positions before it."""
    p = log_p.exp().clone()
    for t in range(1, T):
        cached = torch.zeros(V).double()
        for i in range(max(0, t - size), t):
            cached[symbols[i]] += math.exp(theta * float(hidden[t] @ hidden[i]))
        p[t] = (1 - weight) * p[t] + weight * cached / cached.sum()
    return p


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("segments", [[T], [1] * T, [13, 1, 20, 26], [0, 30, 0, 30]])
def test_the_cache_is_the_naive_one_however_the_text_is_cut(size: int, segments: list[int]) -> None:
    log_p, hidden, symbols = text()
    of_targets = log_p.gather(1, symbols[:, None])[:, 0]
    memory: CacheEntries | None = None
    found, start = [], 0
    for n in segments:
        part = slice(start, start + n)
        mixed, memory = with_cache(of_targets[part], hidden[part], symbols[part], memory, size, THETAS, WEIGHTS)
        assert mixed.shape == (3, 3, n)
        found.append(mixed)
        start += n
        assert len(memory.symbols) == min(size, start)
    whole = torch.cat(found, 2)
    for k, theta in enumerate(THETAS.tolist()):
        for j, weight in enumerate(WEIGHTS.tolist()):
            p = naive(log_p, hidden, symbols, size, theta, weight)
            assert torch.allclose(p.sum(1), torch.ones(T).double(), rtol=1e-12)
            expected = p.gather(1, symbols[:, None])[:, 0].log()
            assert torch.allclose(whole[k, j], expected, rtol=1e-12)


def test_without_weight_it_is_the_model_alone() -> None:
    log_p, hidden, symbols = text(1)
    of_targets = log_p.gather(1, symbols[:, None])[:, 0]
    mixed, _ = with_cache(of_targets, hidden, symbols, None, 10, torch.tensor([0.3]), torch.tensor([0.0]))
    assert torch.allclose(mixed[0, 0], of_targets, rtol=1e-12)


def test_what_follows_changes_nothing_before() -> None:
    log_p, hidden, symbols = text(2)
    of_targets = log_p.gather(1, symbols[:, None])[:, 0]
    changed = hidden.clone(), symbols.clone()
    changed[0][40:], changed[1][40:] = 7.0, 3
    first, _ = with_cache(of_targets, hidden, symbols, None, 9, THETAS, WEIGHTS)
    other, _ = with_cache(of_targets, *changed, None, 9, THETAS, WEIGHTS)
    assert torch.equal(first[:, :, :40], other[:, :, :40])
    assert not torch.equal(first[:, :, 40:], other[:, :, 40:])


def test_states_far_apart_do_not_overflow() -> None:
    log_p, hidden, symbols = text(3)
    mixed, _ = with_cache(
        log_p[:, 0], 100 * hidden.float(), symbols, None, 20, torch.tensor([5.0]), torch.tensor([0.2])
    )
    assert mixed.isfinite().all()


def test_a_cache_without_a_place_is_refused() -> None:
    log_p, hidden, symbols = text()
    with pytest.raises(ConfigError, match=r"cache.size = 0, expected 1 or more positions"):
        with_cache(log_p[:, 0], hidden, symbols, None, 0, THETAS, WEIGHTS)
