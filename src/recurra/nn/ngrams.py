"""A linear layer over the n-grams of a text, and its start: logistic regression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

DROPPED = 0.5
"""The chance that an n-gram of a text is left out in training."""
STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""The L2 strengths λ tried, from strong to weak."""
FEW = 20
"""Fewer texts than this are too few to hold out a tenth: λ is then 1."""
STEPS = 300
"""Of L-BFGS, at most."""


Part = tuple[list[NDArray[np.int64]], Tensor]
"""Texts and their labels Y."""


class NgramLayer(nn.Module):
    """z = Σ_k x_k W_k + b over the distinct n-grams k of a text, [B, K] of their numbers and counts → [B, L].

    x is x_k = (1 + ln count_k) · (ln((1 + N) / (1 + n_k)) + 1), n_k of the N training texts hold k, made to length 1:
    tf-idf. In training each n-gram of a text is left out with the chance `DROPPED`. Number `size` pads.
    Source: Wang & Manning 2012, Baselines and bigrams, and 2013, Fast dropout training.
    """

    rarity: Tensor
    """[F + 1]: ln((1 + N) / (1 + n_k)) + 1, and 0 for the padding."""

    def __init__(self, size: int, L: int) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.zeros(size + 1, L))
        self.bias = nn.Parameter(torch.zeros(L))
        self.register_buffer("rarity", torch.cat((torch.ones(size), torch.zeros(1))))

    def forward(self, numbers: Tensor, counts: Tensor) -> Tensor:
        x = self.rarity[numbers] * (1 + counts.to(self.rarity).log())  # [B, K]
        if self.training:
            x = x * (torch.rand_like(x) >= DROPPED)
        x = x / x.square().sum(1, keepdim=True).clamp(min=1e-12).sqrt()
        z: Tensor = (x[:, None] @ F.embedding(numbers, self.weight))[:, 0] + self.bias
        return z.to(torch.promote_types(z.dtype, torch.float32))

    @torch.no_grad()
    def start(self, texts: Sequence[NDArray[np.int64]], Y: Tensor, several: bool) -> float:
        """Start from the logistic regression that learns Y [N, L] of 0 and 1 from training texts, each [K, 2]: of one
        label each, or with `several` a decision for every label. Gives its λ, the one of `STRENGTHS` with the least
        squared error of the probabilities on a seeded tenth.
        """
        size, N = len(self.rarity) - 1, len(texts)
        held = np.bincount(np.concatenate(texts)[:, 0], minlength=size)
        self.rarity[:size] = torch.from_numpy(np.log((1 + N) / (1 + held)) + 1).to(self.rarity)
        strength = 1.0
        if N >= FEW:
            order = np.random.default_rng(0).permutation(N).tolist()
            asked, learnt = order[: N // 10], order[N // 10 :]
            strength = self._chosen(*(([texts[n] for n in rows], Y[rows]) for rows in (learnt, asked)), several=several)
        self._descend(self._sparse(texts), Y, strength, several)
        return strength

    def _chosen(self, learnt: Part, asked: Part, *, several: bool) -> float:
        """The strength that does best on texts that were not learnt from, from strong to weak; twice worse ends it."""
        rows, others = self._sparse(learnt[0]), self._sparse(asked[0])
        errors: list[float] = []
        for strength in STRENGTHS:
            self._descend(rows, learnt[1], strength, several)
            z = others.times(self.weight) + self.bias
            p = z.sigmoid() if several else z.softmax(1)
            errors.append(float((p - asked[1]).square().sum()))
            if len(errors) > 2 and min(errors[-2:]) > min(errors):
                break
        return STRENGTHS[int(np.argmin(errors))]

    def _sparse(self, texts: Sequence[NDArray[np.int64]]) -> Sparse:
        """x of texts, [N, F + 1]."""
        numbers, counts = torch.from_numpy(np.concatenate(texts)).T.contiguous()
        lengths = torch.tensor([len(text) for text in texts])
        row = torch.repeat_interleave(lengths)
        x = self.rarity[numbers] * (1 + counts.to(self.rarity).log())
        x = x / x.new_zeros(len(texts)).index_add_(0, row, x.square()).sqrt()[row]
        return Sparse(row, numbers, x, (len(texts), len(self.rarity)))

    def _descend(self, rows: Sparse, Y: Tensor, strength: float, several: bool) -> None:
        """Minimise Σ_n L_n + λ/2 ‖W‖² from where the weights are."""
        across = rows.transposed()
        search = torch.optim.LBFGS(
            [self.weight, self.bias], max_iter=STEPS, tolerance_grad=1e-3, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            z = rows.times(self.weight) + self.bias
            if several:
                loss, slope = F.binary_cross_entropy_with_logits(z, Y, reduction="sum"), z.sigmoid() - Y
            else:
                log_p = z.log_softmax(1)
                loss, slope = -(Y * log_p).sum(), log_p.exp() - Y
            self.weight.grad = across.times(slope) + strength * self.weight
            self.bias.grad = slope.sum(0)
            return loss + strength / 2 * self.weight.square().sum()

        search.step(closure)
        self.weight.grad = self.bias.grad = None


class Sparse:
    """A matrix of few entries, `values` at `rows`, ascending, and `columns`."""

    def __init__(self, rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        self.rows, self.columns, self.values, self.shape = rows, columns, values, shape
        counts = torch.bincount(rows, minlength=shape[0])
        self._begins = counts.cumsum(0) - counts

    def times(self, dense: Tensor) -> Tensor:
        """Its product with a matrix."""
        product: Tensor = F.embedding_bag(self.columns, dense, self._begins, mode="sum", per_sample_weights=self.values)
        return product

    def transposed(self) -> Sparse:
        order = self.columns.argsort(stable=True)
        return Sparse(self.columns[order], self.rows[order], self.values[order], self.shape[::-1])
