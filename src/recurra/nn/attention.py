"""Attention: for every query a mean of what is remembered, weighed by how well each place fits the query.

Of a source with T places, memory m_1 … m_T, and a query q:  α = softmax_t(score(q, m_t)),  c = Σ_t α_t m_t.
Weights α are given back when they are asked for and kept nowhere.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from recurra.engine.time import check_lengths
from recurra.errors import ConfigError, did_you_mean

Kind = Literal["additive", "dot", "general"]

Memory = tuple[Tensor, Tensor | None, Tensor | None]
"""What is attended to: values [T, B, S]; keys [T, B, A] where the score has a product of its own for them; which places
count [T, B, 1], None: all of them."""

CACHED_BYTES = 2**20
"""The most terms of additive scores held at once on the CPU: they go to and fro, and fit the processor's cache."""
LAUNCHED_BYTES = 2**26
"""The same elsewhere, where a few large pieces are quicker than many small ones."""


def places(lengths: Tensor, like: Tensor) -> Tensor:
    """Which steps of `like` [T, B, …] there are in sequences of these lengths [B]: [T, B, 1], on its device.

    Raises as recurra.engine.time.check_lengths.
    """
    T, B = like.shape[:2]
    lengths = check_lengths(lengths, T, B).to(like.device)
    return (torch.arange(T, device=like.device)[:, None] < lengths)[:, :, None]


def attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention: α = softmax(q · kᵀ · scale), c = α v; and α where `weights` asks for it.

    Shapes: query [B, N, U, d], keys [B, N, T, d], values [B, N, T, e]; c [B, N, U, e], α [B, N, U, T].
    `mask`, true where a place counts, broadcasts to α; of a query that no place counts for, α and c are 0. `causal` in
    its stead: query u sees the places up to u. `scale`: 1/√d where none is given (Vaswani et al. 2017, eq. 1).
    """
    if not weights and not _backward_is_slow(query, keys, values):
        attended = F.scaled_dot_product_attention(query, keys, values, mask, is_causal=causal, scale=scale)
        return attended, None
    scores = (query @ keys.transpose(-2, -1)) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    alpha = _softmax(scores, mask)
    return alpha @ values, alpha if weights else None


def _backward_is_slow(query: Tensor, keys: Tensor, values: Tensor) -> bool:
    """Whether torch's kernel is no good here: on a CPU its backward in bfloat16 took 3 to 9 times as long as the plain
    products of 15 to 100 steps."""
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in (query, keys, values))
    return learns and query.device.type == "cpu" and query.dtype == torch.bfloat16


def _softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis, of the places that count; zeros where none does."""
    if mask is None:
        return scores.softmax(-1)
    # Not −∞, whose softmax is 0 / 0 where no place counts, and in backward as well.
    alpha = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return alpha.masked_fill(~mask.any(-1, keepdim=True), 0)


class Attention(nn.Module):
    """Attention of a decoder's states to an encoder's: query [U, B, Q], memory → c [U, B, S], α [B, U, T].

    score(q, m), by `kind`:
    - additive: v · tanh(W q + U m) with `size` units (Bahdanau et al. 2015, appendix A.1.2).
    - general: q · W m (Luong et al. 2015, eq. 8).
    - dot: q · m / √S, for queries as wide as the memory (Vaswani et al. 2017, eq. 1).
    """

    def __init__(self, kind: Kind, query: int, memory: int, size: int) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            known = get_args(Kind)
            raise ConfigError(f"unknown attention {kind!r}{did_you_mean(kind, known)} Known: {', '.join(known)}.")
        if kind == "dot" and query != memory:
            raise ConfigError(
                f"attention 'dot' wants queries and memory of one width, but the decoder's h has {query} units and the "
                f"encoder's y {memory}. Set task.decoder.hidden_size = {memory}, or attention = 'general'."
            )
        self.kind = kind
        if kind == "additive":
            self.query = nn.Linear(query, size, bias=False)
            self.keys = nn.Linear(memory, size, bias=False)
            self.v = nn.Parameter(torch.empty(size).uniform_(-1 / math.sqrt(size), 1 / math.sqrt(size)))
        elif kind == "general":
            self.query = nn.Linear(query, memory, bias=False)
            nn.init.xavier_uniform_(self.query.weight)

    def extra_repr(self) -> str:
        return repr(self.kind)

    def remember(self, y: Tensor, lengths: Tensor | None = None) -> Memory:
        """Memory of what an encoder gave, y [B, T, S]; what stands behind an end is never read. Of an empty sequence
        zeros are remembered."""
        values, mask = y.transpose(0, 1), None
        if lengths is not None:
            there = places(lengths, values)
            values = values.masked_fill(~there, 0)
            mask = there | ~there[:1]  # an empty sequence attends to its zeros: its softmax is no 0 / 0
        return values, self.keys(values) if self.kind == "additive" else None, mask

    def forward(self, query: Tensor, memory: Memory, weights: bool = False) -> tuple[Tensor, Tensor | None]:
        values, keys, mask = memory
        by_sequence = values.transpose(0, 1)  # [B, T, S]
        mask = None if mask is None else mask.permute(1, 2, 0)  # [B, 1, T]
        if self.kind == "additive":
            assert keys is not None
            alpha = _softmax(additive_scores(self.query(query), keys, self.v).permute(2, 0, 1), mask)
            return (alpha @ by_sequence).transpose(0, 1), alpha if weights else None
        if self.kind == "general":
            query = self.query(query)
        one = by_sequence[:, None]  # a single head
        mask = None if mask is None else mask[:, None]
        scale = None if self.kind == "dot" else 1.0
        c, found = attend(query.transpose(0, 1)[:, None], one, one, mask, scale=scale, weights=weights)
        return c[:, 0].transpose(0, 1), None if found is None else found[:, 0]


def additive_scores(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """v · tanh(q_u + k_t) for all u and t: query [U, B, A], keys [T, B, A], v [A] → [U, T, B].

    The U·T·B·A terms are never held whole: a few queries at a time, computed anew by the backward.
    """
    scores: Tensor = _AdditiveScores.apply(query, keys, v)
    return scores


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, v)
        (U, B, _), T = query.shape, keys.shape[0]
        scores = query.new_empty(U, T, B)
        with torch.autocast(query.device.type, enabled=False):
            for here, terms in _pieces(query, keys):
                scores[here] = torch.mv(terms.flatten(0, 2), v.to(terms.dtype)).view(-1, T, B)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With d = v ⊙ (1 − tanh²) g:  ∇q_u = Σ_t d,  ∇k_t = Σ_u d,  ∇v = Σ tanh · g."""
        query, keys, v = ctx.saved_tensors
        grad_query, grad_keys, grad_v = torch.empty_like(query), torch.zeros_like(keys), torch.zeros_like(v)
        with torch.autocast(query.device.type, enabled=False):
            for here, terms in _pieces(query, keys):
                g = grad[here].to(terms.dtype)
                grad_v += torch.mv(terms.flatten(0, 2).t(), g.reshape(-1))
                d = terms.square_().neg_().add_(1).mul_(g[..., None])
                grad_query[here] = d.sum(1)
                grad_keys += d.sum(0)
        return grad_query.mul_(v), grad_keys.mul_(v), grad_v


def _pieces(query: Tensor, keys: Tensor) -> Any:
    """tanh(q + k) [n, T, B, A] for n queries at a time, and which these are; the same memory for all."""
    largest = CACHED_BYTES if query.device.type == "cpu" else LAUNCHED_BYTES
    each = keys.numel() * query.element_size()
    n = max(1, min(len(query), largest // max(1, each)))
    terms = query.new_empty(n, *keys.shape)
    for start in range(0, len(query), n):
        here = slice(start, min(start + n, len(query)))
        part = terms[: here.stop - start]
        torch.add(query[here, None], keys, out=part)
        yield here, part.tanh_()
