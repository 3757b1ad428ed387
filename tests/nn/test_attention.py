"""Attention against its equations, place by place; masks, weights, memory."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.errors import ConfigError
from recurra.nn import attention
from recurra.nn.attention import Attention, additive_scores, attend

U, T, B, Q, S, A = 4, 6, 3, 5, 7, 8
LENGTHS = (6, 2, 4)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def made(kind: Any, query: int = Q) -> Attention:
    torch.manual_seed(1)
    return Attention(kind, query, S, A).double()


def by_hand(layer: Attention, q: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """One query [Q] over one memory [T, S], as the papers write it."""
    if layer.kind == "additive":
        scores = [layer.v @ torch.tanh(layer.query.weight @ q + layer.keys.weight @ place) for place in m]
    elif layer.kind == "general":
        scores = [q @ layer.query.weight.t() @ place for place in m]
    else:
        scores = [q @ place / math.sqrt(S) for place in m]
    e = torch.stack(scores).exp()
    alpha = e / e.sum()
    return sum(a * place for a, place in zip(alpha, m, strict=True)), alpha


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("kind", ["additive", "general", "dot"])
def test_equations(kind: str, lengths: tuple[int, ...] | None) -> None:
    width = S if kind == "dot" else Q
    layer = made(kind, width)
    q, y = random(U, B, width), random(B, T, S)
    memory = layer.remember(y, None if lengths is None else torch.tensor(lengths))
    c, alpha = layer(q, memory, weights=True)
    for b in range(B):
        n = T if lengths is None else lengths[b]
        for u in range(U):
            expected, weights = by_hand(layer, q[u, b], y[b, :n])
            assert torch.allclose(c[u, b], expected, atol=1e-13)
            assert torch.allclose(alpha[b, u, :n], weights, atol=1e-14)
            assert not alpha[b, u, n:].any()


@pytest.mark.parametrize("kind", ["additive", "general", "dot"])
def test_weights_change_nothing_and_are_not_kept(kind: str) -> None:
    layer = made(kind, S)
    q, y = random(U, B, S), random(B, T, S)
    memory = layer.remember(y, torch.tensor(LENGTHS))
    names = set(vars(layer))
    found = []
    for weights in (False, True):
        c, alpha = layer(q, memory, weights=weights)
        assert (alpha is not None) == weights
        loss = (c * torch.linspace(-1, 1, c.numel(), dtype=c.dtype).view(c.shape)).sum()
        found.append([c, *torch.autograd.grad(loss, (q, y, *layer.parameters()), retain_graph=True)])
    for without, asked in zip(*found, strict=True):
        assert torch.allclose(without, asked, atol=1e-13)
    assert set(vars(layer)) == names


@pytest.mark.parametrize("kind", ["additive", "general", "dot"])
def test_an_empty_source_gives_zeros(kind: str) -> None:
    layer = made(kind, S)
    y = random(B, T, S)
    c, _ = layer(random(U, B, S), layer.remember(y, torch.tensor((3, 0, 6))))
    assert not c[:, 1].any() and c[:, 0].all()
    (grad,) = torch.autograd.grad(c.sum(), y)
    assert grad.isfinite().all() and not grad[1].any()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_attend_both_ways(causal: bool, scale: float | None) -> None:
    q, k, v = random(B, 2, T, Q), random(B, 2, T, Q), random(B, 2, T, S)
    mask = None if causal else (torch.rand(B, 1, T, T) < 0.6) | torch.eye(T, dtype=torch.bool)
    quick, nothing = attend(q, k, v, mask, causal=causal, scale=scale)
    c, alpha = attend(q, k, v, mask, causal=causal, scale=scale, weights=True)
    assert nothing is None and alpha is not None
    assert torch.allclose(quick, c, atol=1e-14)
    assert torch.allclose(alpha @ v, c, atol=1e-14)
    seen = torch.ones(T, T, dtype=torch.bool).tril() if mask is None else mask
    assert not alpha.masked_fill(seen, 0).any()
    for x in (q, k, v):
        first, second = (torch.autograd.grad((o * o).sum(), x, retain_graph=True)[0] for o in (quick, c))
        assert torch.allclose(first, second, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("weights", [False, True])
def test_a_query_that_no_place_counts_for_sees_nothing(weights: bool, dtype: torch.dtype) -> None:
    """Not 0 / 0: neither its result nor anybody's gradient."""
    leaves = [random(B, 2, T, n) for n in (Q, Q, S)]
    q, k, v = (x.to(dtype) for x in leaves)
    mask = torch.ones(B, 1, T, T, dtype=torch.bool)
    mask[0, :, 1] = mask[-1] = False
    c, alpha = attend(q, k, v, mask, weights=weights)
    assert not c[0, :, 1].any() and not c[-1].any() and c[0, :, 0].all()
    assert alpha is None or not alpha.masked_fill(mask, 0).any()
    for found in torch.autograd.grad(c.double().sum(), leaves):
        assert found.isfinite().all() and not found[-1].any()


def test_the_backward_of_docs_maths() -> None:
    """∂L/∂e_j = α_j c̄ · (m_j − c), as docs/maths/attention.md has it."""
    e, m, c_bar = random(T), random(T, S), random(S)
    alpha = e.softmax(0)
    c = alpha @ m
    (grad_e,) = torch.autograd.grad(c @ c_bar, e)
    assert torch.allclose(grad_e, alpha * ((m - c) @ c_bar), atol=1e-14)


@pytest.mark.parametrize("queries", [1, 3, 1000])
def test_additive_scores_in_pieces(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "CACHED_BYTES", queries * T * B * A * 8)
    q, k, v = random(U, B, A), random(T, B, A), random(A)
    ours = additive_scores(q, k, v)
    plain = torch.tanh(q[:, None] + k) @ v
    assert torch.allclose(ours, plain, atol=1e-14)
    g = torch.randn_like(plain)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (q, k, v), g), torch.autograd.grad(plain, (q, k, v), g), strict=True
    ):
        assert torch.allclose(mine, theirs, atol=1e-13)


def test_additive_scores_hold_a_piece_only(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    empty = Tensor.new_empty

    def counted(self: Tensor, *shape: Any, **options: Any) -> Tensor:
        made = empty(self, *shape, **options)
        held.append(made.numel() * made.element_size())
        return made

    monkeypatch.setattr(Tensor, "new_empty", counted)
    scores = additive_scores(random(200, 8, 64), random(100, 8, 64), random(64))
    scores.sum().backward()
    assert max(held) <= max(attention.CACHED_BYTES, scores.numel() * 8) < 200 * 100 * 8 * 64 * 8 / 5


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown attention 'aditive': did you mean 'additive'\? Known: additive, dot"
    ):
        Attention("aditive", Q, S, A)  # type: ignore[arg-type]
    message = r"'dot' wants .* the decoder's h has 5 units and the encoder's y 7. Set task.decoder.hidden_size = 7, or"
    with pytest.raises(ConfigError, match=message):
        Attention("dot", Q, S, A)
