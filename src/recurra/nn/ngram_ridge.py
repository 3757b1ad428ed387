"""Numbers as a linear function of the n-grams of a text and its length: ridge regression, solved and not trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn.ngrams import FEW, STRENGTHS, Sparse
from recurra.progress import steps

ITERATIONS, EXACT = 200, 1e-5
"""Of conjugate gradients, at most; what is left of the residual's norm at which they end."""


class NgramRidge(nn.Module):
    """z_g = Σ_k x_k W_kg + a_g u + b_g over the distinct n-grams k of a text, [B, K] of their numbers and counts, and u
    [B], how long it is, to [B, G].

    x is the tf-idf of `NgramLayer`, of length 1. W, a and b of each group are the minimum of Σ_n (z − y)² + λ (‖W‖² +
    a²) over its texts. Nothing of it is a parameter that learns.
    """

    weight: Tensor
    rarity: Tensor
    """[F + 1]: ln((1 + N) / (1 + n_k)) + 1, and 0 for the padding."""
    slope: Tensor
    bias: Tensor

    def __init__(self, size: int, G: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("weight", torch.zeros(size + 1, G))
        self.register_buffer("rarity", torch.cat((torch.ones(size), torch.zeros(1))))
        self.register_buffer("slope", torch.zeros(G))
        self.register_buffer("bias", torch.zeros(G))

    def forward(self, numbers: Tensor, counts: Tensor, length: Tensor) -> Tensor:
        x = self.rarity[numbers] * (1 + counts.to(self.rarity).log())  # [B, K]
        x = x / x.square().sum(1, keepdim=True).clamp(min=1e-12).sqrt()
        z: Tensor = (x[:, None] @ F.embedding(numbers, self.weight))[:, 0]
        return z + length.to(z)[:, None] * self.slope + self.bias

    @torch.no_grad()
    def start(
        self, texts: Sequence[NDArray[np.int64]], length: Tensor, y: Tensor, group: NDArray[np.int64]
    ) -> list[float]:
        """Solve for y [N] of training texts, each [K, 2], their lengths u [N] and groups [N]. Gives each group's λ, the
        one of `STRENGTHS` with the least squared error on a seeded tenth of it; 1 where that would be too few."""
        length, y = length.double().cpu(), y.double().cpu()
        held = np.bincount(np.concatenate(texts)[:, 0], minlength=self.size)[: self.size]
        self.rarity[: self.size] = torch.from_numpy(np.log((1 + len(texts)) / (1 + held)) + 1).to(self.rarity)
        chosen = []
        for g in steps(range(len(self.bias)), "solving for the n-grams", "groups", len(self.bias)):
            rows = np.flatnonzero(group == g)
            strength = 1.0
            if len(rows) >= FEW:
                order = np.random.default_rng(0).permutation(rows)
                strength = self._chosen(texts, length, y, order[len(rows) // 10 :], order[: len(rows) // 10])
            w, self.bias[g] = self._solved(texts, length, y, rows, strength)
            self.weight[: self.size, g], self.slope[g] = w[:-1], w[-1]
            chosen.append(strength)
        return chosen

    def _chosen(
        self,
        texts: Sequence[NDArray[np.int64]],
        length: Tensor,
        y: Tensor,
        learnt: NDArray[np.int64],
        asked: NDArray[np.int64],
    ) -> float:
        others, errors = self._sparse([texts[n] for n in asked], length[asked]), []
        for strength in STRENGTHS:
            w, b = self._solved(texts, length, y, learnt, strength)
            errors.append(float((others.times(w[:, None])[:, 0] + b - y[asked]).square().sum()))
        return STRENGTHS[int(np.argmin(errors))]

    def _solved(
        self, texts: Sequence[NDArray[np.int64]], length: Tensor, y: Tensor, rows: NDArray[np.int64], strength: float
    ) -> tuple[Tensor, float]:
        """The weights [F + 1], that of the length last, and b, by conjugate gradients on the normal equations."""
        x = self._sparse([texts[n] for n in rows], length[rows])
        across, middle, N = x.transposed(), y[rows].mean(), len(rows)
        mean = across.times(torch.full((N, 1), 1 / N, dtype=y.dtype))  # [F + 1, 1] of each feature

        def product(w: Tensor) -> Tensor:
            """(Xᶜᵀ Xᶜ + λ) w, of features less their mean."""
            z = x.times(w)
            return across.times(z - z.mean()) + strength * w

        w = torch.zeros_like(mean)
        residual = across.times((y[rows] - middle)[:, None])
        direction, size = residual, residual.square().sum()
        least = EXACT**2 * size
        for _ in range(ITERATIONS):
            if size <= least:
                break
            along = product(direction)
            step = size / (direction * along).sum()
            w, residual = w + step * direction, residual - step * along
            direction, size = residual + residual.square().sum() / size * direction, residual.square().sum()
        return w[:, 0], float(middle - (mean * w).sum())

    def _sparse(self, texts: Sequence[NDArray[np.int64]], length: Tensor) -> Sparse:
        """x of texts with u behind it, [N, F + 1]; the number that pads is that of u."""
        numbers, counts = torch.from_numpy(np.concatenate(texts)).T.contiguous()
        of = torch.repeat_interleave(torch.tensor([len(text) for text in texts]))
        rarity = self.rarity.to(length.dtype)
        x = rarity[numbers] * (1 + counts.to(rarity).log())
        x = x / x.new_zeros(len(texts)).index_add_(0, of, x.square()).clamp(min=1e-12).sqrt()[of]
        order = torch.cat((of, torch.arange(len(texts)))).argsort(stable=True)
        rows = torch.cat((of, torch.arange(len(texts))))[order]
        columns = torch.cat((numbers, torch.full((len(texts),), self.size)))[order]
        return Sparse(rows, columns, torch.cat((x, length))[order], (len(texts), self.size + 1))
