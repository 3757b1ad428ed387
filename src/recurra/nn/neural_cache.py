"""The neural cache: what came lately comes again, the likelier the more its hidden state was like the present one."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.errors import ConfigError


class CacheEntries(NamedTuple):
    """The last positions of a text, oldest first: the hidden state of each, and the symbol that followed it."""

    hidden: Tensor
    """[M, H]"""
    symbols: Tensor
    """[M]"""

    def grown(self, hidden: Tensor, symbols: Tensor) -> CacheEntries:
        """With more positions behind."""
        return CacheEntries(torch.cat((self.hidden, hidden)), torch.cat((self.symbols, symbols)))


@torch.no_grad()
def with_cache(
    log_p: Tensor,
    hidden: Tensor,
    targets: Tensor,
    memory: CacheEntries | None,
    size: int,
    thetas: Tensor,
    weights: Tensor,
) -> tuple[Tensor, CacheEntries]:
    """The log-probabilities of a segment's symbols, mixed with the cache's for every θ and every λ; and the memory
    after the segment.

    p_t(w) = (1 − λ) p_model(w) + λ Σ_i [w = target_i] exp(θ h_t · h_i) / Σ_i exp(θ h_t · h_i),
    i from t − size to t − 1: what was read just before, in `memory` (None: nothing yet) and in the segment itself. The
    first symbol of a text has the model's probability alone. `log_p` is log p_model(target_t).
    One product serves all positions and every θ; one softmax is taken for each θ.

    Shapes: log_p [T], hidden [T, H], targets [T], thetas [K], weights [L] of λ, 0 ≤ λ < 1; result [K, L, T], float64.
    Source: Grave, Joulin & Usunier 2017, Improving neural language models with a continuous cache, section 3.
    """
    if size < 1:
        raise ConfigError(f"cache.size = {size}, expected 1 or more positions.")
    if memory is None:
        memory = CacheEntries(hidden[:0], targets[:0])
    M, T = len(memory.symbols), len(targets)
    seen = memory.grown(hidden, targets)
    now = torch.arange(M, M + T, device=hidden.device)[:, None]
    then = torch.arange(M + T, device=hidden.device)
    unseen, other = (then >= now) | (then < now - size), seen.symbols != targets[:, None]  # [T, M + T]
    likeness = hidden @ seen.hidden.t()
    attention = ((likeness * theta).masked_fill_(unseen, -torch.inf).softmax(1) for theta in thetas)
    cached = torch.stack([each.masked_fill_(other, 0).sum(1) for each in attention])  # [K, T]
    p, share = log_p.double().exp(), weights.double()[:, None]
    mixed = torch.log((1 - share) * p + share * cached.double()[:, None])
    if M == 0:
        mixed[:, :, :1] = log_p[:1].double()
    return mixed, CacheEntries(seen.hidden[-size:], seen.symbols[-size:])
