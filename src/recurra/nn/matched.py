"""Several opinions of the same numbers as one, each counted as much as held-out examples say."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FEWEST = 8
"""Examples from which on anything is chosen by them."""


class MatchedSum(nn.Module):
    """z_g = Σ_k w_kg z_kg + c_g of `count` opinions z_k [B, G] of the numbers of G groups; w and c are no weights that
    training moves. They begin at the mean of the opinions."""

    weights: Tensor
    """[count, G]."""
    offset: Tensor

    def __init__(self, count: int, G: int) -> None:
        super().__init__()
        self.register_buffer("weights", torch.full((count, G), 1 / count))
        self.register_buffer("offset", torch.zeros(G))

    def forward(self, opinions: Sequence[Tensor]) -> Tensor:
        parts = [weight * each for weight, each in zip(self.weights, opinions, strict=True)]
        return torch.stack(parts).sum(0) + self.offset

    def calibrate(self, g: int, opinions: Tensor, y: Tensor, spread: bool) -> None:
        """Choose w and c of group g by opinions [N, count] of examples that were not learnt from, and their y [N].

        Several opinions: the minimum of Σ_n (z − y)² + Σ_k (w_k − 1 / count)², the second so that few examples move
        them little. With `spread`, z is then stretched to the mean and the standard deviation of y. Of fewer than
        `FEWEST` examples, and of opinions or numbers that are all the same, everything stays as it began.
        """
        x, y = opinions.double().cpu(), y.double().cpu()
        count = x.shape[1]
        w, c = torch.full((count,), 1 / count, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        if len(y) >= FEWEST and bool(x.isfinite().all()):
            middle = x.mean(0)
            if count > 1:
                centred = x - middle
                gram = centred.T @ centred + torch.eye(count, dtype=torch.float64)
                w = torch.linalg.solve(gram, centred.T @ (y - y.mean()) + w)
                c = y.mean() - middle @ w
            said = (x @ w).std()
            if spread and min(float(said), float(y.std())) > 1e-6:
                w = w * y.std() / said
                c = y.mean() - middle @ w
        self.weights[:, g], self.offset[g] = w.to(self.weights), c.to(self.offset)
