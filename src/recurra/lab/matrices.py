"""Recurrent weights whose powers are known."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra.errors import ConfigError

LARGEST, SECOND, PUSH = 0.9, 0.8, 2.0
"""Eigenvalues of the blocks of `non_normal`, and what lies off their diagonal."""


def orthogonal(size: int, seed: int) -> Tensor:
    """Q [H, H] in float64 with Q Qᵀ = 1, every Q as likely as any other: the norm of Q v is that of v."""
    drawn = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    q, r = torch.linalg.qr(drawn)
    return q * torch.sign(torch.diagonal(r))


def non_normal(size: int, seed: int) -> Tensor:
    """W [H, H] in float64 with spectral radius 0.9 and a largest singular value of 2.31.

    W = Q diag(A, …, A) Qᵀ with A = [[0.9, 2], [0, 0.8]] and Q orthogonal, hence Aᵏ = [[0.9ᵏ, 2 (0.9ᵏ − 0.8ᵏ)/0.1],
    [0, 0.8ᵏ]]: its powers grow up to k = 6, and then fall as 0.9ᵏ. A size that is not even raises `ConfigError`.
    """
    if size % 2:
        raise ConfigError(
            f"a non-normal matrix of {size} units, expected an even number: it is made of pairs of units."
        )
    block = torch.tensor([[LARGEST, PUSH], [0.0, SECOND]], dtype=torch.float64)
    q = orthogonal(size, seed)
    return q @ torch.block_diag(*[block] * (size // 2)) @ q.T
