"""Attention of steps to steps, in several heads, and what tells these where a step stands."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn.attention import attend

Pair = tuple[Tensor, Tensor]
"""Keys and values of the steps seen, each [T, B, H]; or cosines and sines."""


class MultiHead(nn.Module):
    """Attention in several heads, each with products of its own for queries, keys and values.

    Shapes: x [U, B, H], keys and values [T, B, H], mask as for `attend`; gives [U, B, H], α [B, heads, U, T].
    """

    def __init__(self, size: int, heads: int, memory: int) -> None:
        super().__init__()
        self.heads = heads
        # No bias for keys: it adds the same to all scores of a query, which its softmax does not see.
        self.query, self.keys, self.values = linear(size, size), linear(memory, size, False), linear(memory, size)
        self.output = linear(size, size)

    def read(self, memory: Tensor, turn: Pair | None = None) -> Pair:
        """Keys and values of what is attended to, [T, B, S]."""
        return _turned(self.keys(memory), turn, self.heads), self.values(memory)

    def forward(
        self,
        x: Tensor,
        memory: Pair,
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        turn: Pair | None = None,
        weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        query = _turned(self.query(x), turn, self.heads)
        q, k, v = (t.unflatten(2, (self.heads, -1)).permute(1, 2, 0, 3) for t in (query, *memory))
        c, alpha = attend(q, k, v, mask, causal=causal, weights=weights)  # [B, heads, U, d]
        return self.output(c.permute(2, 0, 1, 3).flatten(2)), alpha


def _turned(x: Tensor, turn: Pair | None, heads: int) -> Tensor:
    """x [T, B, H] with the pairs (i, i + d/2) of each head's entries turned by their angles."""
    if turn is None:
        return x
    (cos, sin), (a, b) = turn, x.unflatten(2, (heads, -1)).chunk(2, 3)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), 3).flatten(2)


class LookBack(nn.Module):
    """x + attention of x to itself up to each step, behind a norm, at rotary positions: [U, B, H], and the keys and
    values of all steps so far."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.attention, self.dropout = nn.LayerNorm(size), MultiHead(size, heads, size), dropout

    def start(self, like: Tensor) -> Pair:
        """Of no step [0, B, H], B the length of `like`."""
        nothing = like.new_zeros(0, like.shape[0], len(self.norm.weight))
        return nothing, nothing

    def forward(self, x: Tensor, past: Pair) -> tuple[Tensor, Pair]:
        U, n, heads = x.shape[0], past[0].shape[0], self.attention.heads
        steps = torch.arange(n, n + U, device=x.device)
        turn = rotation(steps[:, None], x.shape[2] // heads, x)
        z = self.norm(x)
        keys, values = self.attention.read(z, turn)
        if n:
            keys, values = torch.cat((past[0], keys)), torch.cat((past[1], values))
        seen = None if U == 1 or n == 0 else torch.arange(n + U, device=x.device) <= steps[:, None]
        found, _ = self.attention(z, (keys, values), seen, causal=U > 1 and n == 0, turn=turn)
        return x + F.dropout(found, self.dropout, self.training), (keys, values)


def rotation(steps: Tensor, size: int, like: Tensor) -> Pair:
    """Cosines and sines of the angles that turn heads of `size` entries at `steps` [T, ·]: [T, ·, 1, size / 2]."""
    found = angles(steps, size, like)[:, :, None]
    return found.cos(), found.sin()


def angles(steps: Tensor, size: int, like: Tensor) -> Tensor:
    """t / 10000^(2i / size), [T, ·, size / 2]."""
    exact = torch.promote_types(like.dtype, torch.float32)
    i = torch.arange(0, size, 2, dtype=exact, device=like.device)
    return (steps[:, :, None].to(exact) * 10000.0 ** (-i / size)).to(like.dtype)


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A product whose weights start uniform in ±√(6 / (inputs + outputs)), its bias at 0 (Glorot & Bengio 2010)."""
    made = nn.Linear(inputs, outputs, bias)
    nn.init.xavier_uniform_(made.weight)
    if bias:
        nn.init.zeros_(made.bias)
    return made
